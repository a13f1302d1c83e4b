/**
 * Tasks of a shape that steps drawn one by one hardly ever come to: where a ref goes through many
 * processes, a value is read on many nodes, or a cancel comes about when its task ends.
 */
import * as fc from "fast-check";
import type { Body, Result, Step } from "./description.ts";

type TaskStep = Extract<Step, { op: "task" }>;
type Drawn = Pick<TaskStep, "spread" | "maxRetries">;

const place = fc.nat(7);
const places = fc.array(place, { maxLength: 2 });
const actor = fc.nat(1);
const shortMs = fc.oneof(fc.constant(0), fc.nat(40).map(tenths), fc.nat(4));
const drawn: fc.Arbitrary<Drawn> = fc.record({
  spread: fc.boolean(),
  maxRetries: fc.constantFrom(1 as const, 0 as const, 3 as const),
});

/**
 * A task that gets what a task of its own has put, and gives the refs inside to an actor, to a task
 * that it does not wait for, and to its caller: they go through five processes, any of which may
 * end.
 */
export function relays(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  return fc
    .record({
      puts: fc.array(fc.record({ n: fc.nat(99), bytes }), { minLength: 1, maxLength: 2 }),
      making: drawn,
      relaying: drawn,
      actor,
      keep: fc.boolean(),
      callMs: fc.nat(4),
      lends: fc.option(fc.record({ ms: shortMs, spread: fc.boolean(), onwards: fc.boolean() }), {
        nil: null,
      }),
      sleepMs: shortMs,
      drops: fc.boolean(),
      recalls: fc.boolean(),
      pauseMs: fc.nat(6),
      friend: fc.option(actor, { nil: null, freq: 2 }),
      returns: places,
    })
    .map(({ puts, lends, sleepMs, drops, recalls, returns, ...rest }): Step => {
      const { keep, callMs, friend, pauseMs } = rest;
      const made = {
        steps: puts.map(({ n, bytes: size }) => putOf(n, size)),
        result: valueOf(
          0,
          puts.map((_, i) => i),
          0,
        ),
      };
      // Behind the ref of the task come those that were inside of its value.
      const given = puts.map((_, i) => i + 1);
      const steps: Step[] = [
        taskOf(made, rest.making),
        { op: "get", of: [0], timeoutMs: null },
        { op: "call", actor: rest.actor, direct: [], nested: given, keep, ms: callMs, friend },
      ];
      if (lends !== null) {
        const user = userOf(lends, { nested: given });
        // It ends while its own child, for which it does not wait, still uses what it was lent.
        const lender = taskOf({ steps: [user], result: valueOf(6, [], 0) }, rest.relaying);
        steps.push(lends.onwards ? { ...lender, nested: given } : user);
      }
      steps.push({ op: "sleep", ms: sleepMs });
      if (recalls) steps.push({ op: "recall", actor: rest.actor, call: 0, pauseMs });
      if (drops) steps.push({ op: "drop", of: 1 });
      return taskOf({ steps, result: valueOf(1, returns, 0) }, rest.relaying);
    });
}

/**
 * A task whose child makes a value that names refs of that child's own, which other tasks read on
 * other nodes, early and late: what is lost and made anew names other refs, and a copy that was
 * given up comes again.
 */
export function fanOuts(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  const reader = fc.record({ ms: shortMs, spread: fc.boolean(), looks: fc.boolean() });
  const round = fc.record({
    readers: fc.array(reader, { minLength: 1, maxLength: 3 }),
    sleepMs: fc.oneof(shortMs, fc.nat(20)),
    waits: fc.boolean(),
  });
  return fc
    .record({
      putCount: fc.integer({ min: 0, max: 2 }),
      bytes,
      making: drawn,
      outer: drawn,
      rounds: fc.array(round, { minLength: 1, maxLength: 5 }),
      returns: places,
    })
    .map(({ putCount, bytes: size, making, outer, rounds, returns }): Step => {
      const numbers = Array.from({ length: putCount }, (_, i) => i);
      const made = {
        steps: numbers.map((n) => putOf(n, 0)),
        result: valueOf(5, numbers, size),
      };
      const steps: Step[] = [taskOf(made, making)];
      let readerCount = 0;
      for (const { readers, sleepMs, waits } of rounds) {
        steps.push(...readers.map((one) => readerOf(one)));
        readerCount += readers.length;
        const of = Array.from({ length: readerCount }, (_, i) => i + 1);
        const count = readerCount - 1;
        if (waits) steps.push({ op: "wait", of, count, timeoutMs: null, staysAway: true });
        steps.push({ op: "sleep", ms: sleepMs });
      }
      return taskOf({ steps, result: valueOf(2, returns, 0) }, outer);
    });
}

/**
 * A task that makes values, each of the one before and of one that stays, wherever there is room;
 * sees that they are there without looking, lets go of some, and reads what is left: what is lost
 * is made anew from what may be lost too, or cannot be.
 */
