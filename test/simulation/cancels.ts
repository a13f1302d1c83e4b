/** Cancels of tasks in every state, of others' and by force: the rest comes out as it should. */
import { cancel, get, getRuntimeContext, MobulaError, type ObjectRef, remote } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll, valueOf } from "./outcome.ts";

const add = remote((a: number, b: number) => a + b);
const slow = remote(async (ms: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
});
const untilAborted = remote(async (): Promise<void> => {
  const { signal } = getRuntimeContext();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
});
const forEver = remote(async (): Promise<void> => new Promise(() => {}));
const parent = remote(async (depth: number): Promise<unknown> => {
  return get(depth === 0 ? untilAborted.remote() : parent.remote(depth - 1));
});
const lend = remote(async (ms: number): Promise<{ ref: ObjectRef<number> }> => {
  return { ref: slow.remote(ms) };
});

/** Cancelled at any time: before its buffer is asked for, while it is on its way, and after. */
const lengthOf = remote(async (buffer: ArrayBuffer): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return buffer.byteLength;
});

function giving(byteLength: number): ObjectRef<number> {
  const buffer = new ArrayBuffer(byteLength);
  return lengthOf.options({ transfer: [buffer] }).remote(buffer);
}

async function mustBeOver(ref: ObjectRef<unknown>): Promise<void> {
  const error = await get(ref).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MobulaError)) throw new Error(`it was cancelled, and gave ${error}`);
}

async function oneRound(sim: Simulation): Promise<void> {
  const lent = await valueOf(get(lend.remote(40)));
  const given = Array.from({ length: 6 }, (_, i) => giving(100 + i));
  for (const ref of given.slice(2)) {
    await sim.sleep(Math.random() * 2);
    await cancel(ref);
  }
  const endless = [forEver.remote(), parent.remote(2), untilAborted.remote()];
  const kept = Array.from({ length: 12 }, (_, i) => add.remote(i, 1));
  const queued = Array.from({ length: 8 }, (_, i) => slow.remote(20 + i));
  await sim.sleep(Math.random() * 30);
  const gone = queued.filter((_, i) => i % 2 === 0);
  await Promise.all([
    ...gone.map((ref) => cancel(ref)),
    ...endless.map((ref, i) => cancel(ref, { force: i === 0 || Math.random() < 0.3 })),
    ...(lent === null ? [] : [cancel(lent.ref)]),
  ]);
  await Promise.all(endless.map(mustBeOver));
  await settleAll([
    ...kept.map((ref, i) => settle(ref, i + 1)),
    ...queued.map((ref, i) => settle(ref, 20 + i)),
    ...given.map((ref, i) => settle(ref, 100 + i)),
  ]);
}

async function cancels(sim: Simulation): Promise<void> {
  await inRounds(sim, () => oneRound(sim));
}

export default { program: cancels, options: worldOf } satisfies SimProgram;
