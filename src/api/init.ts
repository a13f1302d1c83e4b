/**
 * Composition root of a driver: `init`, `shutdown`, and the runtime that the first call starts by
 * itself.
 */
import { assert } from "#engine/common/assert.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { ColdLauncher } from "#engine/services/owned-launcher.ts";
import { describe } from "./call-shape.ts";
import { AlreadyInitializedError, NotInitializedError } from "./errors.ts";
import { buildLocalDriver } from "./driver-local.ts";
import { buildThreadsDriver } from "./driver-threads.ts";
import { captureCallSite, describeLocation } from "./identity/call-site.ts";
import { markInitialized } from "./identity/remote-registry.ts";
import type { ClusterId } from "./ids.ts";
import { type NodePlan, planNode } from "./node-plan.ts";
import type { InitOptions, ShutdownOptions } from "./options.ts";
import { type DriverRuntime, never, park, realmState } from "./runtime.ts";
import { currentTask } from "./task-context.ts";
import type { Runtime } from "./types.ts";

export function init(options?: InitOptions): Promise<Runtime> {
  try {
    return initialize(options);
  } catch (error) {
    return Promise.reject(error);
  }
}

async function initialize(options: InitOptions | undefined): Promise<Runtime> {
  const state = realmState();
  if (currentTask() !== null) return (state.worker ?? state.driver ?? notInTask()).runtime;
  if (state.worker !== null) {
    park("init");
    return never();
  }
  const site = captureCallSite(init);
  const where = `init() at ${describeLocation(site)}`;
  const { driver } = state;
  if (driver !== null) {
    if (options !== undefined && options.ignoreReinitError !== true) {
      throw new AlreadyInitializedError(
        `${where}: there is a runtime already, started by ${driver.startedBy}; call shutdown() ` +
          "first, or init({ ignoreReinitError: true }) to join it as it is",
      );
    }
    markInitialized(site.moduleUrl);
    await driver.ready;
    return driver.runtime;
  }
  const started = start(planNode(options), where);
  markInitialized(site.moduleUrl);
  await started.ready;
  return started.runtime;
}

function notInTask(): never {
  throw new NotInitializedError("init: the task's runtime has ended");
}

export function isInitialized(): boolean {
  const { driver, worker } = realmState();
  return driver !== null || worker !== null;
}

export async function shutdown(options: ShutdownOptions = {}): Promise<void> {
  const state = realmState();
  if (currentTask() !== null) throw new TypeError("shutdown: not from inside a task");
  if (state.worker !== null) {
    park("shutdown");
    return never();
  }
  checkShutdownOptions(options);
  const { graceMs = 0 } = options;
  if (typeof graceMs !== "number") throw new TypeError("shutdown: graceMs must be a number");
  if (!(graceMs >= 0)) throw new RangeError(`shutdown: graceMs must be at least 0, got ${graceMs}`);
  await state.driver?.shutdown(graceMs);
}

function checkShutdownOptions(options: ShutdownOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`shutdown: options must be an object, got ${describe(options)}`);
  }
  const unknown = Object.keys(options).find((name) => name !== "graceMs");
  if (unknown === undefined) return;
  throw new TypeError(`shutdown has no option ${JSON.stringify(unknown)}; it has: graceMs`);
}

/** The first call before init(): the default runtime, whose workers come when they come. */
export function installAutoInit(): void {
  realmState().autoInit ??= (verb) =>
    start(planNode(), `the first ${verb === "remote" ? ".remote()" : `${verb}()`}`);
}

// ---------------------------------------------------------------- start and stop

/**
 * Builds what calls need at once; raylet, GCS and workers follow, and what was asked of them waits.
 */
function start(plan: NodePlan, startedBy: string): DriverRuntime {
  const { mode, nodeId } = plan;
  const parts = mode === "local" ? buildLocalDriver(plan) : buildThreadsDriver(plan);
  const { process, launcher, arena } = parts;
  const node = startNode(plan, parts.segmentBytes, {
    host: process.client.host,
    launcher,
    arena,
    driverId: process.client.workerId,
  });
  let ending: Promise<void> | undefined;
  const runtime: Runtime = {
    address: mode,
    nodeId,
    clusterId: plan.clusterId as ClusterId,
    [Symbol.asyncDispose]: () => driver.shutdown(0),
  };
  const driver: DriverRuntime = {
    ...process,
    mode,
    namespace: plan.namespace,
    runtime,
    startedBy,
    ready: node.then(() => {}),
    shutdown: (graceMs) => (ending ??= stop(graceMs)),
  };
  const stop = async (graceMs: number): Promise<void> => {
    await drained(driver, graceMs);
    const state = realmState();
    if (state.driver === driver) state.driver = null;
    state.wasShutDown = true;
    parts.stop();
    process.client.close(
      new NotInitializedError("the runtime was shut down while this call was waiting"),
    );
    await (await node).close();
  };
  realmState().driver = driver;
  return driver;
}

async function startNode(
  plan: NodePlan,
  segments: readonly number[],
  parts: {
    host: DriverRuntime["client"]["host"];
    launcher: ColdLauncher;
    arena: ArenaBytes;
    driverId: WorkerId;
  },
): Promise<{ close(): Promise<void> }> {
  // Workers import this module with the user's: what loads Effect waits until a driver needs it.
  const { startNode } = await import("#engine/services/node.ts");
  await parts.launcher.prepare();
  const { nodeId, config, totals, labels, mode, hostname, numCpus } = plan;
  const prestartCount = Math.min(Math.ceil(numCpus), config.taskWorkersMax);
  const raylet = {
    nodeId,
    config,
    isHead: true,
    totals,
    labels,
    address: mode,
    hostname,
    prestartCount,
    segments,
  };
  // The one node of its cluster: nobody else could take it for dead.
  const onExit = (reason: string): void => assert(false, `the only node ends itself: ${reason}`);
  return startNode({ ...parts, raylet, isHead: true, onExit });
}

/** Running tasks may go on for a while. */
async function drained(driver: DriverRuntime, graceMs: number): Promise<void> {
  const { core } = driver.client;
  const endMs = performance.now() + graceMs;
  while (core.isWaiting && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
