/** comlink over a worker thread: a remote object, which is what an actor is compared with. */
import { Worker } from "node:worker_threads";
import { releaseProxy, wrap, type Endpoint } from "comlink";
import * as nodeAdapter from "comlink/dist/umd/node-adapter.js";
import { workerUrl, type System } from "../system.ts";
import type { Counter } from "../workers/tasks.mjs";

// The adapter is a CommonJS function; its declarations describe an ES module's default export.
const nodeEndpoint = nodeAdapter.default as unknown as (worker: Worker) => Endpoint;

export const comlink: System = {
  name: "comlink",
  async startActor() {
    const worker = new Worker(workerUrl("comlink-worker.mjs"), { execArgv: [] });
    const counter = wrap<Counter>(nodeEndpoint(worker));
    return {
      increment: (by) => counter.increment(by),
      async stop() {
        counter[releaseProxy]();
        await worker.terminate();
      },
    };
  },
};
