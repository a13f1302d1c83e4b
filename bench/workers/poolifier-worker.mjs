import { ThreadWorker } from "poolifier";
import { fib, noop, sampleBytes } from "./tasks.mjs";

export default new ThreadWorker({ noop, fib, sampleBytes });
