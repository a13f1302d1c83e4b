/** Random programs, drawn from the seed of their world, beside the sequential interpreter. */
import * as fc from "fast-check";
import type { Simulation } from "mobula/sim";
import { programs as anyProgram } from "../property/programs/arbitrary.ts";
import { execute } from "../property/programs/execute.ts";
import { interpret } from "../property/programs/interpreter.ts";
import { whyDifferent } from "../property/programs/judge.ts";
import type { Program } from "../property/programs/description.ts";
import { inRounds, type SimProgram } from "./world.ts";

/** A fault may take a value away, never change it. */
async function oneRound(): Promise<void> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const [program] = fc.sample(anyProgram(), { seed, numRuns: 1 }) as [Program];
  const wrong = whyDifferent(interpret(program), await execute(program), true);
  if (wrong !== "") throw new Error(`program ${seed}: ${wrong}`);
}

async function programs(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

const options: SimProgram["options"] = (seed) => ({
  nodes: 1 + (seed % 4),
  init: { numCpus: 2 + (seed % 3) },
});

export default { program: programs, options } satisfies SimProgram;
