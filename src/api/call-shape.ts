/**
 * Checks the options of tasks, actors and methods, and makes of them what the engine needs.
 *
 * Wrong kind or unknown name: TypeError. Out of bounds: RangeError. Both at the call.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { returnsMax, type NodeId } from "#engine/common/ids.ts";
import {
  cpuName,
  fixedPointScale,
  gpuName,
  makeRequest,
  memoryName,
  type ResourceRequest,
  toFixedPoint,
} from "#engine/common/resources.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { CallShape } from "#engine/services/core-worker-client.ts";

export type Options = Readonly<Record<string, unknown>>;

const resourceNames = [
  "numCpus",
  "numGpus",
  "memory",
  "resources",
  "acceleratorType",
  "labelSelector",
  "schedulingStrategy",
  "runtimeEnv",
];
const taskNames = [
  ...resourceNames,
  "name",
  "numReturns",
  "maxCalls",
  "maxRetries",
  "retryExceptions",
  "signal",
  "timeoutMs",
  "priority",
  "generatorBackpressureNumObjects",
  "transfer",
];
const actorNames = [
  ...resourceNames,
  "name",
  "namespace",
  "getIfExists",
  "lifetime",
  "maxRestarts",
  "maxTaskRetries",
  "retryExceptions",
  "maxConcurrency",
  "concurrencyGroups",
  "maxPendingCalls",
  "allowOutOfOrderExecution",
  "methods",
  "isolation",
];
const methodNames = [
  "name",
  "numReturns",
  "generatorBackpressureNumObjects",
  "maxTaskRetries",
  "retryExceptions",
  "concurrencyGroup",
  "signal",
  "timeoutMs",
];

/**
 * In the contract, not built yet: refused rather than ignored. The value that is as good as absent.
 */
const notYet: Readonly<Record<string, unknown>> = {
  acceleratorType: undefined,
  runtimeEnv: undefined,
  maxCalls: 0,
  maxRetries: undefined,
  retryExceptions: false,
  priority: 0,
  generatorBackpressureNumObjects: undefined,
  maxRestarts: 0,
  maxTaskRetries: 0,
  concurrencyGroups: undefined,
  concurrencyGroup: undefined,
  maxPendingCalls: -1,
  allowOutOfOrderExecution: false,
  methods: undefined,
  isolation: "thread",
};

export function checkTaskOptions(options: unknown): Options {
  return checkOptions(options, taskNames, "a remote function");
}

export function checkActorOptions(options: unknown): Options {
  return checkOptions(options, actorNames, "a remote class");
}

export function checkMethodOptions(options: unknown): Options {
  return checkOptions(options, methodNames, "a method");
}

/** Options that are checked when they are given, used when the call is made. */
function checkOptions(options: unknown, known: readonly string[], of: string): Options {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`options of ${of} must be an object, got ${describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      throw new TypeError(
        `${of} has no option ${JSON.stringify(name)}; it has: ${known.join(", ")}`,
      );
    }
    if (value !== undefined) checkOption(name, value);
  }
  return options as Options;
}

function checkOption(name: string, value: unknown): void {
  switch (name) {
    case "numCpus":
    case "memory":
      return checkAmount(name, value);
    case "numGpus":
      checkAmount(name, value);
      if (value <= 1 || Number.isInteger(value)) return;
      throw new RangeError(`numGpus above 1 must be a whole number, got ${value}`);
    case "resources":
      for (const [resource, amount] of recordOf(name, value)) {
        if (resource === cpuName || resource === gpuName || resource === memoryName) {
          throw new TypeError(`resources.${resource}: use numCpus, numGpus or memory instead`);
        }
        checkAmount(`resources.${resource}`, amount);
      }
      return;
    case "name":
    case "namespace":
      if (typeof value !== "string") throw kindError(name, "a string", value);
      if (value === "" && name === "namespace") throw new RangeError("namespace must not be empty");
      return;
    case "numReturns":
      return checkInteger(name, value, 1, returnsMax);
    case "maxConcurrency":
      return checkInteger(name, value, 1, 1_000_000);
    case "timeoutMs":
      if (typeof value !== "number") throw kindError(name, "a number", value);
      if (!(value > 0)) throw new RangeError(`timeoutMs must be above 0, got ${value}`);
      return;
    case "signal":
      if (value instanceof AbortSignal) return;
      throw kindError(name, "an AbortSignal", value);
    case "getIfExists":
      if (typeof value !== "boolean") throw kindError(name, "a boolean", value);
      return;
    case "lifetime":
      if (value === "detached" || value === "nonDetached") return;
      throw kindError(name, '"detached" or "nonDetached"', value);
    case "transfer":
      if (Array.isArray(value) && value.every((item) => item instanceof ArrayBuffer)) return;
      throw kindError(name, "a list of ArrayBuffers", value);
    case "labelSelector":
    case "schedulingStrategy":
      strategyOf({ [name]: value });
      return;
    default:
      checkNotYet(name, value);
  }
}

function checkNotYet(name: string, value: unknown): void {
  if (value === notYet[name]) return;
  if (name === "maxRetries" && typeof value === "number") {
    checkInteger(name, value, -1, Number.MAX_SAFE_INTEGER);
    if (value === 0) return;
  }
  throw new TypeError(
    `option ${name} is part of the contract but this version does not implement it yet`,
  );
}

function checkAmount(name: string, value: unknown): asserts value is number {
  if (typeof value !== "number") throw kindError(name, "a number", value);
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(`${name} must be a finite number of at least 0, got ${value}`);
  }
  if (value > 0 && value < 1 / fixedPointScale) {
    throw new RangeError(`${name} must be 0 or at least ${1 / fixedPointScale}, got ${value}`);
  }
}

function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number") throw kindError(name, "an integer", value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`);
  }
}

