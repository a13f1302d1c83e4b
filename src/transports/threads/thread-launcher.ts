/**
 * Worker threads of this process, held by piscina: starts them, makes the links between them,
 * reports their end once, after what they sent has been delivered.
 *
 * A pool of one thread a worker: a worker is leased by name, so a pool that picks a thread is of no
 * use, and one pool with many would start threads for boot tasks that wait for theirs. The boot
 * task ends at once, the worker's loop goes on; a task that never ended would keep the process
 * alive.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type MessagePort,
  MessageChannel,
  receiveMessageOnPort,
  Worker,
} from "node:worker_threads";
import type { Piscina } from "piscina";
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import { thrownSummary } from "#engine/common/thrown.ts";
import type { Launcher, LauncherReceiver, WorkerExit } from "#engine/protocol/launcher.ts";
import type { BootData, PortMessage } from "./boot-data.ts";
import { type LinkMemory, makeLinkMemory, openLinkMemory } from "./link-memory.ts";
import { OutputFlush } from "./output-flush.ts";
import { Bell, threadsMax } from "./parking.ts";
import type { OwnSegment, SharedArena } from "./shared-arena.ts";
import type { ThreadTransport } from "./transport.ts";

/** From host to worker and back. */
const hostControlBytes = 1 << 20;
const hostTaskBytes = 1 << 20;
/** Between two workers. */
const peerControlBytes = 1 << 18;
const peerTaskBytes = 1 << 18;

export interface ThreadLauncherOptions {
  readonly nodeId: NodeId;
  readonly driverId: WorkerId;
  readonly config: Config;
  readonly checkInvariants: boolean;
  readonly parkedWords: SharedArrayBuffer;
  readonly arena: SharedArena;
  readonly transport: ThreadTransport;
  readonly receiver: LauncherReceiver;
  /** The module whose default export takes BootData; "" when the program is one bundle. */
  readonly workerEntry: URL | null;
  /** The bundle that contains us, started as a thread of its own, when there is no workerEntry. */
  readonly bundle: URL;
  readonly app: unknown;
  readonly heapMbMax: number;
  readonly execArgv: readonly string[] | null;
  /** What a program was started with: a worker that runs its top level again sees the same. */
  readonly argv: readonly string[];
  onNudge(): void;
  /** Behind all that it had sent, and ahead of the news of its end. */
  onThreadEnded(thread: EndedThread): void;
  /** Of threads that have ended. */
  onSegmentsDropped(segments: readonly OwnSegment[]): void;
}

export interface EndedThread {
  readonly threadIndex: number;
  /** What it had made for itself, and is mapped everywhere. */
  readonly segments: readonly OwnSegment[];
}

interface Slot {
  readonly workerId: WorkerId;
  readonly threadIndex: number;
  readonly port: MessagePort;
  worker: Worker | null;
  pool: Piscina | null;
  /** What its "error" event said, before its "exit". */
  failure: WorkerExit | null;
  isReady: boolean;
  isStopping: boolean;
}

const sizesTimeoutMs = 200;

export class ThreadLauncher implements Launcher {
  readonly #options: ThreadLauncherOptions;
  readonly #slots = new Map<WorkerId, Slot>();
  readonly #freeIndices: number[] = [];
  readonly #linked = new Set<string>();
  readonly #output = new OutputFlush();
  readonly #words: Int32Array;
  #nextIndex = 1;
  #closed = false;
  #piscina: typeof Piscina | null = null;

  constructor(options: ThreadLauncherOptions) {
    this.#options = options;
    this.#words = new Int32Array(options.parkedWords);
  }

