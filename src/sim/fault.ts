/** Faults as plain values: when, what, whom. A plan is a list of them; it shrinks and replays. */

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

/** What this version of the engine can suffer: one node's threads, its clocks, its garbage. */
export const builtKinds = [
  "crashWorker",
  "pause",
  "slowLink",
  "hold",
  "clockDrift",
  "clockJump",
  "collect",
] as const satisfies readonly FaultKind[];

/** In the specification; they need several nodes, a disk or a transport that can be cut. */
const laterKinds: readonly FaultKind[] = [
  "crash",
  "crashGcs",
  "crashDriver",
  "partition",
  "memoryPressure",
  "drop",
  "duplicate",
  "reorder",
  "rpc",
  "disk",
];

/** Throws TypeError or RangeError naming the fault by its position. */
export function checkFaults(faults: readonly Fault[], nodeCount: number): void {
  for (const [i, fault] of faults.entries()) {
    const where = `faults[${i}]`;
    if (typeof fault !== "object" || fault === null) {
      throw new TypeError(`${where} must be an object, got ${String(fault)}`);
    }
    const { kind, at } = fault;
    if ((laterKinds as readonly string[]).includes(kind)) {
      throw new TypeError(`${where}: the fault ${kind} is specified but not built yet`);
    }
    if (!(builtKinds as readonly string[]).includes(kind)) {
      throw new TypeError(`${where}: unknown kind ${JSON.stringify(kind)}`);
    }
    if (typeof at !== "number" || !(at >= 0)) {
      throw new RangeError(`${where}.at must be a number of at least 0, got ${String(at)}`);
    }
    for (const name of ["node", "from", "to"] as const) {
      const node = (fault as Partial<Record<string, unknown>>)[name];
      if (node === undefined) continue;
      if (typeof node !== "number" || !Number.isInteger(node) || node < 0 || node >= nodeCount) {
        const range = `0 to ${nodeCount - 1}`;
        throw new RangeError(`${where}.${name} must be a node, ${range}, got ${String(node)}`);
      }
    }
  }
}
