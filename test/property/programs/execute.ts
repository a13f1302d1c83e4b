/** Executes a program's description through the public API, wherever a runtime runs. */
import { kill } from "#api/actors.ts";
import { cancel } from "#api/cancel.ts";
import { GetTimeoutError, MobulaError, TaskError } from "#api/errors.ts";
import { get, put, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";
import type { Body, Outcome, Program, Step } from "./description.ts";
import { tooEarly } from "./description.ts";
import { type Handle, makeKeeper, pingJoined } from "./keeper.ts";
import { numberOfBody, pick, pickSome } from "./numbers.ts";
import {
  bytesIn,
  dispose,
  letGo,
  letGoOf,
  numberIn,
  type Ref,
  refsIn,
  sleep,
  type Value,
  valueOf,
} from "./values.ts";

type Slot = { readonly ref: Ref } | { readonly n: number };

/** What a task or call gets beside values. */
interface Head {
  /** Unique in the program. */
  readonly caller: string;
  readonly body: Body;
  readonly nested: readonly Ref[];
  readonly actors: readonly Handle[];
  /** Of its run: names of actors are of one run only. */
  readonly run: string;
}

/** Clocks of a simulation drift, and timers of this thread are a little early. */
const earlyMax = { ms: 1.1, part: 0.003 };
/** Who waits for room gives up before, several times over. */
const readBackMs = 300_000;

const runTask = remote(async (head: Head, ...direct: Value[]): Promise<Value> => {
  return new Running(head, direct).toEnd();
});
const exceptions = {
  matching: (error: unknown) => error instanceof RangeError,
  class: [RangeError],
  other: [SyntaxError],
};
const runTaskOfTwo = remote(
  { numReturns: 2 },
  async (head: Head, ...direct: Value[]): Promise<[Value, number]> => {
    const value = await new Running(head, direct).toEnd();
    return [value, numberIn(value) + 1];
  },
);

interface ShortHead {
  readonly n: number;
  readonly ms: number;
  readonly awaited: readonly Ref[];
}

const runShortTask = remote(
  ({ n, ms, awaited }: ShortHead, ...direct: Value[]): number | Promise<number> => {
    for (const value of direct) {
      dispose(refsIn(value));
      letGo(value);
    }
    const result = numberOfBody(n, direct.map(numberIn));
    if (awaited.length > 0) return addAwaited(result, awaited);
    return ms === 0 ? result : sleep(ms).then(() => result);
  },
);

async function addAwaited(n: number, refs: readonly Ref[]): Promise<number> {
  try {
    const values = await get(refs);
    for (const value of values) dispose(refsIn(value));
    return numberOfBody(n, values.map(numberIn));
  } finally {
    dispose(refs);
  }
}

/** What every ref that the program has left comes to. */
export async function execute(program: Program): Promise<Outcome[]> {
  const { body, actorCount, namesActors = false } = program;
  const run = String(Math.random());
  const named = namesActors ? run : null;
  const actors = Array.from({ length: actorCount }, (_, i) => makeKeeper(i, named));
  const running = new Running({ caller: "driver", body, nested: [], actors, run }, null);
  const refs = await running.toLastStep();
  if (program.dropsActors === true) letGoOf(actors);
  if ((program.restMs ?? null) !== null && refs.length > 0) {
    const all = distinct(refs);
    await wait(all, { numReturns: all.length, fetchLocal: false });
    await sleep(program.restMs ?? 0);
  }
  const outcomes = await Promise.all(refs.map(outcomeOf));
  if (program.keepsRefs !== true) dispose(refs);
  if (program.dropsActors !== true && program.killsActors)
    for (const actor of actors) await kill(actor);
  return outcomes;
}

/** One body: its slots, and its place in the program. */
class Running {
  readonly #head: Head;
  readonly #isDriver: boolean;
  /** Another attempt is another caller: its calls and children are its own. */
  readonly #caller: string;
  readonly #slots: Slot[] = [];
  readonly #calls: { readonly actor: number; readonly seq: number }[] = [];
  #childCount = 0;

  constructor(head: Head, direct: readonly Value[] | null) {
    this.#head = head;
    this.#isDriver = direct === null;
    this.#caller = this.#isDriver ? head.caller : `${head.caller}#${attemptNumber()}`;
    for (const ref of head.nested) this.#slots.push({ ref });
    for (const value of direct ?? []) {
      this.#addValue(value);
      letGo(value);
    }
  }

  async toLastStep(): Promise<Ref[]> {
    for (const step of this.#head.body.steps) {
      try {
        await this.#step(step);
      } catch (error) {
        if (!this.#isDriver || !(error instanceof MobulaError)) throw error;
      }
    }
    return this.#refs();
  }

  async toEnd(): Promise<Value> {
    const { result } = this.#head.body;
    const attempt = attemptNumber();
    let returned: Ref[] = [];
    try {
      await this.toLastStep();
      if (result.type === "throw") throw new RangeError(result.text);
      if (attempt < result.firstGood) throw new RangeError(tooEarly);
      returned = pickSome(this.#refs(), result.returns);
      const ns = this.#slots.flatMap((slot) => ("n" in slot ? [slot.n] : []));
      return valueOf(numberOfBody(result.n, ns), returned, result.bytes);
    } finally {
      dispose(this.#refs().filter((ref) => !returned.includes(ref)));
      // Once the result is encoded it names them itself.
      if (returned.length > 0) setTimeout(() => dispose(returned), 1);
      letGoOf(this.#head.actors);
    }
  }

  async #step(step: Step): Promise<void> {
    const refs = this.#refs();
    switch (step.op) {
      case "put":
        this.#add(put(valueOf(step.n, pickSome(refs, step.nested), step.bytes)) as Ref);
        return;
      case "task":
        return this.#submit(step, pickSome(refs, step.direct), pickSome(refs, step.nested));
      case "burst": {
        const { count, ms } = step;
        const direct = pickSome(refs, step.direct);
        const waitedFor = pickSome(refs, step.awaited);
        for (let i = 0; i < count; i++) {
          const awaited = i === count - 1 ? waitedFor : [];
          this.#add(runShortTask.remote({ n: step.n + i, ms, awaited }, ...direct) as Ref);
        }
        return;
      }
      case "call":
        return this.#call(step, pickSome(refs, step.direct), pickSome(refs, step.nested));
      case "recall":
        return this.#recall(step);
      case "join": {
        const { run, actors } = this.#head;
        if (actors.length > 0) this.#add(pingJoined.remote(step.actor % actors.length, run) as Ref);
        return;
      }
      case "get":
        return this.#get(pickSome(refs, step.of), step.timeoutMs);
      case "wait":
        return waitFor(distinct(pickSome(refs, step.of)), step);
      case "drop": {
        const ref = pick(refs, step.of);
        if (ref === undefined) return;
        this.#slots.splice(
          this.#slots.findIndex((slot) => "ref" in slot && slot.ref === ref),
          1,
        );
        dispose([ref]);
        return;
      }
      case "cancel": {
        const ref = pick(refs, step.of);
        return ref === undefined ? undefined : cancelCall(ref, step);
      }
      case "sleep":
        return sleep(step.ms);
    }
  }

  #submit(step: Extract<Step, { op: "task" }>, direct: Ref[], nested: Ref[]): void {
    const { actors, run } = this.#head;
    const child = `${this.#caller}.${this.#childCount++}`;
    const head = { caller: child, body: step.body, nested, actors, run };
    const { cpus, maxRetries, retryExceptions: given } = step;
    const retryExceptions = typeof given === "boolean" ? given : exceptions[given];
    const schedulingStrategy = step.spread === true ? "SPREAD" : "DEFAULT";
    const options = { numCpus: cpus, maxRetries, retryExceptions, schedulingStrategy } as const;
    if (step.returns === 1) {
      this.#add(runTask.options(options).remote(head, ...direct) as Ref);
    } else {
      const refs = runTaskOfTwo.options(options).remote(head, ...direct);
      for (const ref of refs) this.#add(ref as Ref);
    }
  }

  #call(step: Extract<Step, { op: "call" }>, direct: Ref[], nested: Ref[]): void {
    const { actors } = this.#head;
    const caller = this.#caller;
    const handle = pick(actors, step.actor);
    if (handle === undefined) return;
    const seq = this.#calls.length;
    this.#calls.push({ actor: step.actor % actors.length, seq });
    const { keep, ms } = step;
    const friend = pick(actors, step.friend ?? 0);
    const friends = friend === undefined || (step.friend ?? null) === null ? [] : [friend];
    this.#add(handle.call.remote({ caller, seq, nested, keep, ms, friends }, ...direct) as Ref);
  }

  #recall({ actor, call: at, pauseMs = 0 }: Extract<Step, { op: "recall" }>): void {
    const { actors } = this.#head;
    const caller = this.#caller;
    const ofActor = this.#calls.filter((call) => call.actor === actor % actors.length);
    const call = pick(ofActor, at);
    if (call === undefined) return;
    this.#add((actors[call.actor] as Handle).recall.remote(caller, call.seq, pauseMs) as Ref);
  }

  async #get(refs: Ref[], timeoutMs: number | null): Promise<void> {
    const startMs = performance.now();
    try {
      const values = await get(refs, timeoutMs === null ? {} : { timeoutMs });
      for (const value of values) {
        if (this.#isDriver || timeoutMs !== null) dispose(refsIn(value));
        else this.#addValue(value);
        letGo(value);
      }
    } catch (error) {
      if (timeoutMs === null) throw error;
      if (error instanceof GetTimeoutError) checkNotEarly(startMs, timeoutMs);
      else if (!(error instanceof MobulaError)) throw error;
    }
  }

  #refs(): Ref[] {
    return this.#slots.flatMap((slot) => ("ref" in slot ? [slot.ref] : []));
  }

  #add(ref: Ref): void {
    this.#slots.push({ ref });
  }

  #addValue(value: Value): void {
    this.#slots.push({ n: numberIn(value) });
    for (const ref of refsIn(value)) this.#slots.push({ ref });
  }
}

