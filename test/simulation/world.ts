/** What the worlds of these programs are like: their size by the seed, their length in rounds. */
import type { Fault, SimOptions, Simulation } from "mobula/sim";
import type { Prng } from "#engine/common/prng.ts";

export interface SimProgram {
  readonly program: (sim: Simulation) => Promise<void>;
  readonly options: (seed: number) => Partial<SimOptions>;
}

const roundsMax = 4;
const betweenRoundsMs = 600;

export function worldOf(seed: number): Partial<SimOptions> {
  return { nodes: 1 + (seed % 4), init: { numCpus: 1 + (seed % 3) } };
}

/** Faults come within two virtual seconds: so rounds are spread over them. */
export async function inRounds(sim: Simulation, round: () => Promise<void>): Promise<void> {
  const count = 1 + Math.floor(Math.random() * roundsMax);
  for (let i = 0; i < count; i++) {
    await sim.sleep(Math.random() * betweenRoundsMs);
    await round();
  }
}

/** In every other world who writes a file for itself ends as it writes, at times the driver. */
export function endsOfWriters(from: Prng): Fault[] {
  const random = from.split("ends of writers");
  if (random.below(2) > 0) return [];
  const method = random.below(2) === 0 ? "fileBegun" : "fileWritten";
  const [skip, count, wholeNode] = [random.below(6), 1 + random.below(3), random.below(8) === 0];
  const fault = {
    at: 0,
    kind: "crashAfter",
    method,
    who: "sender",
    skip,
    count,
    wholeNode,
  } as const;
  return [random.below(8) === 0 ? { ...fault, driver: true } : fault];
}
