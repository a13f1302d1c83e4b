/** The least a worker can do: a message in, a message out. Also a bare actor: one counter. */
import { parentPort } from "node:worker_threads";
import { Counter, fib, noop, sampleBytes } from "./tasks.mjs";

const counter = new Counter();
const bodies = { noop, fib, sampleBytes, increment: (by) => counter.increment(by) };

parentPort.on("message", ({ id, body, value }) => {
  parentPort.postMessage({ id, result: bodies[body](value) });
});
