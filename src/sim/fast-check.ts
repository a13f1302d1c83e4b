/**
 * "mobula/sim/fast-check": faults, choices and options as values that fast-check shrinks and
 * replays.
 */
import * as fc from "fast-check";
import { checkAmount, checkInteger, checkOptions, kindError } from "#api/option-checks.ts";
import { checkKind } from "./faults/check-faults.ts";
import {
  type BuiltKind,
  collectOrders,
  diskFaults,
  type Fault,
  type FaultKind,
  farKinds,
  farMethods,
  hostileKinds,
  kindsFor,
  momentMethods,
  momentSides,
  rpcInstants,
} from "./faults/fault.ts";
import { fileMoments } from "./faults/moments.ts";
import { type Failure, signatureOf } from "./shrinking/failure-signature.ts";
import { AboutOneFailure } from "./shrinking/one-failure.ts";
import type { SimOptions } from "./options.ts";

export { type Failure, signatureOf } from "./shrinking/failure-signature.ts";

export interface FaultsOptions {
  nodes?: number;
  kinds?: readonly FaultKind[];
  maxFaults?: number;
  withinMs?: number;
}

/** A plan of faults; shrinks to fewer, earlier and milder ones. */
export function faults(options: FaultsOptions = {}): fc.Arbitrary<Fault[]> {
  checkOptions("faults", options, ["nodes", "kinds", "maxFaults", "withinMs"]);
  const { nodes = 3, maxFaults = 6, withinMs = 2_000 } = options;
  checkInteger("faults: nodes", nodes, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("faults: maxFaults", maxFaults, 0, Number.MAX_SAFE_INTEGER);
  checkAmount("faults: withinMs", withinMs);
  const kinds = checkKinds(options.kinds ?? kindsFor(nodes, false), nodes);
  const arbitraries = kinds.map((kind) => faultOf(kind, nodes, withinMs));
  return new AboutOneFailure(fc.array(fc.oneof(...arbitraries), { maxLength: maxFaults }));
}

/**
 * Which step comes next, where several could; 0 is first come, first served. Shrinks by zeroing
 * blocks, then single choices, then by dropping what comes after the last that matters.
 */
export function choices(options: { maxLength?: number } = {}): fc.Arbitrary<number[]> {
  checkOptions("choices", options, ["maxLength"]);
  const { maxLength = 200 } = options;
  if (!Number.isSafeInteger(maxLength) || maxLength < 0) {
    throw new RangeError(`choices: maxLength must be an integer of at least 0, got ${maxLength}`);
  }
  return new AboutOneFailure(new Choices(maxLength));
}

/**
 * Everything a run depends on but the program. What the first `check()` of a case throws for stays
 * what it shrinks to: a smaller one that fails in another way is passed over.
 */
export function simOptions(
  options: { nodes?: number; kinds?: readonly FaultKind[] } = {},
): fc.Arbitrary<SimOptions> {
  checkOptions("simOptions", options, ["nodes", "kinds"]);
  const { nodes = 3, kinds } = options;
  checkInteger("simOptions: nodes", nodes, 1, Number.MAX_SAFE_INTEGER);
  const isHostile = hostileKinds.some((kind) => kinds?.includes(kind));
  return fc.record({
    seed: fc.noShrink(fc.integer({ min: 0 })),
    nodes: fc.constant(nodes),
    faults: faults(kinds === undefined ? { nodes } : { nodes, kinds }),
    choices: choices(),
    ...(isHostile ? { hostile: fc.constant(true) } : {}),
  });
}

/**
 * For one property whose runs are judged by hand, not by `check()`: throws for the first failures
 * it sees, and from then on only for failures of the same oracle on the same kind of entity.
 */
export function sameFailure(): (failures: readonly Failure[]) => void {
  let found: string | null = null;
  return (failures) => {
    const [first] = failures;
    if (first === undefined) return;
    found ??= signatureOf(first);
    const same = failures.find((failure) => signatureOf(failure) === found);
    if (same === undefined) return;
    const error = new Error(`${same.oracle}: ${same.message} (${same.entity})`);
    error.name = "SimulationFailure";
    throw error;
  };
}

/** A hostile kind must be named, and its world be hostile. */
function checkKinds(kinds: readonly FaultKind[], nodes: number): BuiltKind[] {
  if (!Array.isArray(kinds)) throw kindError("faults: kinds", "a list", kinds);
  if (kinds.length === 0) throw new RangeError("faults: kinds must not be empty");
  return (kinds as readonly FaultKind[]).map((kind) => {
    checkKind(kind, "faults: kinds", true);
    if (nodes === 1 && farKinds.includes(kind)) {
      throw new RangeError(`faults: ${kind} needs more than one node`);
    }
    return kind as BuiltKind;
  });
}

// Short ones, and some longer than a session, or a node, is waited for.
const forMs = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 25_000 }));

