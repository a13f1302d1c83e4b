/** The public API: everything a program imports from "mobula". */
import { workerData } from "node:worker_threads";
import type { BootData } from "#transports/threads/boot-data.ts";
import { installAutoInit } from "./init.ts";
import { markSelfBooted } from "./runtime.ts";
import workerMain from "./worker-main.ts";

export { init, isInitialized, shutdown } from "./init.ts";
export { remote } from "./remote.ts";
export { cancel } from "./cancel.ts";
export { asCompleted, get, put, wait } from "./get.ts";
export { getActor, kill } from "./actors.ts";
export { getGpuIds, getRuntimeContext, WorkerMode } from "./runtime-context.ts";
export { registerClass } from "./serialization/registered-classes.ts";
export * from "./errors.ts";
export type * from "./ids.ts";
export type * from "./options.ts";
export type * from "./types.ts";

const { mobulaBoot } = (workerData ?? {}) as { mobulaBoot?: BootData };
if (mobulaBoot !== undefined) {
  // The program is one bundle, and this thread's entry is that bundle.
  markSelfBooted();
  void workerMain(mobulaBoot); // what it rejects with ends this thread
}
installAutoInit();
