/** Faults as plain values: when, what, whom. A plan is a list of them; it shrinks and replays. */
import type { DiskFault } from "#sim/cluster/disk.ts";
import type { MessageType } from "#engine/protocol/message.ts";

/** `at` and `forMs` in virtual milliseconds, nodes and workers by number. */
export type Fault =
  /**
   * Power cut: no finalizer runs. The machine comes back as a new node, or with `sameId` as one
   * that says it is the old one: nobody believes it, and it starts once more as a new one. Its disk
   * is empty then, but with `keepDisk`: that has what a power cut leaves.
   */
  | {
      at: number;
      kind: "crash";
      node: number;
      restartAfterMs?: number;
      sameId?: boolean;
      keepDisk?: boolean;
    }
  | {
      at: number;
      kind: "crashWorker" | "crashGcs" | "crashDriver";
      node?: number;
      worker?: number;
    }
  /**
   * Whoever sends, or has taken, such a message ends right behind it; with `wholeNode` its machine
   * too. Of those it could hit the first `skip` are let go, each of the next `count` costs one.
   * `fileBegun` and `fileWritten` are moments of who writes a file for itself, as its sender: it
   * ends before the file is whole, or when it is and nobody has been told. The driver is hit with
   * `driver` only.
   */
  | {
      at: number;
      kind: "crashAfter";
      method: string;
      who: "sender" | "receiver";
      skip: number;
      count: number;
      wholeNode: boolean;
      driver?: boolean;
    }
  /** A stall, as of garbage collection; then it goes on as if nothing had been. */
  | { at: number; kind: "pause"; node: number; forMs: number }
  | {
      at: number;
      kind: "partition";
      from: number[];
      to: number[];
      oneWay?: boolean;
      forMs: number;
    }
  | {
      at: number;
      kind: "slowLink";
      from: number;
      to: number;
      delayMs: number;
      bytesPerMs?: number;
      forMs: number;
    }
  /** Kept, in order, then released. */
  | { at: number; kind: "hold"; from: number; to: number; forMs: number }
  /** Of the node's object store: another process takes so many bytes, or what there is. */
  | { at: number; kind: "memoryPressure"; node: number; bytes: number; forMs: number }
  | { at: number; kind: "clockDrift"; node: number; ppm: number; forMs: number }
  | {
      at: number;
      kind: "drop" | "duplicate" | "reorder";
      from: number;
      to: number;
      probability: number;
      forMs: number;
    }
  | {
      at: number;
      kind: "rpc";
      method: string;
      instant: "beforeSend" | "whileHandled" | "replyLost";
      count: number;
    }
  | { at: number; kind: "clockJump"; node: number; byMs: number }
  | {
      at: number;
      kind: "disk";
      node: number;
      what: DiskFault;
      forMs: number;
    }
  /** Garbage collection of what the program has dropped. */
  | { at: number; kind: "collect"; node: number; order: "oldest" | "newest" | "random" };

export type FaultKind = Fault["kind"];

/** What this version of the engine can suffer in a world that keeps the transport's contract. */
export const builtKinds = [
  "crashWorker",
  "pause",
  "slowLink",
  "hold",
  "clockDrift",
  "clockJump",
  "collect",
  "crash",
  "partition",
  "drop",
  "rpc",
  "crashDriver",
  "memoryPressure",
  "crashAfter",
  "disk",
] as const satisfies readonly FaultKind[];

/** What the contract forbids: `hostile: true` only. */
export const hostileKinds = ["duplicate", "reorder"] as const satisfies readonly FaultKind[];

export type BuiltKind = (typeof builtKinds)[number] | (typeof hostileKinds)[number];

/** They act between nodes, or on any but the head. */
export const farKinds: readonly FaultKind[] = [
  "crash",
  "partition",
  "drop",
  "rpc",
  "duplicate",
  "reorder",
];

/** What a plan has unless it names kinds: not the end of the driver, and so of the program. */
export function kindsFor(nodeCount: number, isHostile: boolean): BuiltKind[] {
  return [...builtKinds, ...(isHostile ? hostileKinds : [])].filter((kind) => {
    return kind !== "crashDriver" && (nodeCount > 1 || !farKinds.includes(kind));
  });
}

/** Messages that travel between nodes in daily life: `rpc` is drawn among them. */
export const farMethods = [
  "requestWorkerLease",
  "leaseGranted",
  "releaseLease",
  "pushTask",
  "taskReply",
  "subscribeObject",
  "objectState",
  "createHolds",
  "holdsCreated",
  "confirmHolds",
  "registerActor",
  "createActor",
  "actorState",
  "locateObject",
  "objectLocations",
  "pullChunk",
  "chunk",
  "copyAdded",
  "freeObjects",
] as const satisfies readonly MessageType[];

/** Behind these a process may leave something half done: `crashAfter` is drawn among them. */
export const momentMethods = [
  // Refs and results travel in these: they come more often than the others.
  ...(["pushTask", "taskReply", "createHolds", "objectSealed", "pullChunk"] as const),
  ...(["pushTask", "taskReply", "takenBack", "taskBlocked"] as const),
  ...(["requestWorkerLease", "leaseGranted", "releaseLease", "leaseRevoked"] as const),
  ...(["subscribeObject", "objectState", "releaseHolds"] as const),
  ...(["createHolds", "holdsCreated", "confirmHolds", "queryHolds", "holdsQueried"] as const),
  ...(["createActor", "constructActor", "actorConstructed", "actorState"] as const),
  ...(["cancelTask", "cancelObject", "taskStarted", "doomLease"] as const),
  ...(["objectSealed", "objectsKept", "locateObject", "objectLocations"] as const),
  ...(["pullObject", "pullChunk", "chunk", "objectLocal"] as const),
  ...(["askBuffers", "buffersCopied"] as const),
  ...(["offerObjects", "objectsOffered", "objectsKept", "objectWritten"] as const),
  ...(["revokePlaces", "placesRevoked"] as const),
  ...(["copyAdded", "copyGone", "pinCopy", "copyPinned", "freeObjects"] as const),
] as const satisfies readonly MessageType[];

export const rpcInstants = ["beforeSend", "whileHandled", "replyLost"] as const;
export const momentSides = ["sender", "receiver"] as const;
export const diskFaults = [
  "full",
  "ioError",
  "lostFsync",
  "tornWrite",
  "bitRot",
  "slow",
] as const satisfies readonly DiskFault[];
export const collectOrders = ["oldest", "newest", "random"] as const;