function faultOf(kind: BuiltKind, nodes: number, withinMs: number): fc.Arbitrary<Fault> {
  const at = timesWithin(withinMs);
  const node = fc.integer({ min: 0, max: nodes - 1 });
  switch (kind) {
    case "crash": {
      const crashed = fc.integer({ min: 1, max: nodes - 1 });
      const restartAfterMs = fc.integer({ min: 0, max: 20_000 });
      const fields = { at, kind: fc.constant(kind), node: crashed };
      const again = { ...fields, restartAfterMs };
      const sameId = fc.constant(true);
      return fc.oneof(fc.record(fields), fc.record(again), fc.record({ ...again, sameId }));
    }
    case "crashAfter":
      return moments(at);
    case "crashDriver":
      return fc.record({ at, kind: fc.constant(kind) });
    case "crashWorker":
      return fc.record(
        { at, kind: fc.constant(kind), node, worker: fc.nat(3) },
        { requiredKeys: ["at", "kind", "node"] },
      );
    case "pause":
      return fc.record({ at, kind: fc.constant(kind), node, forMs });
    case "memoryPressure": {
      const bytes = fc.oneof(
        fc.integer({ min: 1, max: 1 << 20 }),
        fc.integer({ min: 1, max: 1 << 25 }),
      );
      return fc.record({ at, kind: fc.constant(kind), node, bytes, forMs });
    }
    case "clockDrift": {
      const ppm = fc.integer({ min: -1_000, max: 1_000 });
      return fc.record({ at, kind: fc.constant(kind), node, ppm, forMs });
    }
    case "clockJump": {
      const byMs = fc.integer({ min: -10_000, max: 10_000 });
      return fc.record({ at, kind: fc.constant(kind), node, byMs });
    }
    case "collect": {
      const order = fc.constantFrom(...collectOrders);
      return fc.record({ at, kind: fc.constant(kind), node, order });
    }
    case "disk": {
      const what = fc.constantFrom(...diskFaults);
      return fc.record({ at, kind: fc.constant(kind), node, what, forMs });
    }
    default:
      return linkFaultOf(kind, nodes, at);
  }
}

/** The moment is the message: so as a rule it is waited for from the beginning. */
function moments(at: fc.Arbitrary<number>): fc.Arbitrary<Fault> {
  const fields = {
    at: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: at }),
    kind: fc.constant("crashAfter" as const),
    skip: fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(30) }),
    count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 4 })),
    wholeNode: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
  };
  const method = fc.constantFrom(...momentMethods);
  const ofMessages = fc.record({ ...fields, method, who: fc.constantFrom(...momentSides) });
  const file = fc.constantFrom(...fileMoments);
  const ofFiles = fc.record({ ...fields, method: file, who: fc.constant("sender" as const) });
  return fc.oneof({ weight: 12, arbitrary: ofMessages }, { weight: 1, arbitrary: ofFiles });
}

