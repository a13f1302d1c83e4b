/** Which kinds of faults a run gets, how often each, when and whom, all drawn from its seed. */
import type { Prng } from "#engine/common/prng.ts";
import {
  type BuiltKind,
  builtKinds,
  collectOrders,
  diskFaults,
  type Fault,
  farKinds,
  farMethods,
  hostileKinds,
  kindsFor,
  momentMethods,
  momentSides,
  rpcInstants,
} from "./fault.ts";
import { fileMoments } from "./moments.ts";
import type { SimOptions } from "#sim/options.ts";

const withinMs = 2_000;
const faultsPerIntensity = 6;
/** Most are short; some are longer than a session, or a node, is waited for. */
const longestMs = [500, 500, 8_000, 25_000] as const;

/** A kind comes as often as its weight beside the sum of all. */
const weightsOfKinds = [1, 1, 2, 4] as const;

export interface FaultChance {
  readonly random: Prng;
  /** A stream of its own: other weights do not move the faults. */
  readonly weighing: Prng;
  readonly nodeCount: number;
}

export interface DrawnFaults {
  readonly faults: Fault[];
  readonly weights: readonly (readonly [kind: BuiltKind, weight: number])[];
}

/** Few programs write files for themselves, but those do it again and again. */
const fileMomentOneIn = 12;

/** Some of a store, most of it, all that is free. */
const pressureBytes = [1 << 20, 12 << 20, 1 << 30] as const;

export function drawFaults(options: SimOptions, chance: FaultChance): DrawnFaults {
  const { chaos, hostile = false } = options;
  const { random, weighing, nodeCount } = chance;
  const { kinds, intensity = 1 } = typeof chaos === "object" ? chaos : {};
  const wanted = kinds === undefined ? kindsFor(nodeCount, hostile) : chosen(kinds, options);
  const legal = wanted.filter((kind) => nodeCount > 1 || !farKinds.includes(kind));
  // A run with few kinds digs deeper than one with all of them.
  const drawn = legal.filter(() => random.below(2) === 0);
  const subset = drawn.length === 0 ? legal : drawn;
  if (subset.length === 0) return { faults: [], weights: [] };
  const weights = subset.map((kind) => [kind, oneOf(weightsOfKinds, weighing)] as const);
  const byWeight = weights.flatMap(([kind, weight]) => Array<BuiltKind>(weight).fill(kind));
  const count = random.below(Math.ceil(faultsPerIntensity * intensity) + 1);
  const faults = Array.from({ length: count }, () => {
    return new Draw(random, nodeCount).fault(oneOf(byWeight, random));
  });
  return { faults, weights };
}

/** Those the world does not know are none of ours: the ones in its options are checked there. */
function chosen(kinds: readonly string[], { hostile = false }: SimOptions): BuiltKind[] {
  return [...builtKinds, ...(hostile ? hostileKinds : [])].filter((kind) => kinds.includes(kind));
}

class Draw {
  readonly #random: Prng;
  readonly #nodeCount: number;

  constructor(random: Prng, nodeCount: number) {
    this.#random = random;
    this.#nodeCount = nodeCount;
  }

  fault(kind: BuiltKind): Fault {
    const random = this.#random;
    const at = this.#time();
    const forMs = 1 + random.below(oneOf(longestMs, random));
    const node = random.below(this.#nodeCount);
    switch (kind) {
      case "crash":
        return this.#crash(at);
      case "crashWorker":
        return random.below(2) === 0
          ? { at, kind, node }
          : { at, kind, node, worker: random.below(4) };
      case "crashDriver":
        return { at, kind };
      case "crashAfter":
        return this.#moment(random.below(4) === 0 ? at : 0);
      case "pause":
        return { at, kind, node, forMs };
      case "memoryPressure":
        return { at, kind, node, bytes: oneOf(pressureBytes, random), forMs };
      case "clockDrift":
        return { at, kind, node, ppm: random.below(2_000) - 1_000, forMs };
      case "clockJump":
        return { at, kind, node, byMs: random.below(20_000) - 10_000 };
      case "collect":
        return { at, kind, node, order: oneOf(collectOrders, random) };
      case "disk":
        return { at, kind, node, what: oneOf(diskFaults, random), forMs };
      case "rpc": {
        const [method, instant] = [oneOf(farMethods, random), oneOf(rpcInstants, random)];
        return { at, kind, method, instant, count: 1 + random.below(4) };
      }
      case "partition":
        return { at, kind, ...this.#sides(), oneWay: random.below(3) === 0, forMs };
      case "slowLink": {
        const to = random.below(this.#nodeCount);
        const fault: Fault = { at, kind, from: node, to, delayMs: 1 + random.below(100), forMs };
        return random.below(2) === 0 ? fault : { ...fault, bytesPerMs: 1 + random.below(1_000) };
      }
      case "hold":
        return { at, kind, from: node, to: random.below(this.#nodeCount), forMs };
      default: {
        const to = (node + 1 + random.below(this.#nodeCount - 1)) % this.#nodeCount;
        return { at, kind, from: node, to, probability: random.float() / 2, forMs };
      }
    }
  }

  #moment(at: number): Fault {
    const random = this.#random;
    const fault = {
      at,
      kind: "crashAfter",
      method: oneOf(momentMethods, random),
      who: oneOf(momentSides, random),
      skip: random.below(oneOf([4, 30], random)),
      count: 1 + random.below(oneOf([1, 4], random)),
      wholeNode: random.below(8) === 0,
    } as const;
    // Of a stream of its own: what is drawn beside it stays what it was.
    const writing = random.split(`file of ${JSON.stringify(fault)}`);
    if (writing.below(fileMomentOneIn) > 0) return fault;
    return { ...fault, method: oneOf(fileMoments, writing), who: "sender" };
  }

  /** Most programs are over in a few virtual milliseconds, so early times come more often. */
  #time(): number {
    return this.#random.below(oneOf([2, 20, 200, withinMs], this.#random) * 10) / 10;
  }

  #crash(at: number): Fault {
    const node = 1 + this.#random.below(this.#nodeCount - 1);
    const fault: Fault = { at, kind: "crash", node };
    if (this.#random.below(2) === 0) return fault;
    const restartAfterMs = this.#random.below(20_000);
    // Of a stream of its own: what is drawn beside it stays what it was.
    const keepDisk = this.#random.split(`disk of ${node} at ${at}`).below(4) > 0;
    const again: Fault = { ...fault, restartAfterMs, keepDisk };
    return this.#random.below(3) === 0 ? { ...again, sameId: true } : again;
  }

  /** One node at least on each. */
  #sides(): { from: number[]; to: number[] } {
    const first = this.#random.below(this.#nodeCount);
    const second = (first + 1 + this.#random.below(this.#nodeCount - 1)) % this.#nodeCount;
    const [from, to] = [[first], [second]];
    for (let node = 0; node < this.#nodeCount; node++) {
      if (node === first || node === second) continue;
      (this.#random.below(2) === 0 ? from : to).push(node);
    }
    return { from, to };
  }
}

function oneOf<T>(items: readonly T[], random: Prng): T {
  return items[random.below(items.length)] as T;
}
