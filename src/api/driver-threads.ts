/** A driver with worker threads. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gcsAddress, type NodeId, workerIdOf } from "#engine/common/ids.ts";
import type { LauncherReceiver } from "#engine/protocol/launcher.ts";
import type { Host } from "#engine/services/host.ts";
import { MemoryWords, type SharedWords } from "#engine/services/memory-words.ts";
import type { LocalOracles } from "#sim/oracles/local-oracles.ts";
import { Poller, makeParkedWords, threadsMax } from "#transports/threads/parking.ts";
import { hostThreadIndex } from "#transports/threads/boot-data.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import { ThreadLauncher, type ThreadLauncherOptions } from "#transports/threads/thread-launcher.ts";
import { ThreadTransport } from "#transports/threads/transport.ts";
import type { DriverParts } from "./driver-parts.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { loaderArguments, tsxSpecifier } from "./identity/code-transform.ts";
import { KeepAlive } from "./keep-alive.ts";
import { MemorySampler } from "./memory-sampler.ts";
import { type NodePlan, reserveStore } from "./node-plan.ts";
import { nodeDiskNow } from "./node-disk-now.ts";
import { OverflowSegments } from "./overflow-segments.ts";
import { prefixOf, spillingInThreads } from "./spilling.ts";
import { makeProcess, realClock } from "./process.ts";
import type { Process } from "./runtime.ts";

/** What a worker's api needs to know beside its boot data. */
export interface WorkerApp {
  readonly memoryWords: SharedWords;
  readonly spillPrefix: string;
  readonly namespace: string;
  readonly clusterId: string;
  readonly loaderArgs: readonly string[];
}

/** Turns without work before the driver parks; each is about a microsecond. */
const idleTurnsMax = 30;
export function buildThreadsDriver(plan: NodePlan): DriverParts {
  const { nodeId, config, checkInvariants, objectStoreBytes: storeBytes } = plan;
  const driverId = workerIdOf(nodeId, 0);
  const parkedWords = makeParkedWords();
  const segments = reserveStore(plan);
  const arena = new SharedArena(segments.entries());
  const memoryWords = MemoryWords.of({ storeBytes, threads: threadsMax });
  const keepAlive = new KeepAlive(() => launcher.flushOutput());
  const process = makeProcess({
    workerId: driverId,
    nodeId,
    clusterId: plan.clusterId,
    config,
    checkInvariants,
    clock: realClock,
    reclaimer: new GarbageCollection({ storeBytes, handleCollectMs: config.handleCollectMs }),
    arena,
    memoryWords,
    thread: hostThreadIndex,
    spilled: { disk: nodeDiskNow, prefix: prefixOf(plan) },
    announceSegment: (segment, buffer) => launcher.announceSegment(segment, buffer),
    announceDrop: (segment) => launcher.announceDrop(segment),
    forgetPeer: (peer) => transport.forget(peer),
    keepAlive: (needed) => keepAlive.set(needed),
  });
  const { host } = process.client;
  const transport: ThreadTransport = new ThreadTransport({
    localSlots: [driverId, nodeId, gcsAddress],
    receiver: host,
    // The launcher opens a link with every worker it starts; one that is gone needs none.
    requestLink: () => {},
    onWork: () => poller.kick(),
  });
  const poller: Poller = new Poller({
    words: new Int32Array(parkedWords),
    threadIndex: hostThreadIndex,
    idleTurnsMax,
    spinLooksMax: 1,
    hasData: () => transport.hasControlData(),
    pump: () => host.pump(),
  });
  host.connect(transport);
  host.expect([nodeId, gcsAddress]);
  const launcher: ThreadLauncher = new ThreadLauncher({
    nodeId,
    driverId,
    config,
    checkInvariants,
    parkedWords,
    arena,
    transport,
    receiver: receiverFor(host, nodeId),
    ...workerEntry(),
    app: appOf(plan, memoryWords),
    heapMbMax: config.workerHeapMbMax,
    execArgv: workerExecArgv(),
    argv: globalThis.process.argv.slice(2),
    onNudge: () => poller.onNudge(),
    ...whatIsLeft(host, nodeId, memoryWords),
  });
  const memory = new MemorySampler(config, launcher, (sample) => host.dispatch(nodeId, sample));
  const stop = (): void => stopAll(memory, poller, keepAlive, host);
  poller.kick();
  const segmentBytes = segments.map(({ byteLength }) => byteLength);
  const { spilling, listeners } = spillingInThreads(plan, arena);
  const overflow = new OverflowSegments(arena, [launcher, ...listeners]);
  const disks = { spilling, overflow };
  const checks = checksOf(plan, process, arena);
  return { process, launcher, arena, memoryWords, segmentBytes, ...disks, stop, ...checks };
}

