/**
 * Composition root of a driver: `init`, `shutdown`, and the runtime that the first call starts by
 * itself.
 */
import { assert } from "#engine/common/assert.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { MemoryWords } from "#engine/services/memory-words.ts";
import type { OverflowPort } from "#engine/services/overflow-port.ts";
import type { SpillPort } from "#engine/services/spill-port.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { ColdLauncher } from "#engine/services/owned-launcher.ts";
import { AlreadyInitializedError, NotInitializedError } from "./errors.ts";
import { buildLocalDriver } from "./driver-local.ts";
import { buildThreadsDriver } from "./driver-threads.ts";
import { captureCallSite, describeLocation } from "./identity/call-site.ts";
import { markInitialized } from "./identity/remote-registry.ts";
import type { ClusterId } from "./ids.ts";
import { makeSpillPlace, type NodePlan, planNode } from "./node-plan.ts";
import { checkDuration, checkOptions } from "./option-checks.ts";
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
  const isInTask = currentTask() !== null;
  if (state.worker !== null && !isInTask) {
    park("init");
    return never();
  }
  // Also where it only joins: an option that is wrong is wrong everywhere.
  const plan = planNode(options);
  if (isInTask) return (state.worker ?? state.driver ?? notInTask()).runtime;
  const site = captureCallSite(init);
  const where = `init() at ${describeLocation(site)}`;
  if (state.ending) markInitialized(site.moduleUrl);
  while (state.ending) await state.ending;
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
  makeSpillPlace(options ?? {});
  const started = start(plan, where);
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
  checkOptions("shutdown", options, ["graceMs"]);
  checkDuration("shutdown: graceMs", options.graceMs);
  const { graceMs = 0 } = options;
  await (state.driver?.shutdown(graceMs) ?? state.ending);
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
    memoryWords: parts.memoryWords,
    spilling: parts.spilling,
    overflow: parts.overflow,
    driverId: process.client.workerId,
    watch: parts.watch,
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
    depth: 0,
    context: null,
    mode,
    namespace: plan.namespace,
    runtime,
    startedBy,
    ready: node.then(() => {}),
    shutdown: (graceMs) => (ending ??= untilEnded(stop(graceMs))),
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
    parts.verify();
  };
  realmState().driver = driver;
  return driver;
}

/** Whoever starts the next runtime waits for it. */
function untilEnded(stopped: Promise<void>): Promise<void> {
  const state = realmState();
  const ending = stopped.finally(() => {
    if (state.ending === ending) state.ending = null;
  });
  state.ending = ending;
  return ending;
}

async function startNode(
  plan: NodePlan,
  segments: readonly number[],
  parts: {
    host: DriverRuntime["client"]["host"];
    launcher: ColdLauncher;
    arena: ArenaBytes;
    memoryWords: MemoryWords;
    spilling: SpillPort;
    overflow: OverflowPort;
    driverId: WorkerId;
    watch(): Promise<void>;
  },
): Promise<{ close(): Promise<void> }> {
  // Workers import this module with the user's: what loads Effect waits until a driver needs it.
  const { startNode } = await import("#engine/services/node.ts");
  await parts.watch();
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