function linkFaultOf(
  kind: "slowLink" | "hold" | "partition" | "drop" | "duplicate" | "reorder" | "rpc",
  nodes: number,
  at: fc.Arbitrary<number>,
): fc.Arbitrary<Fault> {
  const node = fc.integer({ min: 0, max: nodes - 1 });
  switch (kind) {
    case "slowLink": {
      const delayMs = fc.integer({ min: 1, max: 100 });
      const fields = { at, kind: fc.constant(kind), from: node, to: node, delayMs, forMs };
      const bytesPerMs = fc.integer({ min: 1, max: 1_000 });
      return fc.oneof(fc.record(fields), fc.record({ ...fields, bytesPerMs }));
    }
    case "hold":
      return fc.record({ at, kind: fc.constant(kind), from: node, to: node, forMs });
    case "partition": {
      const all = Array.from({ length: nodes }, (_, number) => number);
      const from = fc.subarray(all, { minLength: 1, maxLength: nodes - 1 });
      const fields = { at, kind: fc.constant(kind), from, forMs, oneWay: fc.boolean() };
      const othersOf = (side: readonly number[]): number[] =>
        all.filter((number) => !side.includes(number));
      return fc.record(fields, { requiredKeys: ["at", "kind", "from", "forMs"] }).map(
        (fault) => ({ ...fault, to: othersOf(fault.from) }),
        (fault) => {
          const { to, ...rest } = asLinkFault<number[]>(fault, Array.isArray);
          if (String(to) !== String(othersOf(rest.from))) throw notDrawn;
          return rest as never;
        },
      );
    }
    case "rpc":
      return fc.record({
        at,
        kind: fc.constant(kind),
        method: fc.constantFrom(...farMethods),
        instant: fc.constantFrom(...rpcInstants),
        count: fc.integer({ min: 1, max: 4 }),
      });
    default: {
      const probability = partsOf(100, fc.integer({ min: 0, max: 50 }));
      const steps = fc.integer({ min: 1, max: nodes - 1 });
      const fields = { at, kind: fc.constant(kind), from: node, steps, probability, forMs };
      return fc.record(fields).map(
        ({ steps: far, ...fault }) => ({ ...fault, to: (fault.from + far) % nodes }),
        (fault) => {
          const { to, ...rest } = asLinkFault<number>(fault, Number.isInteger);
          return { ...rest, steps: (to - rest.from + nodes) % nodes } as never;
        },
      );
    }
  }
}

/** Most programs are over in a few virtual milliseconds, so early ones come more often. */
function timesWithin(ms: number): fc.Arbitrary<number> {
  const tenths = (max: number): fc.Arbitrary<number> =>
    partsOf(10, fc.integer({ min: 0, max: Math.round(Math.min(max, ms) * 10) }));
  return fc.oneof(tenths(2), tenths(20), tenths(200), tenths(ms));
}

// What is mapped has its way back, so that values given by hand shrink as drawn ones do.

const notDrawn = new TypeError("no such value is drawn");

function partsOf(whole: number, counts: fc.Arbitrary<number>): fc.Arbitrary<number> {
  return counts.map(
    (count) => count / whole,
    (value) => {
      const count = Math.round(Number(value) * whole);
      if (count / whole !== value) throw notDrawn;
      return count;
    },
  );
}

/** What else its fields must be, their own arbitraries tell. */
function asLinkFault<Side>(value: unknown, isSide: (side: unknown) => boolean) {
  const { from, to } = (value ?? {}) as { from?: unknown; to?: unknown };
  if (!isSide(from) || !isSide(to)) throw notDrawn;
  return value as { from: Side; to: Side };
}

/** Most choices of a run do not matter: so blocks of them become 0 first. */
class Choices extends fc.Arbitrary<number[]> {
  readonly #maxLength: number;

  constructor(maxLength: number) {
    super();
    this.#maxLength = maxLength;
  }

  override generate(random: fc.Random): fc.Value<number[]> {
    const length = random.nextInt(0, this.#maxLength);
    // Half of the runs begin in order of arrival: a fault of order needs few choices as a rule.
    const density = random.nextInt(0, 1) === 0 ? 8 : 1;
    const list = Array.from({ length }, () => {
      return random.nextInt(0, density - 1) === 0 ? random.nextInt(0, 7) : 0;
    });
    return new fc.Value(list, undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is number[] {
    return Array.isArray(value) && value.every((choice) => Number.isInteger(choice) && choice >= 0);
  }

  override shrink(value: number[]): fc.Stream<fc.Value<number[]>> {
    return fc.stream(shrunken(value)).map((list) => new fc.Value(list, undefined));
  }
}

function* shrunken(value: readonly number[]): IterableIterator<number[]> {
  const last = value.findLastIndex((choice) => choice !== 0);
  if (last + 1 < value.length) yield value.slice(0, last + 1);
  for (let size = last + 1; size >= 1; size = size === 1 ? 0 : size >> 1) {
    for (let from = 0; from <= last; from += size) {
      const block = value.slice(from, from + size);
      if (block.every((choice) => choice === 0)) continue;
      yield [...value.slice(0, from), ...block.map(() => 0), ...value.slice(from + size)];
    }
  }
  for (let i = 0; i <= last; i++) {
    const choice = value[i] ?? 0;
    if (choice > 1) yield [...value.slice(0, i), choice - 1, ...value.slice(i + 1)];
  }
}
