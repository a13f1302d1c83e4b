/**
 * Every bound and time of the engine, units in the name. Overridden by `init({ systemConfig })`;
 * the simulator draws them per run. Sources: design constants (protocols, §9) and Ray's
 * ray_config_def.h.
 */

export interface Config {
  /** Encoded values up to this size travel inside frames; larger ones go to the arena. */
  readonly inlineBytesMax: number;
  /** Work kept ahead on one leased worker, once the duration of its tasks is known. */
  readonly pipelineAheadMs: number;
  /** Most tasks in flight on one lease or actor stream. */
  readonly pipelineDepthMax: number;
  /** Most lease requests of one scheduling key that wait at a raylet. */
  readonly pendingLeaseRequestsMax: number;
  /** An unused lease goes back after this time, at once when somebody waits for it. */
  readonly idleLeaseMs: number;
  /** A lease in use is given up after this time when somebody else waits for it. */
  readonly leaseTurnMs: number;
  /** Lease requests that one raylet keeps waiting; beyond it the request is refused. */
  readonly leaseQueueMax: number;
  /** Threads for tasks on one node, whatever the resources would admit. */
  readonly taskWorkersMax: number;
  /** Threads that actors hold on one node. */
  readonly actorWorkersMax: number;
  /** Time a new thread may take until it reports ready. */
  readonly workerStartTimeoutMs: number;
  /**
   * Crash loops: after this many failed starts in a row, waiting leases are refused with the
   * reason.
   */
  readonly workerStartFailuresMax: number;
  /** A task that ran out of memory runs so many times more, unless its maxRetries is 0. */
  readonly taskOomRetriesMax: number;
  /** Before the first of these; each next one waits twice as long. */
  readonly taskOomRetryDelayMs: number;
  /** What is kept of finished tasks so that a lost result can be made anew, in bytes. */
  readonly maxLineageBytes: number;
  /** Old-generation heap of a worker thread in MiB (V8's resourceLimits); 0 leaves it to Node. */
  readonly workerHeapMbMax: number;
  /** Of the memory that its process may use: above it a node ends threads, see MemoryMonitor. */
  readonly memoryUsageThreshold: number;
  /** How often a node looks what it uses; 0: never. */
  readonly memoryMonitorMs: number;
  /** A raylet tells the GCS this often that it lives, once there is more than one node. */
  readonly heartbeatMs: number;
  /** A link between nodes without life for so long is given up by both ends. */
  readonly linkTimeoutMs: number;
  /**
   * So much may be under way to one process of another node, and not read there, before pushes and
   * chunks wait. In the simulator also to one of this node; on threads that is the rings' capacity.
   */
  readonly linkWindowBytes: number;
  /** A node that was silent for so long is dead, for ever. */
  readonly healthTimeoutMs: number;
  /** A node that has not heard from the GCS for so long ends itself. */
  readonly gcsReconnectMs: number;
  /** Least time between two reports of what a node has free, and between two views of all. */
  readonly resourceReportMs: number;
  /** A task cancelled by force has so long to end before its thread is ended. */
  readonly forceGraceMs: number;
  /** Bytes that each thread may place in the arena without asking. */
  readonly arenaChunkBytes: number;
  /** A task that has waited in get for so long asks whether it waits for itself; 0: none does. */
  readonly deadlockProbeMs: number;
  /** A process that is asked for its objects or tasks and is silent for so long is left out. */
  readonly stateTimeoutMs: number;
  /** Of a process, for `mobula/state`: as many of its tasks that have ended, the last; 0: none. */
  readonly endedTasksKept: number;
  /** 1: `mobula/state` tells where each object was made. Costs a stack trace a ref. */
  readonly recordRefCreationSites: number;
  /** Objects go from node to node in pieces of this size. */
  readonly pullChunkBytes: number;
  /** Of all pulls of a node: asked of others and not yet here; one chunk alone may be more. */
  readonly pullBytesInFlightMax: number;
  /** A pull, or a result, that finds no room in the store for so long fails. */
  readonly pullRoomTimeoutMs: number;
  /**
   * Values of all threads of a node in segments of their own, beside the store, may be so much more
   * than what is free in it. A `put` that finds no room beyond that writes a file. Unless given, a
   * tenth of the store.
   */
  readonly fallbackBytesMax: number;
  /**
   * What is read or returned and finds no room in the store may lie beside it, so much at most:
   * after `overflowGraceMs` in which nobody who waits has got room, and nothing is on its way to
   * the disk. Unless given, as much as a store has by default.
   */
  readonly overflowBytesMax: number;
  readonly overflowGraceMs: number;
  /** A store that holds more than this share of itself writes objects to the disk. */
  readonly spillThreshold: number;
  /** Objects are written together until a file has about so many bytes. */
  readonly minSpillBytes: number;
  /** Files of spilled objects that are written, and that are read, at once. */
  readonly ioWorkers: number;
  /** A disk that is as full as this gets nothing more; 0: nothing is ever spilled. */
  readonly spillDiskUsedMax: number;
  /** Before the first retry of a disk that could not be written; each next one waits longer. */
  readonly spillRetryMs: number;
  /** A process keeps a pulled copy for so long after its last use. */
  readonly copyLingerMs: number;
  /**
   * A thread that got handles of actors collects garbage after so long, or up to ten times that if
   * it takes long, and while it still has any again after twice as long each time: an actor lives
   * until they are collected. 0: never.
   */
  readonly handleCollectMs: number;
}

