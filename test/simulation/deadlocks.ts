/**
 * Actors of one call at a time that call each other in a ring and wait: one of them is told, and
 * nobody whose calls lead to an end.
 */
import { DeadlockError, get, kill, MobulaError, remote, TaskError } from "mobula";
import type { HandleOf, ObjectRef } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { valueOf } from "./outcome.ts";

class VisitorActor {
  /** Calls the next of the list, which does the same with the rest of it. */
  async visit(next: readonly VisitorHandle[], ms: number): Promise<string> {
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    const [one, ...others] = next;
    if (one === undefined) return "end";
    using call = one.visit.remote(others, ms);
    return await get(call);
  }
}
const Visitor = remote(
  { maxConcurrency: 1, numCpus: 0, schedulingStrategy: "SPREAD" },
  VisitorActor,
);
type VisitorHandle = HandleOf<typeof Visitor>;

/** The ring is closed by a task in between. */
const through = remote({ numCpus: 0 }, async (next: readonly VisitorHandle[]): Promise<string> => {
  const [one, ...others] = next;
  if (one === undefined) return "end";
  using call = one.visit.remote(others, 0);
  return await get(call);
});

async function comesTo(ref: ObjectRef<string>): Promise<string> {
  try {
    return await get(ref);
  } catch (error) {
    let cause: unknown = error;
    while (cause instanceof TaskError) cause = cause.cause;
    if (cause instanceof DeadlockError) return "deadlock";
    if (cause instanceof MobulaError) return "fault";
    throw error;
  } finally {
    ref[Symbol.dispose]();
  }
}

async function oneRound(): Promise<void> {
  const count = 2 + Math.floor(Math.random() * 3);
  const visitors = Array.from({ length: count }, () => Visitor.remote());
  const [one, ...others] = visitors as [VisitorHandle, ...VisitorHandle[]];
  const ms = Math.floor(Math.random() * 4);
  const isRing = Math.random() < 0.6;
  const rest = isRing ? [...others, one] : others;
  const call = Math.random() < 0.5 ? one.visit.remote(rest, ms) : through.remote([one, ...rest]);
  const came = await comesTo(call);
  const allowed = ["fault", isRing ? "deadlock" : "end"];
  if (!allowed.includes(came)) throw new Error(`a ${isRing ? "ring" : "chain"} came to ${came}`);
  for (const visitor of visitors) await valueOf(kill(visitor));
}

async function deadlocks(sim: Simulation): Promise<void> {
  await inRounds(sim, oneRound);
}

export default { program: deadlocks, options: worldOf } satisfies SimProgram;