/** Force is refused for calls of actors. */
async function cancelCall(ref: Ref, step: Extract<Step, { op: "cancel" }>): Promise<void> {
  const { afterMs, force, recursive } = step;
  if (afterMs > 0) await sleep(afterMs);
  try {
    await cancel(ref, { force, recursive });
  } catch (error) {
    if (!force || !(error instanceof TypeError)) throw error;
    await cancel(ref, { recursive });
  }
}

async function waitFor(
  refs: Ref[],
  { count, timeoutMs, staysAway = false }: Extract<Step, { op: "wait" }>,
): Promise<void> {
  if (refs.length === 0) return;
  const numReturns = 1 + (count % refs.length);
  const startMs = performance.now();
  const timeout = timeoutMs === null ? {} : { timeoutMs };
  const [ready, notReady] = await wait(refs, { numReturns, fetchLocal: !staysAway, ...timeout });
  const isPartition = refs.every((ref) => ready.includes(ref) !== notReady.includes(ref));
  if (!isPartition) throw new Error("wait lost a ref");
  if (ready.length < numReturns) {
    if (timeoutMs === null) throw new Error(`wait gave ${ready.length} of ${numReturns}`);
    checkNotEarly(startMs, timeoutMs);
  }
  if (!staysAway) for (const ref of ready) await look(ref);
}

