/** What the worlds of these programs are like: their size by the seed, their length in rounds. */
import type { SimOptions, Simulation } from "mobula/sim";

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