// oxlint-disable-next-line max-params -- all that runs, in the order in which it ends.
function stopAll(memory: MemorySampler, poller: Poller, keepAlive: KeepAlive, host: Host): void {
  memory.stop();
  poller.stop();
  keepAlive.close();
  host.close();
}

/** What the driver's objects hold is watched, as far as it can be from its thread. */
function checksOf(
  { checkInvariants }: NodePlan,
  process: Process,
  arena: SharedArena,
): Pick<DriverParts, "watch" | "verify"> {
  let oracles: LocalOracles | null = null;
  return {
    async watch() {
      if (!checkInvariants) return;
      const { LocalOracles } = await import("#sim/oracles/local-oracles.ts");
      oracles = new LocalOracles(arena, "thread");
      oracles.watch(process, "driver");
    },
    verify: () => oracles?.verify(),
  };
}

/** The raylet hears of its threads. */
function receiverFor(host: Host, nodeId: NodeId): LauncherReceiver {
  return {
    onWorkerReady: (workerId) => host.dispatch(nodeId, { type: "workerReady", workerId }),
    onWorkerExit: (workerId, exit) =>
      host.dispatch(nodeId, { type: "workerExited", workerId, exit }),
  };
}

/** What ended threads have left counts as ours, until nobody reads it. */
function whatIsLeft(
  host: Host,
  nodeId: NodeId,
  words: MemoryWords,
): Pick<ThreadLauncherOptions, "onThreadEnded" | "onSegmentsDropped"> {
  return {
    onThreadEnded: ({ threadIndex: thread, segments }) => {
      const file = words.lastFileOf(thread);
      const sizes = segments.map(({ size }) => size);
      words.takeOver(thread, hostThreadIndex, sizes);
      if (file !== null) host.dispatch(nodeId, { type: "fileLeft", file });
    },
    onSegmentsDropped: (segments) => {
      for (const { size } of segments) words.removeOwn(hostThreadIndex, size);
    },
  };
}

function appOf(plan: NodePlan, { shared: memoryWords }: MemoryWords): WorkerApp {
  const { namespace, clusterId } = plan;
  const spillPrefix = prefixOf(plan);
  return { namespace, clusterId, loaderArgs: loaderArguments(), memoryWords, spillPrefix };
}

/**
 * Our own worker module beside this file; in a bundle there is none, and the bundle is started
 * itself.
 */
function workerEntry(): { workerEntry: URL | null; bundle: URL } {
  const bundle = new URL(import.meta.url);
  const entry = new URL("./worker-entry.cjs", import.meta.url);
  return { workerEntry: existsSync(fileURLToPath(entry)) ? entry : null, bundle };
}

/**
 * tsx's own flags make a worker load it before anything else, without effect on Node 20: the worker
 * registers it when the first TypeScript module is asked for. Null: as the parent.
 */
function workerExecArgv(): readonly string[] | null {
  const args = loaderArguments();
  if (tsxSpecifier(args) === undefined) return null;
  const kept: string[] = [];
  for (let i = 0; i < process.execArgv.length; i++) {
    const arg = process.execArgv[i] as string;
    const [flag, inline] = arg.split("=", 2) as [string, string | undefined];
    if (flag !== "--import" && flag !== "--require" && flag !== "-r") continue;
    const value = inline ?? process.execArgv[++i] ?? "";
    if (!value.includes("tsx")) kept.push(flag, value);
  }
  return kept;
}
