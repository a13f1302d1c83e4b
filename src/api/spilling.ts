/**
 * Where a real node spills: files in a directory of its own, removed with it, written and read by
 * threads that do nothing else.
 */
import { existsSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { type ArenaBytes, FrameBytes, isOfStore } from "#engine/protocol/arena.ts";
import type { SpillEvent, SpillFailure, SpillInstruction } from "#engine/raylet/spill-io.ts";
import { SpillFilesOnDisk } from "#engine/services/spill-files.ts";
import { type SpillPort, SpillOnThisThread } from "#engine/services/spill-port.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import { beginIn, endIn } from "./left-directories.ts";
import { nodeDisk } from "./node-disk.ts";
import type { NodePlan } from "./node-plan.ts";
import type { ArenaListener } from "./overflow-segments.ts";
import type { SegmentMessage, SpillWorkerData } from "./spill-worker.ts";

/** By the thread that the node lives in. */
export function spillingHere(plan: NodePlan, arena: ArenaBytes): SpillPort {
  const diskUsedMax = plan.config.spillDiskUsedMax;
  const files = { disk: nodeDisk, arena, prefix: prefixOf(plan), diskUsedMax };
  return inDirectory(plan, new SpillOnThisThread(new SpillFilesOnDisk(files)));
}

/** By threads of its own; in a bundle there is no module to start them with. */
export function spillingInThreads(
  plan: NodePlan,
  arena: SharedArena,
): { readonly spilling: SpillPort; readonly listeners: readonly ArenaListener[] } {
  const entry = new URL("./spill-worker.js", import.meta.url);
  if (!existsSync(fileURLToPath(entry))) {
    return { spilling: spillingHere(plan, arena), listeners: [] };
  }
  const threads = new SpillThreads(plan, arena, entry);
  return { spilling: inDirectory(plan, threads), listeners: [threads] };
}

export function prefixOf({ spillDirectory }: NodePlan): string {
  return join(spillDirectory, "file-");
}

/**
 * Nothing of it is left when the node has ended, or its process; what processes left that were
 * killed goes now. Any thread may have made it, for what it had put. What cannot be removed stays
 * for whoever comes next, and is no reason for a program to fail.
 */
function inDirectory({ spillDirectory }: NodePlan, port: SpillPort): SpillPort {
  const options = { recursive: true, force: true };
  const tidying = beginIn(spillDirectory);
  const onExit = (): void => {
    try {
      rmSync(spillDirectory, options);
    } catch {
      // As with `close`.
    }
  };
  process.once("exit", onExit);
  return {
    perform: (instruction, report) => port.perform(instruction, report),
    close: async () => {
      await Promise.all([port.close(), tidying]);
      process.off("exit", onExit);
      await rm(spillDirectory, options).catch(() => {});
      endIn(spillDirectory);
    },
  };
}

/** `failed` is told of each read that fails, before the raylet is. */
export function watchingReads(port: SpillPort, failed: () => void): SpillPort {
  return {
    perform: (instruction, report) =>
      port.perform(instruction, (event) => {
        if (event.type !== "objectsSpilled" && event.failure !== null) failed();
        report(event);
      }),
    close: () => port.close(),
  };
}

type Report = (event: SpillEvent) => void;
type Answered = Exclude<SpillInstruction, { type: "deleteSpillFile" }>;

class SpillThreads implements SpillPort, ArenaListener {
  readonly #spill: IoThread;
  readonly #restore: IoThread;

  constructor(plan: NodePlan, arena: SharedArena, entry: URL) {
    const data = (): Omit<SpillWorkerData, "port"> => ({
      segments: arena.segments().filter(([segment]) => isOfStore(segment)),
      prefix: prefixOf(plan),
      diskUsedMax: plan.config.spillDiskUsedMax,
    });
    this.#spill = new IoThread("mobula-spill", entry, data);
    this.#restore = new IoThread("mobula-restore", entry, data);
  }

  perform(instruction: SpillInstruction, report: Report): void {
    const reads = instruction.type === "restoreObject" || instruction.type === "readSpilled";
    (reads ? this.#restore : this.#spill).perform(instruction, report);
  }

  announceSegment(segment: number, buffer: SharedArrayBuffer): void {
    this.#tell({ type: "segment", segment, buffer });
  }

  announceDrop(segment: number): void {
    this.#tell({ type: "dropSegment", segment });
  }

  async close(): Promise<void> {
    await Promise.all([this.#spill.close(), this.#restore.close()]);
  }

  #tell(message: SegmentMessage): void {
    this.#spill.tell(message);
    this.#restore.tell(message);
  }
}

/** Started with its first instruction, and again if it has died. */
class IoThread {
  readonly #name: string;
  readonly #entry: URL;
  /** As things are when it starts. */
  readonly #data: () => Omit<SpillWorkerData, "port">;
  readonly #open = new Map<number, { readonly instruction: Answered; readonly report: Report }>();
  #worker: Worker | null = null;
  #port: MessagePort | null = null;
  #isClosed = false;

  constructor(name: string, entry: URL, data: () => Omit<SpillWorkerData, "port">) {
    this.#name = name;
    this.#entry = entry;
    this.#data = data;
  }

  perform(instruction: SpillInstruction, report: Report): void {
    if (this.#isClosed) return;
    const port = this.#port ?? this.#start();
    if (instruction.type !== "deleteSpillFile") {
      this.#open.set(keyOf(instruction.requestId, instruction.type), { instruction, report });
    }
    port.postMessage(instruction);
  }

  /** One that is not there yet learns it when it starts. */
  tell(message: SegmentMessage): void {
    this.#port?.postMessage(message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#open.clear();
    await this.#worker?.terminate();
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const data: SpillWorkerData = { ...this.#data(), port: port2 };
    const worker = new Worker(this.#entry, {
      name: this.#name,
      workerData: data,
      transferList: [port2],
      execArgv: [],
    });
    worker.unref();
    let why = "its thread has ended";
    worker.once("error", (error) => {
      why = `its thread has ended: ${String(error)}`;
    });
    worker.once("exit", () => this.#onExit(why));
    port1.on("message", (event: SpillEvent) => this.#onEvent(event));
    port1.unref();
    this.#worker = worker;
    this.#port = port1;
    return port1;
  }

  #onEvent(event: SpillEvent): void {
    const answers = { objectsSpilled: "spillObjects", objectRestored: "restoreObject" } as const;
    const type = event.type === "spilledRead" ? "readSpilled" : answers[event.type];
    const key = keyOf(event.requestId, type);
    const open = this.#open.get(key);
    this.#open.delete(key);
    open?.report(event.type === "spilledRead" ? { ...event, bytes: revived(event.bytes) } : event);
  }

  /** Whatever it had in hand has failed, as far as anybody can tell. */
  #onExit(text: string): void {
    this.#worker = null;
    this.#port?.close();
    this.#port = null;
    const failure: SpillFailure = { kind: "io", text };
    for (const { instruction, report } of [...this.#open.values()].splice(0)) {
      const { requestId } = instruction;
      if (instruction.type === "spillObjects") {
        report({ type: "objectsSpilled", requestId, checksums: [], failure });
      } else if (instruction.type === "restoreObject") {
        report({ type: "objectRestored", requestId, failure });
      } else report({ type: "spilledRead", requestId, bytes: null, failure });
    }
    this.#open.clear();
  }
}

/** Each kind of request has numbers of its own. */
function keyOf(requestId: number, type: Answered["type"]): number {
  return requestId * 2 + (type === "readSpilled" ? 1 : 0);
}

/** What went through a port has lost its class. */
function revived(bytes: FrameBytes | null): FrameBytes | null {
  return bytes === null ? null : new FrameBytes(bytes.bytes, bytes.start, bytes.size);
}
