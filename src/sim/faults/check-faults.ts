/** Whether a plan of faults means something in a world: every field, before anything runs. */
import { messageNumbers } from "#engine/protocol/codec/codec.ts";
import {
  builtKinds,
  collectOrders,
  diskFaults,
  type Fault,
  type FaultKind,
  hostileKinds,
  momentSides,
  rpcInstants,
} from "./fault.ts";
import { fileMoments } from "./moments.ts";
import type { SimOptions } from "#sim/options.ts";

/** In the specification, and why they have to wait. */
const laterKinds: Partial<Record<FaultKind, string>> = {
  crashGcs: "it comes with the durability of the GCS",
};

interface Rule {
  readonly must: string;
  readonly type: "number" | "string" | "boolean" | "object";
  readonly isOptional?: true;
  /** Of a value of the type. */
  accepts(value: never, nodeCount: number): boolean;
}

function numbers(must: string, accepts: (value: number) => boolean): Rule {
  return { must, type: "number", accepts };
}

function oneOf(names: readonly string[]): Rule {
  const accepts = (value: string): boolean => names.includes(value);
  return { must: `one of ${names.join(", ")}`, type: "string", accepts };
}

function optional(rule: Rule): Rule {
  return { ...rule, isOptional: true };
}

const isNode = (value: unknown, nodeCount: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < nodeCount;
const at = numbers("a finite number of at least 0", (value) => value >= 0 && value < Infinity);
const forMs = at;
const finite = numbers("a finite number", Number.isFinite);
const count = numbers("an integer of at least 1", (value) => Number.isInteger(value) && value >= 1);
const index = numbers("an integer of at least 0", (value) => Number.isInteger(value) && value >= 0);
const node: Rule = { must: "a node", type: "number", accepts: isNode };
const nodes: Rule = { must: "a list of nodes", type: "object", accepts: Array.isArray };
const flag: Rule = { must: "a boolean", type: "boolean", accepts: () => true };
const probability = numbers("from 0 to 1", (value) => value >= 0 && value <= 1);
const bytesPerMs = numbers("a finite number above 0", (value) => value > 0 && value < Infinity);
const ppm = numbers("above -1000000, at most 1000000", (value) => value > -1e6 && value <= 1e6);
const method: Rule = { must: "the name of a message", type: "string", accepts: () => true };
const harm = { from: node, to: node, probability, forMs };

/** Besides `at` and `kind`. */
const fieldsOf: Partial<Record<FaultKind, Readonly<Record<string, Rule>>>> = {
  crash: {
    node,
    restartAfterMs: optional(at),
    sameId: optional(flag),
    keepDisk: optional(flag),
  },
  crashWorker: { node: optional(node), worker: optional(index) },
  crashDriver: { node: optional(node), worker: optional(index) },
  crashAfter: {
    method,
    who: oneOf(momentSides),
    skip: index,
    count,
    wholeNode: flag,
    driver: optional(flag),
  },
  pause: { node, forMs },
  partition: { from: nodes, to: nodes, oneWay: optional(flag), forMs },
  slowLink: { from: node, to: node, delayMs: forMs, bytesPerMs: optional(bytesPerMs), forMs },
  memoryPressure: { node, bytes: count, forMs },
  hold: { from: node, to: node, forMs },
  clockDrift: { node, ppm, forMs },
  clockJump: { node, byMs: finite },
  drop: harm,
  duplicate: harm,
  reorder: harm,
  rpc: { method, instant: oneOf(rpcInstants), count },
  collect: { node, order: oneOf(collectOrders) },
  disk: { node, what: oneOf(diskFaults), forMs },
};

/** Throws TypeError or RangeError naming the fault by its position. */
export function checkFaults(faults: readonly Fault[], nodeCount: number, isHostile: boolean): void {
  if (!Array.isArray(faults)) throw new TypeError(`faults must be a list, got ${String(faults)}`);
  for (const [i, fault] of (faults as readonly Fault[]).entries()) {
    checkFault(fault, `faults[${i}]`, { nodeCount, isHostile });
  }
}

/** `where`: what the message begins with. */
export function checkFault(
  fault: Fault,
  where: string,
  world: { readonly nodeCount: number; readonly isHostile: boolean },
): void {
  if (typeof fault !== "object" || fault === null) {
    throw new TypeError(`${where} must be an object, got ${String(fault)}`);
  }
  const { nodeCount, isHostile } = world;
  checkKind(fault.kind, where, isHostile);
  checkFields(fault, where, nodeCount);
  checkMeaning(fault, where, nodeCount);
}

export function checkChaos(chaos: SimOptions["chaos"], isHostile: boolean): void {
  if (chaos === undefined || typeof chaos === "boolean") return;
  if (typeof chaos !== "object" || chaos === null) {
    throw new TypeError(`chaos must be a boolean or an object, got ${String(chaos)}`);
  }
  const unknown = Object.keys(chaos).find((name) => name !== "kinds" && name !== "intensity");
  if (unknown !== undefined) {
    throw new TypeError(`chaos has no field ${unknown}; it has: kinds, intensity`);
  }
  const { kinds = [], intensity = 1 } = chaos;
  if (!Array.isArray(kinds)) {
    throw new TypeError(`chaos.kinds must be a list, got ${String(kinds)}`);
  }
  for (const kind of kinds) checkKind(kind, "chaos.kinds", isHostile);
  if (typeof intensity === "number" && intensity >= 0 && intensity < Infinity) return;
  throw new RangeError(`chaos.intensity must be a number of at least 0, got ${String(intensity)}`);
}

export function checkKind(kind: FaultKind, where: string, isHostile: boolean): void {
  const why = Object.hasOwn(laterKinds, kind) ? laterKinds[kind] : undefined;
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

function checkFields(fault: Fault, where: string, nodeCount: number): void {
  const rules: Readonly<Record<string, Rule>> = { at, ...fieldsOf[fault.kind] };
  const values = fault as unknown as Readonly<Record<string, unknown>>;
  for (const [name, rule] of Object.entries(rules)) {
    const value = values[name];
    if (value === undefined && rule.isOptional) continue;
    if (typeof value === rule.type && rule.accepts(value as never, nodeCount)) continue;
    const must = rule === node ? `${rule.must}, 0 to ${nodeCount - 1}` : rule.must;
    const message = `${where}.${name} must be ${must}, got ${JSON.stringify(value) ?? "nothing"}`;
    throw typeof value === "number" ? new RangeError(message) : new TypeError(message);
  }
  const unknown = Object.keys(values).find((name) => name !== "kind" && !(name in rules));
  if (unknown === undefined) return;
  const known = Object.keys(rules).join(", ");
  throw new TypeError(`${where}: ${fault.kind} has no field ${unknown}; it has: ${known}`);
}

/** What one field alone does not tell. */
function checkMeaning(fault: Fault, where: string, nodeCount: number): void {
  switch (fault.kind) {
    case "crash":
      if (fault.sameId === true && fault.restartAfterMs === undefined) {
        throw new TypeError(`${where}: sameId is of a node that comes back: give restartAfterMs`);
      }
      if (fault.node > 0) return;
      throw new TypeError(`${where}: node 0 hosts the GCS, whose crash comes with its durability`);
    case "partition":
      for (const name of ["from", "to"] as const) {
        for (const [i, number] of fault[name].entries()) {
          if (isNode(number, nodeCount)) continue;
          const range = `a node, 0 to ${nodeCount - 1}, got ${JSON.stringify(number)}`;
          throw new RangeError(`${where}.${name}[${i}] must be ${range}`);
        }
      }
      for (const number of fault.from) {
        if (!fault.to.includes(number)) continue;
        throw new RangeError(
          `${where}: a partition is between nodes, and node ${number} is on both sides`,
        );
      }
      return;
    case "drop":
    case "duplicate":
    case "reorder":
      if (fault.from !== fault.to) return;
      throw new RangeError(
        `${where}: ${fault.kind} acts between two nodes, and from and to are the same: inside a ` +
          "node frames travel in rings, which lose nothing",
      );
    case "rpc":
    case "crashAfter":
      if (fault.kind === "rpc" && nodeCount === 1) {
        throw new RangeError(`${where}: rpc cuts links between nodes, and the world has one node`);
      }
      if (Object.hasOwn(messageNumbers, fault.method)) return;
      if (fault.kind === "crashAfter" && isOneOf(fileMoments, fault.method)) {
        if (fault.who === "sender") return;
        throw new TypeError(`${where}: ${fault.method} has no receiver: who must be "sender"`);
      }
      throw new TypeError(
        `${where}.method: no message is called ${JSON.stringify(fault.method)}; they are: ` +
          Object.keys(messageNumbers).join(", "),
      );
    default:
  }
}

function isOneOf(names: readonly string[], name: string): boolean {
  return names.includes(name);
}