export const defaultConfig: Config = {
  inlineBytesMax: 65_536,
  pipelineAheadMs: 1,
  pipelineDepthMax: 1024,
  pendingLeaseRequestsMax: 10,
  idleLeaseMs: 500,
  leaseTurnMs: 500,
  leaseQueueMax: 100_000,
  taskWorkersMax: 64,
  actorWorkersMax: 256,
  workerStartTimeoutMs: 60_000,
  workerStartFailuresMax: 3,
  taskOomRetriesMax: 3,
  taskOomRetryDelayMs: 200,
  maxLineageBytes: 1024 ** 3,
  workerHeapMbMax: 2048,
  memoryUsageThreshold: 0.95,
  memoryMonitorMs: 250,
  heartbeatMs: 1000,
  linkTimeoutMs: 5000,
  linkWindowBytes: 16 * 1024 * 1024,
  healthTimeoutMs: 15_000,
  gcsReconnectMs: 60_000,
  resourceReportMs: 50,
  forceGraceMs: 100,
  arenaChunkBytes: 4 * 1024 * 1024,
  deadlockProbeMs: 200,
  stateTimeoutMs: 2000,
  endedTasksKept: 1000,
  recordRefCreationSites: 0,
  pullChunkBytes: 5 * 1024 * 1024,
  pullBytesInFlightMax: 64 * 1024 * 1024,
  pullRoomTimeoutMs: 10_000,
  fallbackBytesMax: 2 ** 40,
  overflowBytesMax: 2 ** 40,
  overflowGraceMs: 500,
  spillThreshold: 0.8,
  minSpillBytes: 100 * 1024 * 1024,
  ioWorkers: 2,
  spillDiskUsedMax: 0.95,
  spillRetryMs: 100,
  copyLingerMs: 1000,
  handleCollectMs: 1000,
};

/** Throws a TypeError or RangeError that names the entry. */
export function withOverrides(overrides: Readonly<Record<string, unknown>>): Config {
  const config: Record<string, number> = { ...defaultConfig };
  for (const [name, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(defaultConfig, name)) {
      const known = Object.keys(defaultConfig).join(", ");
      throw new TypeError(`systemConfig has no entry ${JSON.stringify(name)}; it has: ${known}`);
    }
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw new RangeError(
        `systemConfig.${name} must be a number of at least 0, got ${String(value)}`,
      );
    }
    config[name] = value;
  }
  return config as unknown as Config;
}
