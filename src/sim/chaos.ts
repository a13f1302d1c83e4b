/** Swarm: which kinds of faults a run gets, how many, when and whom, all drawn from its seed. */
import type { Prng } from "#engine/common/prng.ts";
import { builtKinds, type Fault } from "./fault.ts";
import type { SimOptions } from "./options.ts";

type BuiltKind = (typeof builtKinds)[number];

const withinMs = 2_000;
const faultsPerIntensity = 6;

export function drawFaults({ chaos }: SimOptions, world: Prng): Fault[] {
  if (chaos === undefined || chaos === false) return [];
  const random = world.split("chaos");
  const { kinds = builtKinds, intensity = 1 } = chaos === true ? {} : chaos;
  const wanted = builtKinds.filter((kind) => kinds.includes(kind));
  // A run with few kinds digs deeper than one with all of them.
  const drawn = wanted.filter(() => random.below(2) === 0);
  const subset = drawn.length === 0 ? wanted : drawn;
  if (subset.length === 0) return [];
  const count = random.below(Math.ceil(faultsPerIntensity * intensity) + 1);
  return Array.from({ length: count }, () => {
    return drawFault(subset[random.below(subset.length)] as BuiltKind, random);
  });
}

export function drawFault(kind: BuiltKind, random: Prng): Fault {
  const at = random.below(withinMs * 10) / 10;
  const forMs = 1 + random.below(500);
  switch (kind) {
    case "crashWorker":
      return { at, kind, node: 0, worker: random.below(4) };
    case "pause":
      return { at, kind, node: 0, forMs };
    case "slowLink":
      return { at, kind, from: 0, to: 0, delayMs: 1 + random.below(100), forMs };
    case "hold":
      return { at, kind, from: 0, to: 0, forMs };
    case "clockDrift":
      return { at, kind, node: 0, ppm: random.below(2_000) - 1_000, forMs };
    case "clockJump":
      return { at, kind, node: 0, byMs: random.below(20_000) - 10_000 };
    case "collect": {
      const orders = ["oldest", "newest", "random"] as const;
      return { at, kind, node: 0, order: orders[random.below(3)] ?? "random" };
    }
  }
}
