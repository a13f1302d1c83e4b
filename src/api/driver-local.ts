/**
 * A driver whose workers are hosts in its own thread: the same engine, one thread, real clock.
 * Values are still copied by the codec, so that what could not travel and what is shared by mistake
 * show up.
 */
import { gcsAddress, type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import { ownSegmentsFrom, ownSegmentsPerThread } from "#engine/protocol/arena.ts";
import type { ColdLauncher } from "#engine/services/owned-launcher.ts";
import { InProcessNetwork, type InProcessTransport } from "#transports/in-process/network.ts";
import { reserveSegments, SharedArena } from "#transports/threads/shared-arena.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { findRemote } from "./identity/remote-registry.ts";
import { notRegisteredError } from "./identity/remote-resolution-error.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { NodePlan } from "./node-plan.ts";
import { addExecutor, makeProcess, realClock } from "./process.ts";
import type { Process } from "./runtime.ts";
import { outsideTasks, useStorageAlways } from "./task-context.ts";

interface LocalWorker {
  readonly process: Process;
  readonly transport: InProcessTransport;
}

export interface LocalDriverParts {
  readonly process: Process;
  readonly launcher: ColdLauncher;
  readonly arena: SharedArena;
  readonly segmentBytes: readonly number[];
  stop(): void;
}

export function buildLocalDriver(plan: NodePlan): LocalDriverParts {
  const { nodeId, config, checkInvariants } = plan;
  useStorageAlways(true);
  const network = new InProcessNetwork(soonInNobodysName);
  const segments = reserveSegments(plan.objectStoreBytes);
  const arena = new SharedArena(segments.entries());
  const keepAlive = new KeepAlive();
  const reclaimer = new GarbageCollection(plan.objectStoreBytes);
  let nextSegment = ownSegmentsFrom;
  const join = (workerId: WorkerId, alsoFor: readonly (typeof nodeId | typeof gcsAddress)[]) => {
    const process = makeProcess({
      workerId,
      nodeId,
      config,
      checkInvariants,
      clock: realClock,
      reclaimer,
      arena,
      // One thread, one arena: a number is taken by whoever needs it.
      ownSegmentsFrom: (nextSegment += ownSegmentsPerThread),
      ...oneThread,
      keepAlive: (needed) => alsoFor.length > 0 && keepAlive.set(needed),
    });
    const { host } = process.client;
    const transport = network.join([workerId, ...alsoFor], host);
    host.connect(transport);
    return { process, transport };
  };
  const driver = join(workerIdOf(nodeId, 0), [nodeId, gcsAddress]);
  const { host } = driver.process.client;
  host.expect([nodeId, gcsAddress]);

  const workers = new Map<WorkerId, LocalWorker>();
  const end = (workerId: WorkerId, worker: LocalWorker): void => {
    workers.delete(workerId);
    network.leave(worker.transport);
    worker.process.client.host.close();
  };
  const launcher = {
    start(workerId: WorkerId): void {
      const worker = join(workerId, []);
      workers.set(workerId, worker);
      addExecutor(worker.process, (descriptor) => {
        const found = findRemote(descriptor);
        return found ?? Promise.reject(notRegisteredError(descriptor));
      });
      worker.process.client.host.onIdleWork(() => {
        if (worker.transport.hasTask) network.schedule(worker.transport);
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
    prepare: () => Promise.resolve(),
    close(): Promise<void> {
      for (const [workerId, worker] of [...workers]) end(workerId, worker);
      return Promise.resolve();
    },
  };
  const stop = (): void => {
    keepAlive.set(false);
    host.close();
    useStorageAlways(false);
  };
  const { process } = driver;
  return { process, launcher, arena, segmentBytes: segments.map((s) => s.byteLength), stop };
}

/** The engine's turns are nobody's, whoever's call set them off. */
function soonInNobodysName(turn: () => void): void {
  outsideTasks(() => realClock.soon(turn));
}

/** There is nobody to tell of segments, and no link to give up. */
const oneThread = { announceSegment: nothing, announceDrop: nothing, forgetPeer: nothing };

function nothing(): void {}