export function chains(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  const link = fc.record({
    making: drawn,
    bytes,
    usesFirst: fc.boolean(),
    drops: fc.boolean(),
    waits: fc.boolean(),
  });
  return fc
    .record({
      first: fc.record({ making: drawn, bytes }),
      links: fc.array(link, { minLength: 1, maxLength: 4 }),
      sleepMs: fc.oneof(shortMs, fc.nat(40)),
      readers: fc.array(fc.record({ ms: shortMs, spread: fc.boolean(), looks: fc.boolean() }), {
        minLength: 1,
        maxLength: 2,
      }),
      returns: places,
    })
    .map(({ first, links, sleepMs, readers, returns }): Step => {
      const away = (making: Drawn): Drawn => ({ ...making, spread: true });
      const steps: Step[] = [
        taskOf({ steps: [], result: valueOf(7, [], first.bytes) }, away(first.making)),
      ];
      // Slots: what stays is the first, the newest link the last.
      let last = 0;
      for (const { making, bytes: size, usesFirst, drops, waits } of links) {
        const made = taskOf({ steps: [], result: valueOf(8, [], size) }, away(making));
        steps.push({ ...made, direct: usesFirst && last > 0 ? [0, last] : [last] });
        const isOver = drops && last > 0;
        if (isOver) steps.push({ op: "drop", of: last });
        if (!isOver) last += 1;
        if (waits) {
          steps.push({ op: "wait", of: [last], count: 0, timeoutMs: null, staysAway: true });
        }
      }
      steps.push({ op: "sleep", ms: sleepMs });
      steps.push(...readers.map((one) => readerOf(one, last)));
      // What was there may be so no more: then it is known why.
      const read = readers.map((_, i) => last + 1 + i);
      const rest = { count: read.length - 1, timeoutMs: null, staysAway: true };
      steps.push({ op: "wait", of: read, ...rest }, { op: "wait", of: [last], ...rest });
      return taskOf({ steps, result: valueOf(9, returns, 0) }, { maxRetries: 1 });
    });
}

/** A task that cancels its children about when they end, which is when their results travel. */
export function races(bytes: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  const racer = fc.record({ ms: fc.nat(2), bytes, afterMs: fc.nat(20).map(tenths), how: drawn });
  return fc
    .record({
      racers: fc.array(racer, { minLength: 1, maxLength: 4 }),
      sleepMs: shortMs,
      outer: drawn,
      returns: places,
    })
    .map(({ racers, sleepMs, outer, returns }): Step => {
      const steps: Step[] = racers.map(({ ms, bytes: size, how }) => {
        const body: Body = { steps: [{ op: "sleep", ms }], result: valueOf(ms, [], size) };
        return taskOf(body, how);
      });
      steps.push({ op: "sleep", ms: sleepMs });
      for (const [of, { afterMs }] of racers.entries()) {
        steps.push({ op: "cancel", of, afterMs, force: false, recursive: true });
      }
      return taskOf({ steps, result: valueOf(3, returns, 0) }, outer);
    });
}

/**
 * A task that makes more values than its store holds, while tasks of its own read some of them
 * again and again: what they were told of lies elsewhere then.
 */
export function crowds(bytes: number): fc.Arbitrary<Step> {
  const reader = fc.record({ ms: shortMs, pauseMs: fc.nat(20), spread: fc.boolean() });
  return fc
    .record({
      sharedCount: fc.integer({ min: 1, max: 5 }),
      moreCount: fc.integer({ min: 3, max: 10 }),
      readers: fc.array(reader, { minLength: 1, maxLength: 3 }),
      sleepMs: shortMs,
      returns: places,
    })
    .map(({ sharedCount, moreCount, readers, sleepMs, returns }): Step => {
      const make = (n: number): Step => {
        return taskOf({ steps: [], result: valueOf(n, [], bytes) }, { maxRetries: 1 });
      };
      const shared = Array.from({ length: sharedCount }, (_, i) => i);
      // One by one: together they need not fit.
      const reads = shared.map((i): Step => ({ op: "get", of: [i], timeoutMs: null }));
      const reading = readers.map(({ ms, pauseMs, spread }): Step => {
        const pause: Step[] = [{ op: "sleep", ms: pauseMs }, ...reads];
        const steps: Step[] = [{ op: "sleep", ms }, ...reads, ...pause, ...pause];
        const task = taskOf({ steps, result: valueOf(4, [], 0) }, { spread, maxRetries: 1 });
        return { ...task, nested: shared, cpus: 0 };
      });
      const more = Array.from({ length: moreCount }, (_, i) => make(20 + i));
      const steps = [...shared.map(make), ...reading, { op: "sleep", ms: sleepMs } as const];
      steps.push(...more, ...reads);
      return taskOf({ steps, result: valueOf(6, returns, 0) }, { maxRetries: 1 });
    });
}

interface Reader {
  readonly ms: number;
  readonly spread: boolean;
  /** Else it only has the value brought to its node. */
  readonly looks: boolean;
}

function readerOf({ looks, ...how }: Reader, of = 0): Step {
  if (looks) return userOf(how, { direct: [of] });
  const { ms, spread } = how;
  const steps: Step[] = [
    { op: "sleep", ms },
    { op: "wait", of: [0], count: 0, timeoutMs: null },
  ];
  const task = taskOf({ steps, result: valueOf(4, [], 0) }, { spread, maxRetries: 1 });
  return { ...task, nested: [of] };
}

/** A task that waits a while and gets what refs it was given. */
function userOf(
  { ms, spread }: { readonly ms: number; readonly spread: boolean },
  { direct = [], nested = [] }: Partial<Pick<TaskStep, "direct" | "nested">>,
): Step {
  const steps: Step[] = [
    { op: "sleep", ms },
    { op: "get", of: [0, 1], timeoutMs: null },
  ];
  const task = taskOf({ steps, result: valueOf(4, [], 0) }, { spread, maxRetries: 1 });
  return { ...task, direct, nested };
}

function taskOf(body: Body, { spread = false, maxRetries }: Drawn): TaskStep {
  const given = { direct: [], nested: [], returns: 1, retryExceptions: false } as const;
  return { op: "task", body, ...given, cpus: 1, spread, maxRetries };
}

function putOf(n: number, bytes: number): Step {
  return { op: "put", n, nested: [], bytes };
}

function valueOf(n: number, returns: readonly number[], bytes: number): Result {
  return { type: "value", n, returns, bytes, firstGood: 0 };
}

function tenths(n: number): number {
  return n / 10;
}
