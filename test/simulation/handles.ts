/**
 * Actors whose last handle goes while others hold what they own, call what was given on, or are
 * called by them: nobody who has a ref or a handle is let down, and in the end nothing is left.
 */
import { get, MobulaError, put, remote } from "mobula";
import type { ActorHandle, ObjectRef } from "mobula";
import type { Simulation } from "mobula/sim";
import { letGoOf } from "../property/programs/values.ts";
import { settle, settleAll, valueOf } from "./outcome.ts";
import { inRounds, type SimProgram, worldOf } from "./world.ts";

interface Made {
  readonly ref: ObjectRef<number>;
}

class SourceActor {
  make(n: number): Made {
    return given(put(n));
  }

  /** Its own task goes on when the call has ended, and every handle is gone. */
  later(n: number, ms: number): Made {
    return given(slowly.remote(n, ms));
  }

  echo(n: number): number {
    return n;
  }
}
const spread = { schedulingStrategy: "SPREAD" } as const;
const Source = remote(spread, SourceActor);
type SourceHandle = ActorHandle<SourceActor>;

const slowly = remote({ ...spread, numCpus: 0 }, async (n: number, ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return n;
});
/** Calls when whoever gave it the handle has let go of it. */
const callLater = remote(
  { ...spread, numCpus: 0 },
  async (box: { readonly source: SourceHandle }, n: number, ms: number): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    using call = box.source.echo.remote(n);
    letGoOf([box.source]);
    return await get(call);
  },
);

/** Once the result is encoded it names the ref itself. */
function given(ref: ObjectRef<number>): Made {
  setTimeout(() => ref[Symbol.dispose](), 1);
  return { ref };
}

async function oneRound(sim: Simulation): Promise<void> {
  const source = Source.remote();
  const calls = [source.make.remote(1), source.later.remote(2, Math.random() * 40)];
  const called = callLater.remote({ source }, 3, Math.random() * 10);
  if (Math.random() < 0.5) await sim.sleep(Math.random() * 10);
  letGoOf([source]);
  const made = await Promise.all(calls.map((call) => valueOf(get(call))));
  for (const call of calls) call[Symbol.dispose]();
  const refs = made.flatMap((one) => (one === null ? [] : [one.ref]));
  await sim.sleep(Math.random() * 20);
  const values = await Promise.all(refs.map((ref) => valueOf(get(ref).catch(unlessFreed))));
  for (const [i, value] of values.entries()) {
    const expected = made.flatMap((one, n) => (one === null ? [] : [n + 1]))[i];
    if (value !== null && value !== expected) throw new Error(`${expected} came as ${value}`);
  }
  await settleAll([settle(called, 3)]);
  for (const ref of [...refs, called]) ref[Symbol.dispose]();
}

function unlessFreed(error: unknown): null {
  if (error instanceof MobulaError && !error.message.includes("freed")) return null;
  throw error;
}

async function handles(sim: Simulation): Promise<void> {
  await inRounds(sim, () => oneRound(sim));
}

export default { program: handles, options: worldOf } satisfies SimProgram;
