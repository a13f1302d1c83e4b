/** The benches' remote functions and actor, at module top level so that a worker finds them. */
import { remote } from "mobula";
import * as bodies from "./workers/tasks.mjs";

export { cancel, get, init, put, shutdown } from "mobula";

export const noop = remote(bodies.noop);
export const fib = remote(bodies.fib);
export const sampleBytes = remote(bodies.sampleBytes);
export const Counter = remote(bodies.Counter);

/** Of 0 a loop without an end, once it has said that it runs; of others what `noop` gives. */
export const loopOnZero = remote((x) => {
  if (x !== 0) return x + 1;
  new BroadcastChannel("bench-loop").postMessage("runs");
  for (;;);
});

/** Holds its thread, without using CPU: whatever is submitted meanwhile stays pending. */
export const holdWorker = remote((holdMs) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, holdMs);
  return holdMs;
});
