/** Random programs that shrink: to fewer steps, smaller bodies, fewer operands. */
import * as fc from "fast-check";
import type { Body, Program, Result, Step } from "./description.ts";

export interface ProgramLimits {
  readonly stepsMax?: number;
  /** Tasks within tasks. */
  readonly depthMax?: number;
  readonly actorsMax?: number;
  /** Of a large value: more than fits a message, where values may lie in the arena. */
  readonly largeBytes?: number;
  readonly cancels?: boolean;
}

const place = fc.nat(7);
const places = fc.array(place, { maxLength: 2 });
const timeoutMs = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(60));
const maybeTimeoutMs = fc.option(timeoutMs, { nil: null, freq: 3 });
const actor = fc.nat(1);

export function programs(limits: ProgramLimits = {}): fc.Arbitrary<Program> {
  const { stepsMax = 14, depthMax = 2, actorsMax = 2, largeBytes = 3_000 } = limits;
  const { cancels = true } = limits;
  const bytes = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.nat(200) },
    { weight: 1, arbitrary: fc.constant(largeBytes) },
  );
  return fc.record({
    actorCount: fc.nat(actorsMax),
    killsActors: fc.boolean(),
    dropsActors: fc.boolean(),
    body: bodies({ depth: depthMax, stepsMax, bytes, isDriver: true, cancels }),
  });
}

interface Shape {
  readonly depth: number;
  readonly stepsMax: number;
  readonly bytes: fc.Arbitrary<number>;
  readonly isDriver: boolean;
  readonly cancels: boolean;
}

function bodies(shape: Shape): fc.Arbitrary<Body> {
  const { stepsMax, bytes } = shape;
  const steps = fc.array(stepOf(shape), { maxLength: stepsMax, size: "max" });
  const value = fc.record({
    type: fc.constant("value" as const),
    n: fc.nat(99),
    returns: places,
    bytes,
    firstGood: fc.constantFrom(0, 0, 0, 1, 2),
  });
  const failure = fc.record({
    type: fc.constant("throw" as const),
    text: fc.nat(9).map((n) => `error ${n}`),
  });
  const result: fc.Arbitrary<Result> = fc.oneof(
    { weight: 6, arbitrary: value },
    { weight: 1, arbitrary: failure },
  );
  return fc.record({ steps, result });
}

const cancelStep: fc.Arbitrary<Step> = fc.record({
  op: fc.constant("cancel" as const),
  of: place,
  force: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
  afterMs: fc.oneof(fc.constant(0), fc.nat(6)),
  recursive: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean()),
});

function stepOf({ depth, stepsMax, bytes, isDriver, cancels }: Shape): fc.Arbitrary<Step> {
  const n = fc.nat(99);
  const ms = fc.oneof(fc.nat(3), fc.nat(40));
  const of = <O extends string>(op: O): fc.Arbitrary<O> => fc.constant(op);
  const small: fc.WeightedArbitrary<Step>[] = [
    { weight: 3, arbitrary: fc.record({ op: of("put"), n, nested: places, bytes }) },
    { weight: 2, arbitrary: fc.record({ op: of("get"), of: places, timeoutMs: maybeTimeoutMs }) },
    { weight: 3, arbitrary: fc.record({ op: of("drop"), of: place }) },
    { weight: 2, arbitrary: fc.record({ op: of("sleep"), ms }) },
    {
      weight: 1,
      arbitrary: fc.record({
        op: of("wait"),
        of: fc.array(place, { maxLength: 4 }),
        count: fc.nat(3),
        timeoutMs: maybeTimeoutMs,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        op: of("call"),
        actor,
        // Calls of one process stand in line for an actor. One that waits for a task, and behind it
        // another that this task waits for: a program that does so never ends, here or in Ray.
        direct: isDriver ? places : fc.constant([]),
        nested: places,
        keep: fc.boolean(),
        ms: fc.oneof(fc.constant(0), ms),
        friend: fc.option(actor, { nil: null, freq: 2 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: of("burst"),
        n,
        count: fc.integer({ min: 1, max: 8 }),
        ms: fc.oneof(fc.constant(0), ms),
        direct: places,
        awaited: places,
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: of("recall"), actor, call: fc.nat(5) }) },
    ...(cancels ? [{ weight: 2, arbitrary: cancelStep }] : []),
  ];
  if (depth === 0) return fc.oneof(...small);
  const task = fc.record({
    op: of("task"),
    body: bodies({
      depth: depth - 1,
      stepsMax: Math.ceil(stepsMax / 2),
      bytes,
      isDriver: false,
      cancels,
    }),
    direct: places,
    nested: places,
    cpus: fc.constantFrom(1 as const, 0.5 as const, 2 as const, 0 as const),
    returns: fc.constantFrom(1 as const, 1 as const, 2 as const),
    maxRetries: fc.constantFrom(0 as const, 1 as const, 3 as const),
    retryExceptions: fc.constantFrom(
      false,
      false,
      true,
      "matching" as const,
      "class" as const,
      "other" as const,
    ),
    spread: fc.boolean(),
  });
  const relay = { weight: 2, arbitrary: relays(bytes) };
  return fc.oneof({ weight: 8, arbitrary: task }, relay, ...small);
}

/**
 * A task that gets what a task of its own has put, and gives the refs inside to an actor and to its
 * caller: they go through four processes, of which any may end.
 */
function relays(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  return fc
    .record({
      puts: fc.array(fc.record({ n: fc.nat(99), bytes }), { minLength: 1, maxLength: 2 }),
      actor,
      keep: fc.boolean(),
      callMs: fc.nat(4),
      sleepMs: fc.nat(4),
      drops: fc.boolean(),
      recalls: fc.boolean(),
      friend: fc.option(actor, { nil: null, freq: 2 }),
      returns: places,
    })
    .map(({ puts, keep, callMs, sleepMs, drops, recalls, friend, returns, ...rest }): Step => {
      const made: Body = {
        steps: puts.map(({ n, bytes: size }) => ({ op: "put", n, nested: [], bytes: size })),
        result: { type: "value", n: 0, returns: puts.map((_, i) => i), bytes: 0, firstGood: 0 },
      };
      const retry = { maxRetries: 1, retryExceptions: false } as const;
      const task = { op: "task", direct: [], nested: [], cpus: 1, returns: 1, ...retry } as const;
      // Behind the ref of the task come those that were inside of its value.
      const given = puts.map((_, i) => i + 1);
      const call = { op: "call", actor: rest.actor, direct: [], keep, ms: callMs, friend } as const;
      const steps: Step[] = [
        { ...task, body: made },
        { op: "get", of: [0], timeoutMs: null },
        { ...call, nested: given },
        { op: "sleep", ms: sleepMs },
      ];
      if (recalls) steps.push({ op: "recall", actor: rest.actor, call: 0 });
      if (drops) steps.push({ op: "drop", of: 1 });
      const result = { type: "value", n: 1, returns, bytes: 0, firstGood: 0 } as const;
      return { ...task, body: { steps, result } };
    });
}
