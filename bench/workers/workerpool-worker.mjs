import workerpool from "workerpool";
import { fib, noop, sampleBytes } from "./tasks.mjs";

workerpool.worker({ noop, fib, sampleBytes });