// ---------------------------------------------------------------- what the engine needs

export function requestOf(options: Options, defaultCpus: number): ResourceRequest {
  const amounts: [string, number][] = [
    [cpuName, toFixedPoint(numberOr(options["numCpus"], defaultCpus))],
    [gpuName, toFixedPoint(numberOr(options["numGpus"], 0))],
    [memoryName, toFixedPoint(numberOr(options["memory"], 0))],
  ];
  for (const [name, amount] of recordOf("resources", options["resources"] ?? {})) {
    amounts.push([name, toFixedPoint(amount as number)]);
  }
  return makeRequest(amounts);
}

/**
 * True when any resource is asked for by name: an actor then holds it for its whole life (Ray's
 * rule).
 */
export function namesResources(options: Options): boolean {
  return ["numCpus", "numGpus", "memory", "resources"].some((name) => options[name] !== undefined);
}

export function strategyOf(options: Options): SchedulingStrategy {
  const strategy = options["schedulingStrategy"];
  const selector = options["labelSelector"];
  if (selector !== undefined) {
    return { type: "nodeLabels", hard: labelsOf("labelSelector", selector), soft: new Map() };
  }
  if (strategy === undefined || strategy === "DEFAULT") return { type: "default" };
  if (strategy === "SPREAD") return { type: "spread" };
  if (typeof strategy !== "object" || strategy === null) {
    const kinds = '"DEFAULT", "SPREAD", { nodeId }, { hard, soft } or { placementGroup }';
    throw kindError("schedulingStrategy", kinds, strategy);
  }
  if ("placementGroup" in strategy) checkNotYet("schedulingStrategy.placementGroup", strategy);
  if ("nodeId" in strategy) {
    const { nodeId, soft = false } = strategy as { nodeId: unknown; soft?: unknown };
    if (typeof nodeId !== "string") throw kindError("schedulingStrategy.nodeId", "an id", nodeId);
    return { type: "nodeAffinity", nodeId: nodeId as NodeId, soft: soft === true };
  }
  const { hard = {}, soft = {} } = strategy as { hard?: unknown; soft?: unknown };
  return {
    type: "nodeLabels",
    hard: labelsOf("schedulingStrategy.hard", hard),
    soft: labelsOf("schedulingStrategy.soft", soft),
  };
}

export function taskShape(descriptor: FunctionDescriptor, options: Options): CallShape {
  const name = options["name"];
  return {
    definition: {
      descriptor,
      method: "",
      taskName: typeof name === "string" && name !== "" ? name : descriptor.displayName,
      numReturns: numberOr(options["numReturns"], 1),
      resources: requestOf(options, 1),
      timeoutMs: timeoutOf(options),
    },
    strategy: strategyOf(options),
  };
}

export function methodShape(className: string, method: string, options: Options): CallShape {
  const name = options["name"];
  return {
    definition: {
      descriptor: null,
      method,
      taskName: typeof name === "string" && name !== "" ? name : `${className}.${method}`,
      numReturns: numberOr(options["numReturns"], 1),
      resources: makeRequest([]),
      timeoutMs: timeoutOf(options),
    },
    strategy: { type: "default" },
  };
}

/** 0: it may run for as long as it takes. */
function timeoutOf(options: Options): number {
  const timeoutMs = numberOr(options["timeoutMs"], 0);
  return timeoutMs === Infinity ? 0 : timeoutMs;
}

function labelsOf(name: string, value: unknown): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const [label, wanted] of recordOf(name, value)) {
    if (typeof wanted !== "string") throw kindError(`${name}.${label}`, "a string", wanted);
    labels.set(label, wanted);
  }
  return labels;
}

function recordOf(name: string, value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw kindError(name, "an object", value);
  }
  return Object.entries(value);
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

function kindError(name: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wanted}, got ${describe(value)}`);
}

export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return `an object of ${value.constructor?.name ?? "no class"}`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