  /**
   * Before the first start: loads what holds the threads. A bundle of one file has no use for it.
   */
  async prepare(): Promise<void> {
    if (this.#options.workerEntry === null) return;
    ({ Piscina: this.#piscina } = await import("piscina"));
  }

  start(workerId: WorkerId): void {
    const { driverId, nodeId, transport } = this.#options;
    const threadIndex = this.#freeIndices.pop() ?? this.#nextIndex++;
    assert(threadIndex < threadsMax, `a process has at most ${threadsMax} worker threads`);
    const { port1, port2 } = new MessageChannel();
    const memory = makeLinkMemory(hostControlBytes, hostTaskBytes);
    const slot: Slot = {
      workerId,
      threadIndex,
      port: port1,
      worker: null,
      pool: null,
      failure: null,
      isReady: false,
      isStopping: false,
    };
    this.#slots.set(workerId, slot);
    port1.on("message", (message: PortMessage) => this.#onPortMessage(slot, message));
    port1.unref();
    const bell = new Bell(this.#words, threadIndex, port1);
    transport.openLink([workerId], openLinkMemory(memory, 0), bell);
    const boot = this.#bootData({ workerId, nodeId, driverId, threadIndex, memory, port: port2 });
    this.#spawn(slot, boot);
  }

  stop(workerId: WorkerId): void {
    const slot = this.#slots.get(workerId);
    if (slot === undefined || slot.isStopping) return;
    slot.isStopping = true;
    void slot.worker?.terminate();
  }

  dropSegments({ workerId, kept }: Parameters<Launcher["dropSegments"]>[0]): void {
    const dropped = this.#options.arena.dropOwn(workerId, kept);
    for (const { segment } of dropped) this.announceDrop(segment);
    if (dropped.length > 0) this.#options.onSegmentsDropped(dropped);
  }

  /** Heap and buffers of each thread; empty where Node does not tell (before 22.16 and 24). */
  async workerBytes(): Promise<ReadonlyMap<WorkerId, number>> {
    const sizes = new Map<WorkerId, number>();
    const asked = [...this.#slots.values()].map(async ({ workerId, worker, isReady }) => {
      const bytes = isReady && worker !== null ? await heapBytesOf(worker) : 0;
      if (bytes > 0) sizes.set(workerId, bytes);
    });
    // A thread that waits in Atomics.wait does not answer.
    const late = sleep(sizesTimeoutMs, undefined, { ref: false });
    await Promise.race([Promise.all(asked), late]);
    return sizes;
  }

  /** Ends when what the workers have printed so far has been printed here. */
  flushOutput(): Promise<void> {
    const live = [...this.#slots.values()].filter(
      ({ isReady, isStopping }) => isReady && !isStopping,
    );
    return this.#output.ask(live.map(({ port }) => port));
  }

  /** Ends all threads; their exits are not reported any more. */
  async close(): Promise<void> {
    await this.flushOutput();
    this.#closed = true;
    const ends: Promise<unknown>[] = [];
    for (const slot of this.#slots.values()) {
      slot.port.close();
      ends.push(slot.pool?.destroy() ?? slot.worker?.terminate() ?? Promise.resolve());
    }
    await Promise.all(ends);
    this.#slots.clear();
  }

  /** A segment of this thread's own: every worker maps it. */
  announceSegment(segment: number, buffer: SharedArrayBuffer, except?: WorkerId): void {
    for (const slot of this.#slots.values()) {
      if (slot.workerId !== except) slot.port.postMessage({ type: "segment", segment, buffer });
    }
  }

  announceDrop(segment: number, except?: WorkerId): void {
    for (const slot of this.#slots.values()) {
      if (slot.workerId !== except) slot.port.postMessage({ type: "dropSegment", segment });
    }
  }

  #bootData(fields: {
    workerId: WorkerId;
    nodeId: NodeId;
    driverId: WorkerId;
    threadIndex: number;
    memory: LinkMemory;
    port: MessagePort;
  }): BootData {
    const { config, checkInvariants, parkedWords, arena, app } = this.#options;
    return {
      ...fields,
      parkedWords,
      segments: arena.segments(),
      config,
      checkInvariants,
      app,
    };
  }

  #spawn(slot: Slot, boot: BootData): void {
    const { workerEntry, bundle, heapMbMax, execArgv, argv } = this.#options;
    const limits = heapMbMax > 0 ? { resourceLimits: { maxOldGenerationSizeMb: heapMbMax } } : {};
    const args = {
      argv: [...argv],
      ...(execArgv === null ? {} : { execArgv: [...execArgv] }),
    };
    const Pool = this.#piscina;
    if (workerEntry === null || Pool === null) {
      const worker = new Worker(bundle, {
        ...limits,
        ...args,
        workerData: { mobulaBoot: boot },
        transferList: [boot.port],
      });
      worker.unref();
      this.#watch(slot, worker);
      return;
    }
    const pool = new Pool({
      filename: workerEntry.href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      atomics: "disabled",
      recordTiming: false,
      ...limits,
      ...args,
    });
    // Its "error" repeats what the thread's own events tell.
    pool.on("error", () => {});
    slot.pool = pool;
    const booted = pool.run(boot, { transferList: [boot.port] });
    const [worker] = pool.threads;
    assert(worker !== undefined, "a pool with a task has a thread");
    this.#watch(slot, worker);
    booted.catch((error: unknown) => {
      slot.failure ??= { type: "failedToStart", message: thrownSummary(error) };
      void worker.terminate();
    });
  }

  #watch(slot: Slot, worker: Worker): void {
    slot.worker = worker;
    worker.once("error", (error) => {
      slot.failure = failureOf(error, slot.isReady);
    });
    worker.once("exit", (code) => this.#onExit(slot, code));
  }

  #onExit(slot: Slot, code: number): void {
    if (this.#closed) return;
    const { transport, receiver, arena } = this.#options;
    const { workerId, threadIndex } = slot;
    this.#slots.delete(workerId);
    this.#freeIndices.push(threadIndex);
    this.#takeLast(slot);
    this.#output.onFlushed(slot.port);
    slot.port.close();
    void slot.pool?.destroy();
    transport.onPeerExit(workerId);
    this.#options.onThreadEnded({ threadIndex, segments: arena.ownOf(workerId) });
    receiver.onWorkerExit(workerId, exitOf(slot, code));
  }

  /**
   * What it had posted and nobody has taken yet: closing the port would lose it. A segment may have
   * been told to another thread, past this one, and would be waited for. Links it needs no more.
   */
  #takeLast(slot: Slot): void {
    for (;;) {
      const last = receiveMessageOnPort(slot.port) as { message: PortMessage } | undefined;
      if (last === undefined) return;
      if (last.message?.type !== "connect") this.#onPortMessage(slot, last.message);
    }
  }

