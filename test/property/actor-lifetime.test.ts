/**
 * Handles that go from hand to hand and are given up, in simulated worlds: whoever has one can
 * call, whoever has a ref to what an actor owns gets its value, however early its handles went.
 */
import { expect, test } from "vitest";
import { MobulaError, TaskError } from "#api/errors.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";
import type { ActorHandle, ObjectRef } from "#api/types.ts";
import type { SimOptions, SimReport } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";
import { letGoOf } from "./programs/values.ts";

type Box = { readonly actor: ActorHandle<Source> };
type Made = { readonly ref: ObjectRef<number> };

class Source {
  make(n: number): Made {
    const ref = put(n);
    setTimeout(() => ref[Symbol.dispose](), 1);
    return { ref };
  }
  /** A task that has its handle goes on when the call, and every other handle, is gone. */
  later(n: number): Made {
    const self = getRuntimeContext().currentActor<Source>();
    const ref = callLater.remote({ actor: self }, n);
    setTimeout(() => ref[Symbol.dispose](), 1);
    return { ref };
  }
  echo(n: number): number {
    return n;
  }
}
const SourceActor = remote({ schedulingStrategy: "SPREAD" }, Source);

class Shelf {
  readonly #boxes: Box[] = [];
  keep(box: Box): void {
    this.#boxes.push(box);
  }
  async take(n: number): Promise<number> {
    const [box] = this.#boxes.splice(0);
    if (box === undefined) return n;
    const call = box.actor.echo.remote(n);
    letGoOf([box.actor]);
    return get(call);
  }
}
const ShelfActor = remote({ schedulingStrategy: "SPREAD" }, Shelf);

const callLater = remote({ numCpus: 0 }, async ({ actor }: Box, n: number): Promise<number> => {
  await new Promise((resolve) => void setTimeout(resolve, 3));
  const call = actor.echo.remote(n);
  letGoOf([actor]);
  return get(call);
});
/** Borrows the handle, sends it on, and may be gone when it arrives. */
const forward = remote(
  { numCpus: 0, maxRetries: 3 },
  async (box: Box, to: { shelf: ActorHandle<Shelf> }): Promise<number> => {
    await get(to.shelf.keep.remote(box));
    letGoOf([box.actor, to.shelf]);
    return 0;
  },
);

async function program(): Promise<number[]> {
  const shelf = ShelfActor.remote();
  const source = SourceActor.remote();
  const calls = [source.make.remote(1), source.later.remote(2)] as const;
  const [made, later] = await get(calls);
  const forwarded = forward.remote({ actor: source }, { shelf });
  letGoOf([source]);
  await get(forwarded);
  const taken = shelf.take.remote(3);
  letGoOf([shelf]);
  // By now nobody has a handle, and what the actor owned is still to be had.
  const third = await get(taken);
  const values = [await get(made.ref), await get(later.ref), third];
  const refs = [...calls, made.ref, later.ref, forwarded, taken];
  for (const ref of refs) ref[Symbol.dispose]();
  return values;
}

function run(options: SimOptions): Promise<SimReport<number[]>> {
  return simulate(options, program);
}

test("without faults every call and every ref has its value", async () => {
  const reached = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const report = await run({ seed, nodes: 1 + (seed % 3) });
    expect(report.check()).toEqual([1, 2, 3]);
    for (const state of report.reached) reached.add(state);
  }
  expect([...reached]).toEqual(
    expect.arrayContaining(["actorOutOfScope", "actorNeededAfterItsEnd", "borrowerOfBorrower"]),
  );
});

test("with faults what is had is right, and nothing ends early or is left", async () => {
  let lost = 0;
  for (let seed = 0; seed < 120; seed++) {
    const report = await run({ seed, nodes: 2 + (seed % 2), chaos: true });
    expect(report.violations, report.replay).toEqual([]);
    if (report.error === undefined) expect(report.result).toEqual([1, 2, 3]);
    else expect(isOfTheEngine(report.error), String(report.error)).toBe(true);
    if (report.error !== undefined) lost += 1;
  }
  expect(lost).toBeLessThan(100);
});

/** What a crash takes is told as such, wherever it happened. */
function isOfTheEngine(error: unknown): boolean {
  let cause = error;
  while (cause instanceof TaskError) cause = cause.cause;
  return cause instanceof MobulaError;
}
