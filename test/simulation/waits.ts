/** wait and get with time-outs: what is ready is true, never early, and disturbs nobody else. */
import { get, MobulaError, remote, wait } from "mobula";
import type { Simulation } from "mobula/sim";
import { inRounds, type SimProgram, worldOf } from "./world.ts";
import { settle, settleAll } from "./outcome.ts";

const after = remote(async (ms: number, value: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return value;
});
const waiting = remote(async (count: number): Promise<number> => {
  const refs = Array.from({ length: count }, (_, i) => after.remote(i * 2, i));
  const [ready] = await wait(refs, { numReturns: count - 1 });
  return ready.length;
});

async function oneRound(sim: Simulation): Promise<void> {
  const refs = [1, 5, 25, 125].map((ms) => after.remote(ms * (1 + Math.random()), ms));
  const nested = waiting.remote(4);
  const beforeMs = sim.nowMs;
  const timeoutMs = Math.random() * 30;
  const [ready, pending] = await wait(refs, { numReturns: 4, timeoutMs });
  if (ready.length + pending.length !== 4) throw new Error("wait lost a ref");
  // A clock drifts by a thousandth at most.
  const tookMs = sim.nowMs - beforeMs;
  if (pending.length > 0 && tookMs < timeoutMs * 0.99 - 1) {
    throw new Error(`wait gave up after ${tookMs} ms of ${timeoutMs}`);
  }
  await Promise.all(refs.map((ref) => get(ref, { timeoutMs: 1 }).catch(onlyOurs)));
  await settleAll([...refs.map((ref, i) => settle(ref, 5 ** i)), settle(nested, 3)]);
}

function onlyOurs(error: unknown): void {
  if (!(error instanceof MobulaError)) throw error;
}

async function waits(sim: Simulation): Promise<void> {
  await inRounds(sim, () => oneRound(sim));
}

export default { program: waits, options: worldOf } satisfies SimProgram;
