/** Random programs that shrink: to fewer steps, smaller bodies, fewer operands. */
import * as fc from "fast-check";
import type { Body, Program, Result, Step } from "./description.ts";
import { chains, fanOuts, races, relays } from "./patterns.ts";

export interface ProgramLimits {
  readonly stepsMax?: number;
  /** Tasks within tasks. */
  readonly depthMax?: number;
  readonly actorsMax?: number;
  /** Of a large value: more than fits a message, where values may lie in the arena. */
  readonly largeBytes?: number;
  readonly cancels?: boolean;
  /** Most values are large, and most tasks run on other nodes. */
  readonly isFar?: boolean;
}

const place = fc.nat(7);
const places = fc.array(place, { maxLength: 2 });
const timeoutMs = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(60));
const maybeTimeoutMs = fc.option(timeoutMs, { nil: null, freq: 3 });
const actor = fc.nat(1);

export function programs(limits: ProgramLimits = {}): fc.Arbitrary<Program> {
  const { stepsMax = 14, depthMax = 2, actorsMax = 2, largeBytes = 3_000 } = limits;
  const { cancels = true, isFar = false } = limits;
  const bytes = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.nat(200) },
    { weight: isFar ? 12 : 1, arbitrary: fc.constant(largeBytes) },
  );
  const body = bodies({ depth: depthMax, stepsMax, bytes, isDriver: true, cancels, isFar });
  return fc.record({
    actorCount: fc.nat(actorsMax),
    namesActors: fc.boolean(),
    killsActors: fc.boolean(),
    dropsActors: fc.boolean(),
    restMs: isFar ? fc.constantFrom(null, 10, 100, 150) : fc.constantFrom(null, null, 0, 10),
    keepsRefs: fc.boolean(),
    body: isFar ? fc.tuple(ofFar(bytes), body).map(([first, rest]) => before(rest, first)) : body,
  });
}

/** At least something that has to do with other nodes. */
function ofFar(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step[]> {
  return fc.array(fc.oneof(fanOuts(bytes), chains(bytes)), { maxLength: 2 });
}

function before({ steps, result }: Body, first: readonly Step[]): Body {
  return { steps: [...first, ...steps], result };
}

interface Shape {
  readonly depth: number;
  readonly stepsMax: number;
  readonly bytes: fc.Arbitrary<number>;
  readonly isDriver: boolean;
  readonly cancels: boolean;
  readonly isFar: boolean;
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

function stepOf({ depth, stepsMax, bytes, isDriver, cancels, isFar }: Shape): fc.Arbitrary<Step> {
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
        staysAway: fc.boolean(),
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
    {
      weight: 2,
      arbitrary: fc.record({ op: of("recall"), actor, call: fc.nat(5), pauseMs: fc.nat(6) }),
    },
    { weight: 2, arbitrary: fc.record({ op: of("join"), actor }) },
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
      isFar,
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
    spread: isFar ? fc.constantFrom(true, true, true, false) : fc.boolean(),
  });
  const patterns = [
    { weight: 4, arbitrary: relays(bytes) },
    { weight: isFar ? 6 : 1, arbitrary: fanOuts(bytes) },
    ...(isFar ? [{ weight: 6, arbitrary: chains(bytes) }] : []),
    ...(cancels ? [{ weight: isFar ? 2 : 1, arbitrary: races(bytes) }] : []),
  ];
  return fc.oneof({ weight: 8, arbitrary: task }, ...patterns, ...small);
}
