/** One core worker with all that stands around it in its thread: host, client, values, executor. */
import { performance } from "node:perf_hooks";
import type { Config } from "#engine/common/config.ts";
import { gcsAddress, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import { engineError } from "#engine/common/error-type.ts";
import { CoreWorker } from "#engine/core-worker/core-worker.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { Reclaimer } from "#engine/protocol/reclaimer.ts";
import { ArenaWriter } from "#engine/services/arena-writer.ts";
import { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { Executor, type UserCode } from "#engine/services/executor.ts";
import { type DiskNow, FallbackFiles } from "#engine/services/fallback-files.ts";
import { Host, type HostClock } from "#engine/services/host.ts";
import type { MemoryWords } from "#engine/services/memory-words.ts";
import { OwnSegments } from "#engine/services/own-segments.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import { ObjectStoreFullError } from "./errors.ts";
import { ObjectRef, referredTo } from "./object-ref.ts";
import { judgeException } from "./retry-exceptions.ts";
import { addProcess, type Process } from "./runtime.ts";
import { ApiUserCode, type ResolveRemote } from "./user-code.ts";
import { Values } from "./values.ts";

export interface ProcessOptions {
  readonly workerId: WorkerId;
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly config: Config;
  readonly checkInvariants: boolean;
  readonly clock: HostClock;
  readonly reclaimer: Reclaimer;
  readonly arena: SharedArena;
  /** Of the node, and which of its threads this is. */
  readonly memoryWords: MemoryWords;
  readonly thread: number;
  /** Where the node's spilled objects lie. */
  readonly spilled: { readonly disk: DiskNow; readonly prefix: string };
  announceSegment(segment: number, buffer: SharedArrayBuffer): void;
  announceDrop(segment: number): void;
  forgetPeer(workerId: WorkerId): void;
  keepAlive(needed: boolean): void;
}

export const realClock: HostClock = {
  nowMs: () => performance.now(),
  wakeAt(atMs, wake) {
    // Longer waits than a timer can hold are cut: the host arms again.
    const waitMs = Math.min(Math.max(0, atMs - performance.now()), 2 ** 31 - 1);
    setTimeout(wake, waitMs).unref();
  },
  soon: (wake) => void setImmediate(wake),
};

export function makeProcess(options: ProcessOptions): Process {
  const { workerId, nodeId, config, checkInvariants, arena, thread, memoryWords: words } = options;
  const host = new Host(options.clock, checkInvariants);
  const core = new CoreWorker({ self: workerId, raylet: nodeId, gcs: gcsAddress, config });
  const own = new OwnSegments({ words, thread, bytesMax: config.fallbackBytesMax });
  const writer: ArenaWriter = new ArenaWriter({
    chunkBytes: config.arenaChunkBytes,
    request: (requestId, size, mayWait) => client.requestRoom(requestId, size, mayWait),
    release: (extent) => client.dispatch({ type: "releaseExtentCall", extent }),
    makeSegment: (size) => {
      const made = own.make(size);
      if (made === undefined) return undefined;
      const { segment, buffer } = made;
      arena.add(segment, buffer, workerId);
      options.announceSegment(segment, buffer);
      return { segment, offset: 0, size };
    },
  });
  const { forgetPeer, keepAlive, reclaimer } = options;
  // V8 does not feel their weight, and an idle thread collects nothing by itself.
  const onDropped = (buffer: SharedArrayBuffer): void =>
    reclaimer.weigh?.(buffer, buffer.byteLength);
  arena.onDropped = onDropped;
  const watchRef = (ref: object): void => {
    if (ObjectRef.is(ref)) ObjectRef.watch(ref);
  };
  const client: CoreWorkerClient = new CoreWorkerClient({
    host,
    core,
    arena: writer,
    reclaimer,
    dropSegment: (segment) => {
      own.giveBack(arena.segmentBytes(segment));
      arena.drop(segment);
      options.announceDrop(segment);
    },
    watchRef,
    referredTo,
    judge: (matcher, failed) => judgeException(matcher, failed, process),
    copyBuffers: (buffers) => putBuffers(process, buffers),
    forgetPeer,
    keepAlive,
  });
  const { spillDiskUsedMax: diskUsedMax } = config;
  const files = new FallbackFiles({ ...options.spilled, diskUsedMax, words, thread });
  const process: Process = { client, values: new Values(client, arena, files) };
  addProcess(process, options.clusterId);
  return process;
}

/** A copy for processes of other nodes, or why there is no room for one. */
function putBuffers(
  { values }: Process,
  buffers: readonly ArrayBuffer[],
): ObjectEntry | FailedValue {
  try {
    return values.put(buffers);
  } catch (error) {
    if (!(error instanceof ObjectStoreFullError)) throw error;
    return new FailedValue(engineError("OBJECT_STORE_FULL", error.message, ""), null);
  }
}

/** The process also runs tasks, in this thread. */
export function addExecutor(
  process: Process,
  resolve: ResolveRemote,
  watched: (userCode: UserCode) => UserCode = (userCode) => userCode,
): void {
  const { client, values } = process;
  const executor = new Executor({
    receiver: client.core.receiver,
    userCode: watched(new ApiUserCode(client, values, resolve)),
    report: (event, nowMs) => client.dispatch(event, nowMs),
    nowMs: () => client.host.nowMs,
  });
  client.execute(executor);
}