  #onPortMessage(slot: Slot, message: PortMessage): void {
    if (message === null) {
      this.#options.onNudge();
      return;
    }
    switch (message.type) {
      case "ready":
        slot.isReady = true;
        return this.#options.receiver.onWorkerReady(slot.workerId);
      case "connect":
        return this.#connect(slot, message.peer);
      case "segment":
        this.#options.arena.add(message.segment, message.buffer, slot.workerId);
        return this.announceSegment(message.segment, message.buffer, slot.workerId);
      case "dropSegment":
        this.#options.arena.drop(message.segment);
        return this.announceDrop(message.segment, slot.workerId);
      case "outputFlushed":
        return this.#output.onFlushed(slot.port);
      case "link":
      case "buffers":
      case "flushOutput":
        return;
    }
  }

  /** Two workers ask for the same link at once as a rule: the second asks in vain. */
  #connect(slot: Slot, peerId: WorkerId): void {
    const peer = this.#slots.get(peerId);
    if (peer === undefined) return;
    const key = [slot.workerId, peerId].sort().join();
    if (this.#linked.has(key)) return;
    this.#linked.add(key);
    const memory = makeLinkMemory(peerControlBytes, peerTaskBytes);
    const { port1, port2 } = new MessageChannel();
    this.#postLink(slot, peer, { memory, side: 0, port: port1 });
    this.#postLink(peer, slot, { memory, side: 1, port: port2 });
  }

  #postLink(
    to: Slot,
    peer: Slot,
    end: { memory: LinkMemory; side: 0 | 1; port: MessagePort },
  ): void {
    const { workerId, threadIndex } = peer;
    const message = { type: "link", peer: workerId, peerThreadIndex: threadIndex, ...end };
    to.port.postMessage(message, [end.port]);
  }
}

interface HeapStatistics {
  readonly total_heap_size: number;
  readonly external_memory: number;
}

/** 0: it is not known, or the thread has ended. */
async function heapBytesOf(worker: Worker): Promise<number> {
  const { getHeapStatistics } = worker as { getHeapStatistics?(): Promise<HeapStatistics> };
  try {
    const told = await getHeapStatistics?.call(worker);
    return told === undefined ? 0 : told.total_heap_size + told.external_memory;
  } catch {
    return 0; // ERR_WORKER_NOT_RUNNING: it has just ended
  }
}

function exitOf(slot: Slot, code: number): WorkerExit {
  if (slot.isStopping) return { type: "stopped" };
  if (slot.failure !== null) return slot.failure;
  if (slot.isReady) return { type: "exited", code };
  return { type: "failedToStart", message: `it ended with exit code ${code} before it was ready` };
}

function failureOf(error: unknown, wasReady: boolean): WorkerExit {
  const message = thrownSummary(error);
  const { code } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown };
  if (code === "ERR_WORKER_OUT_OF_MEMORY") return { type: "outOfMemory", message };
  return wasReady ? { type: "uncaught", message } : { type: "failedToStart", message };
}