/** At hand, or on its node: of what was spilled, or is about to be, that is all that wait says. */
async function getReady(ref: Ref): Promise<Value> {
  try {
    return await get(ref, { timeoutMs: 0 });
  } catch (error) {
    if (!(error instanceof GetTimeoutError)) throw error;
    return get(ref, { timeoutMs: readBackMs });
  }
}

async function look(ref: Ref): Promise<void> {
  try {
    const value = await getReady(ref);
    dispose(refsIn(value));
    letGo(value);
  } catch (error) {
    if (!(error instanceof MobulaError)) throw error;
    if (error instanceof GetTimeoutError) throw new Error("wait said that it was ready");
  }
}

function checkNotEarly(startMs: number, timeoutMs: number): void {
  const tookMs = performance.now() - startMs;
  if (tookMs >= timeoutMs * (1 - earlyMax.part) - earlyMax.ms) return;
  throw new Error(`a time-out of ${timeoutMs} ms came after ${tookMs} ms`);
}

/** With all that it names; disposes of the refs that it meets on the way. */
async function outcomeOf(ref: Ref): Promise<Outcome> {
  let value: Value;
  try {
    value = await get(ref);
  } catch (error) {
    return failureOf(error);
  }
  const refs = refsIn(value);
  const bytes = typeof value === "number" ? 0 : bytesIn(value);
  letGo(value);
  const inner = await Promise.all(refs.map(outcomeOf));
  dispose(refs);
  return { n: numberIn(value), refs: inner, bytes };
}

function failureOf(error: unknown): Outcome {
  let cause = error;
  while (cause instanceof TaskError) cause = cause.cause;
  if (cause instanceof MobulaError) return { system: cause.name };
  return { errors: [cause instanceof Error ? cause.message : String(cause)] };
}

function distinct(refs: readonly Ref[]): Ref[] {
  return [...new Map(refs.map((ref) => [ref.id, ref])).values()];
}

function attemptNumber(): number {
  return getRuntimeContext().attemptNumber;
}
