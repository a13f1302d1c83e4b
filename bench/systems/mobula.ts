/** mobula itself, as built into dist/: one worker thread per CPU asked for, all else default. */
import { existsSync } from "node:fs";
import type { BusyLoops, System, TaskPool } from "../system.ts";

type MobulaTasks = typeof import("../mobula-tasks.mjs");

/** Imported late: the benches of the peers run before the package is built. */
export function importMobulaTasks(): Promise<MobulaTasks> {
  return import("../mobula-tasks.mjs");
}

/** Why mobula cannot be measured here, or undefined. */
export function mobulaMissing(): string | undefined {
  const entry = new URL("../../dist/api/index.js", import.meta.url);
  return existsSync(entry) ? undefined : "dist/ is not built yet: run `npm run build` first";
}

async function startPool(threads: number): Promise<TaskPool> {
  const mobula = await importMobulaTasks();
  const { get, noop, fib, sampleBytes } = mobula;
  await mobula.init({ numCpus: threads });
  return {
    noop: (x) => get(noop.remote(x)),
    fib: (n) => get(fib.remote(n)),
    sampleBytes: (bytes) => get(sampleBytes.remote(bytes)),
    moveBytes: (bytes) => get(sampleBytes.options({ transfer: [bytes.buffer] }).remote(bytes)),
    shareBytes(bytes) {
      const ref = mobula.put(bytes);
      return () => get(sampleBytes.remote(ref));
    },
    noopAll: (count) => get(Array.from({ length: count }, (_, x) => noop.remote(x))),
    stop: () => mobula.shutdown(),
  };
}

const neighbourCount = 16;

async function startLoops(): Promise<BusyLoops> {
  const { cancel, get, init, loopOnZero, shutdown } = await importMobulaTasks();
  await init({ numCpus: 1 });
  const channel = new BroadcastChannel("bench-loop");
  const answersOf = (count: number) => {
    return Array.from({ length: count }, (_, i) => loopOnZero.remote(i + 1));
  };
  // So short that several are sent ahead: they are in the thread that is ended.
  await get(answersOf(1000));
  return {
    async cancelOne() {
      const runs = new Promise((resolve) => (channel.onmessage = resolve));
      const loop = loopOnZero.remote(0);
      const behind = answersOf(neighbourCount);
      await runs;
      const startMs = performance.now();
      void cancel(loop, { force: true });
      const outcome = await get(loop).catch((error: Error) => error.name);
      const refMs = performance.now() - startMs;
      const answers = await get(behind);
      const neighboursMs = performance.now() - startMs;
      const wrong = answers.filter((answer, i) => answer !== i + 2).length;
      return { refMs, neighboursMs, wrong: wrong + (outcome === "TaskCancelledError" ? 0 : 1) };
    },
    stop() {
      channel.close();
      return shutdown();
    },
  };
}

export const mobula: System = {
  name: "mobula",
  missing: mobulaMissing,
  movesBytes: true,
  startPool,
  startLoops,
  async startActor() {
    const { Counter, get, init, shutdown } = await importMobulaTasks();
    await init({ numCpus: 1 });
    const counter = Counter.remote();
    return { increment: (by) => get(counter.increment.remote(by)), stop: () => shutdown() };
  },
};
