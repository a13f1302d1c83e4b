/** Nested tasks, values put and passed on, errors: every outcome is right, or tells a fault. */
import { get, getRuntimeContext, type ObjectRef, put, remote } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, sumOf } from "./outcome.ts";

const add = remote((a: number, b: number) => a + b);
const sum = remote((values: readonly number[]) =>
  values.reduce((total, value) => total + value, 0),
);
const fail = remote((text: string): number => {
  throw new RangeError(text);
});
const fib = remote(async (n: number): Promise<number> => {
  if (n < 2) return n;
  const [a, b] = await get([fib.remote(n - 1), fib.remote(n - 2)]);
  return a + b;
});
const slow = remote(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return Math.floor(ms);
});

const sumMoved = remote((bytes: Uint8Array): number => {
  const total = sumOf(bytes);
  // They are its own: whoever was given them again would come to another sum.
  bytes.fill(1);
  return total;
});
const sumSlowly = remote({ retryExceptions: true }, async (buffer: ArrayBuffer, by: number) => {
  const total = sumOf(new Uint8Array(buffer));
  await new Promise((resolve) => setTimeout(resolve, by * 10));
  new Uint8Array(buffer).fill(1);
  if (getRuntimeContext().attemptNumber < by) throw new RangeError("not yet");
  return total;
});
const handOn = remote(async (buffer: ArrayBuffer): Promise<number> =>
  get(sumMoved.options({ transfer: [buffer] }).remote(new Uint8Array(buffer, 1))),
);

/** A byte of each buffer is known, so that none can stand for another. */
function someBuffer(mark: number): ArrayBuffer {
  const buffer = new ArrayBuffer(Math.random() < 0.5 ? 40 : 70_000);
  new Uint8Array(buffer).set([mark, 200 + mark], 1);
  return buffer;
}

/** Where it had the buffer itself there is no second attempt. */
async function settleRetried(ref: ObjectRef<number>, expected: number): Promise<string | null> {
  const wrong = await settle(ref, expected);
  return wrong === null ? null : settle(ref, new RangeError("not yet"));
}

function transferring(one: ObjectRef<number>): Promise<string | null>[] {
  const [a, b, c] = [someBuffer(2), someBuffer(3), someBuffer(4)];
  const settling = [
    settle(sumMoved.options({ transfer: [a] }).remote(new Uint8Array(a, 1)), 204),
    settle(handOn.options({ transfer: [b] }).remote(b), 206),
    settleRetried(sumSlowly.options({ transfer: [c] }).remote(c, one), 208),
  ];
  for (const { byteLength } of [a, b, c]) {
    if (byteLength > 0) settling.push(Promise.resolve("its sender still has a buffer"));
  }
  return settling;
}

async function oneRound(sim: Simulation): Promise<void> {
  const one = put(1);
  const list = put(Array.from({ length: 100 }, (_, i) => i));
  let chain: ObjectRef<number> = add.remote(0, one);
  for (let i = 0; i < 5; i++) chain = add.remote(chain, one);
  const pauseMs = Math.random() * 20;
  const slept = slow.remote(pauseMs);
  await sim.sleep(Math.random() * 10);
  await settleAll([
    settle(chain, 6),
    settle(sum.remote(list), 4_950),
    settle(slept, Math.floor(pauseMs)),
    ...transferring(one),
    settle(fib.remote(4), 3),
    settle(add.remote(fail.remote("on purpose"), 1), new RangeError("on purpose")),
  ]);
}

async function tasks(sim: Simulation): Promise<void> {
  await inRounds(sim, () => oneRound(sim));
}

export default { program: tasks, options: worldOf } satisfies SimProgram;
