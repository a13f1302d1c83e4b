/** Faults as plain values: when, what, whom. A plan is a list of them; it shrinks and replays. */

import { messageNumbers } from "#engine/protocol/codec/codec.ts";

/** `at` and `forMs` in virtual milliseconds, nodes and workers by number. */
export type Fault =
  /** Power cut: no finalizer runs. */
  | { at: number; kind: "crash"; node: number; restartAfterMs?: number; keepDisk?: boolean }
  | {
      at: number;
      kind: "crashWorker" | "crashGcs" | "crashDriver";
      node?: number;
      worker?: number;
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
      what: "full" | "ioError" | "lostFsync" | "tornWrite" | "bitRot" | "slow";
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
] as const satisfies readonly FaultKind[];

export type BuiltKind = (typeof builtKinds)[number];

/** What the contract forbids: `hostile: true` only. */
export const hostileKinds = ["duplicate", "reorder"] as const satisfies readonly FaultKind[];

/** In the specification, and why they have to wait. */
const laterKinds: Partial<Record<FaultKind, string>> = {
  crashGcs: "it comes with the durability of the GCS",
  memoryPressure: "it comes with the memory monitor",
  disk: "nothing of the engine writes to a disk yet",
};

/** Names of messages that may travel between nodes, as `rpc` takes them. */
const methods: ReadonlySet<string> = new Set(Object.keys(messageNumbers));
const instants: readonly string[] = ["beforeSend", "whileHandled", "replyLost"];

/** Throws TypeError or RangeError naming the fault by its position. */
export function checkFaults(faults: readonly Fault[], nodeCount: number, isHostile: boolean): void {
  for (const [i, fault] of faults.entries()) {
    const where = `faults[${i}]`;
    if (typeof fault !== "object" || fault === null) {
      throw new TypeError(`${where} must be an object, got ${String(fault)}`);
    }
    checkKind(fault.kind, where, isHostile);
    checkNumbers(fault, where);
    checkNodes(fault, where, nodeCount);
    if (fault.kind === "rpc") checkRpc(fault, where);
  }
}

function checkKind(kind: FaultKind, where: string, isHostile: boolean): void {
  const why = laterKinds[kind];
  if (why !== undefined) {
    throw new TypeError(`${where}: the fault ${kind} is specified but not built yet: ${why}`);
  }
  if ((hostileKinds as readonly string[]).includes(kind)) {
    if (isHostile) return;
    throw new TypeError(
      `${where}: ${kind} breaks the transport's contract: hostile: true allows it`,
    );
  }
  if (!(builtKinds as readonly string[]).includes(kind)) {
    throw new TypeError(`${where}: unknown kind ${JSON.stringify(kind)}`);
  }
}

function checkNumbers(fault: Fault, where: string): void {
  const values = fault as Partial<Record<string, unknown>>;
  for (const name of ["at", "forMs", "delayMs", "restartAfterMs", "bytesPerMs", "count"]) {
    const value = values[name];
    if (value === undefined && name !== "at") continue;
    if (typeof value === "number" && value >= 0) continue;
    throw new RangeError(`${where}.${name} must be a number of at least 0, got ${String(value)}`);
  }
  const { probability } = values;
  if (probability === undefined) return;
  if (typeof probability === "number" && probability >= 0 && probability <= 1) return;
  throw new RangeError(`${where}.probability must be from 0 to 1, got ${String(probability)}`);
}

function checkNodes(fault: Fault, where: string, nodeCount: number): void {
  const check = (node: unknown, name: string): void => {
    if (typeof node === "number" && Number.isInteger(node) && node >= 0 && node < nodeCount) return;
    const range = `0 to ${nodeCount - 1}`;
    throw new RangeError(`${where}.${name} must be a node, ${range}, got ${String(node)}`);
  };
  for (const name of ["node", "from", "to"] as const) {
    const given = (fault as Partial<Record<string, unknown>>)[name];
    if (given === undefined) continue;
    if (Array.isArray(given)) given.forEach((node, i) => check(node, `${name}[${i}]`));
    else check(given, name);
  }
  if (fault.kind === "crash" && fault.node === 0) {
    throw new TypeError(`${where}: node 0 hosts the GCS, whose crash comes with its durability`);
  }
}

function checkRpc({ method, instant }: Extract<Fault, { kind: "rpc" }>, where: string): void {
  if (!methods.has(method)) {
    throw new TypeError(`${where}.method: no message is called ${JSON.stringify(method)}`);
  }
  if (!instants.includes(instant)) {
    const known = instants.join(", ");
    throw new TypeError(`${where}.instant must be one of ${known}, got ${JSON.stringify(instant)}`);
  }
}
