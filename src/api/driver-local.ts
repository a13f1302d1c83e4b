/**
 * A driver whose workers are hosts in its own thread: the same engine, one thread, real clock.
 * Values are still copied by the codec, so that what could not travel and what is shared by mistake
 * show up.
 */
import { gcsAddress, type NodeId, type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import type { UserCode } from "#engine/services/executor.ts";
import type { Host } from "#engine/services/host.ts";
import { MemoryWords } from "#engine/services/memory-words.ts";
import type { Launcher } from "#engine/protocol/launcher.ts";
import type { ColdLauncher } from "#engine/services/owned-launcher.ts";
import type { LocalOracles } from "#sim/oracles/local-oracles.ts";
import { InProcessNetwork, type InProcessTransport } from "#transports/in-process/network.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import type { DriverParts } from "./driver-parts.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { findRemote } from "./identity/remote-registry.ts";
import { notRegisteredError } from "./identity/remote-resolution-error.ts";
import { KeepAlive } from "./keep-alive.ts";
import { type NodePlan, reserveStore } from "./node-plan.ts";
import { nodeDiskNow } from "./node-disk-now.ts";
import { OverflowSegments } from "./overflow-segments.ts";
import { prefixOf, spillingHere, watchingReads } from "./spilling.ts";
import { addExecutor, makeProcess, realClock } from "./process.ts";
import type { Process } from "./runtime.ts";
import { outsideTasks, useStorageAlways } from "./task-context.ts";
import type { ResolveRemote } from "./user-code.ts";

interface LocalProcess {
  readonly process: Process;
  readonly transport: InProcessTransport;
}

export function buildLocalDriver(plan: NodePlan): DriverParts {
  const { nodeId, clusterId, config, checkInvariants } = plan;
  // First, for it may fail.
  const segments = reserveStore(plan);
  useStorageAlways(true);
  const network = new InProcessNetwork(soonInNobodysName);
  const arena = new SharedArena(segments.entries());
  const keepAlive = new KeepAlive();
  const reclaimer = new GarbageCollection({
    storeBytes: plan.objectStoreBytes,
    handleCollectMs: config.handleCollectMs,
  });
  const common = {
    ...{ nodeId, clusterId, config, checkInvariants, clock: realClock, reclaimer, arena },
    memoryWords: MemoryWords.of({ storeBytes: plan.objectStoreBytes, threads: 1 }),
    thread: 0,
    spilled: { disk: nodeDiskNow, prefix: prefixOf(plan) },
  };
  const join = (workerId: WorkerId, alsoFor: readonly (typeof nodeId | typeof gcsAddress)[]) => {
    const process = makeProcess({
      ...common,
      workerId,
      ...oneThread,
      keepAlive: (needed) => alsoFor.length > 0 && keepAlive.set(needed),
    });
    const { host } = process.client;
    const transport = network.join([workerId, ...alsoFor], host);
    host.connect(transport);
    return { process, transport };
  };
  const driver = join(workerIdOf(nodeId, 0), [nodeId, gcsAddress]);
  const { process } = driver;
  const { host } = process.client;
  host.expect([nodeId, gcsAddress]);

  let oracles: LocalOracles | null = null;
  const watchFromNow = async (): Promise<LocalOracles | null> => {
    if (!checkInvariants) return null;
    // Worker threads import this module with the user's: only a local runtime loads the oracles.
    const { LocalOracles } = await import("#sim/oracles/local-oracles.ts");
    oracles = new LocalOracles(arena);
    oracles.watch(process, "driver");
    return oracles;
  };
  const launcher = launcherOf({
    nodeId,
    host,
    network,
    join: (workerId) => join(workerId, []),
    dropSegments: ({ workerId, kept }) => {
      const dropped = arena.dropOwn(workerId, kept);
      for (const { size } of dropped) common.memoryWords.removeOwn(common.thread, size);
    },
    watchFromNow,
  });
  const stop = (): void => {
    keepAlive.close();
    host.close();
    useStorageAlways(false);
  };
  const verify = (): void => oracles?.verify();
  const segmentBytes = segments.map((s) => s.byteLength);
  const spilling = watchingReads(spillingHere(plan, arena), () => oracles?.readFailed());
  // Its launcher loads them, when it is prepared.
  const watch = (): Promise<void> => Promise.resolve();
  const { memoryWords } = common;
  const room = { arena, memoryWords, segmentBytes, overflow: new OverflowSegments(arena) };
  return { process, launcher, ...room, spilling, stop, watch, verify };
}

function launcherOf(parts: {
  nodeId: NodeId;
  /** Of the driver, and so of the raylet. */
  host: Host;
  network: InProcessNetwork;
  join(workerId: WorkerId): LocalProcess;
  dropSegments: Launcher["dropSegments"];
  watchFromNow(): Promise<LocalOracles | null>;
}): ColdLauncher {
  const { nodeId, host, network } = parts;
  const workers = new Map<WorkerId, LocalProcess>();
  let workerCount = 0;
  let oracles: LocalOracles | null = null;
  const end = (workerId: WorkerId, worker: LocalProcess): void => {
    workers.delete(workerId);
    oracles?.ended(workerId);
    network.leave(worker.transport);
    worker.process.client.host.close();
  };
  return {
    start(workerId: WorkerId): void {
      const worker = parts.join(workerId);
      const { process, transport } = worker;
      workers.set(workerId, worker);
      const name = `worker${workerCount++}`;
      oracles?.watch(process, name);
      const resolve: ResolveRemote = (descriptor) =>
        findRemote(descriptor) ?? Promise.reject(notRegisteredError(descriptor));
      const watched = (userCode: UserCode): UserCode =>
        oracles?.watchUserCode(process, name, userCode) ?? userCode;
      addExecutor(process, resolve, watched);
      process.client.host.onIdleWork(() => {
        if (transport.hasTask) network.schedule(transport);
      });
      realClock.soon(() => host.dispatch(nodeId, { type: "workerReady", workerId }));
    },
    stop(workerId: WorkerId): void {
      const worker = workers.get(workerId);
      if (worker === undefined) return;
      end(workerId, worker);
      const exit = { type: "stopped" } as const;
      realClock.soon(() => host.dispatch(nodeId, { type: "workerExited", workerId, exit }));
    },
    dropSegments: parts.dropSegments,
    /** There is no worker yet, so nobody but the driver can have been given a value. */
    async prepare(): Promise<void> {
      oracles = await parts.watchFromNow();
    },
    close(): Promise<void> {
      for (const [workerId, worker] of [...workers]) end(workerId, worker);
      return Promise.resolve();
    },
  };
}

/** The engine's turns are nobody's, whoever's call set them off. */
function soonInNobodysName(turn: () => void): void {
  outsideTasks(() => realClock.soon(turn));
}

/** There is nobody to tell of segments, and no link to give up. */
const oneThread = { announceSegment: nothing, announceDrop: nothing, forgetPeer: nothing };

function nothing(): void {}
