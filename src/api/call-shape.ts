/**
 * Checks the options of tasks, actors and methods, and makes of them what the engine needs.
 *
 * Wrong kind or unknown name: TypeError. Out of bounds: RangeError. Both at the call.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { returnsMax, type NodeId } from "#engine/common/ids.ts";
import {
  cpuName,
  gpuName,
  makeRequest,
  memoryName,
  type ResourceRequest,
  toFixedPoint,
} from "#engine/common/resources.ts";
import { noRetries, type SchedulingStrategy } from "#engine/common/task-spec.ts";
import type { CallShape } from "#engine/services/task-templates.ts";
import {
  checkAmount,
  checkBoolean,
  checkInteger,
  checkNamespace,
  checkOptions,
  checkString,
  copyOptions,
  kindError,
  type Options,
  recordOf,
} from "./option-checks.ts";
import { retryPolicyOf, whyNotRetryExceptions } from "./retry-exceptions.ts";

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
  return checkCallOptions("a remote function", options, taskNames);
}

export function checkActorOptions(options: unknown): Options {
  return checkCallOptions("a remote class", options, actorNames);
}

export function checkMethodOptions(options: unknown): Options {
  return checkCallOptions("a method", options, methodNames);
}

/** Options that are checked when they are given, used when the call is made. */
function checkCallOptions(of: string, given: unknown, known: readonly string[]): Options {
  const options = copyOptions(checkOptions(of, given, known));
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (name === "retryExceptions" && known === taskNames) checkRetryExceptions(value);
    else checkOption(name, value);
  }
  strategyOf(options);
  return options;
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
      return checkString(name, value);
    case "namespace":
      return checkNamespace(name, value);
    case "numReturns":
      return checkInteger(name, value, 1, returnsMax);
    case "maxRetries":
      return checkInteger(name, value, -1, Number.MAX_SAFE_INTEGER);
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
      return checkBoolean(name, value);
    case "lifetime":
      if (value === "detached" || value === "nonDetached") return;
      throw kindError(name, '"detached" or "nonDetached"', value);
    case "transfer":
      return checkTransfer(value);
    case "labelSelector":
    case "schedulingStrategy":
      // Looked at together, below.
      return;
    default:
      checkNotYet(name, value);
  }
}

function checkTransfer(value: unknown): void {
  if (!Array.isArray(value)) throw kindError("transfer", "a list of ArrayBuffers", value);
  for (const [i, item] of value.entries()) {
    if (!(item instanceof ArrayBuffer)) throw kindError(`transfer[${i}]`, "an ArrayBuffer", item);
  }
  if (new Set(value).size === value.length) return;
  throw new TypeError("transfer takes each ArrayBuffer once");
}

function checkNotYet(name: string, value: unknown): void {
  if (value === notYet[name]) return;
  throw new TypeError(
    `option ${name} is part of the contract but this version does not implement it yet`,
  );
}

function checkRetryExceptions(value: unknown): void {
  const wanted = whyNotRetryExceptions(value);
  if (wanted !== undefined) throw kindError("retryExceptions", wanted, value);
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
    if (strategy !== undefined && strategy !== "DEFAULT") {
      throw new TypeError("labelSelector and schedulingStrategy both say where: give one of them");
    }
    return { type: "nodeLabels", hard: labelsOf("labelSelector", selector), soft: new Map() };
  }
  if (strategy === undefined || strategy === "DEFAULT") return { type: "default" };
  if (strategy === "SPREAD") return { type: "spread" };
  if (typeof strategy !== "object" || strategy === null) {
    const kinds = '"DEFAULT", "SPREAD", { nodeId }, { hard, soft } or { placementGroup }';
    throw kindError("schedulingStrategy", kinds, strategy);
  }
  if ("placementGroup" in strategy) checkNotYet("schedulingStrategy.placementGroup", strategy);
  const isAffinity = "nodeId" in strategy;
  checkOptions("schedulingStrategy", strategy, isAffinity ? ["nodeId", "soft"] : ["hard", "soft"]);
  if (isAffinity) {
    const { nodeId, soft = false } = strategy as { nodeId: unknown; soft?: unknown };
    if (typeof nodeId !== "string") throw kindError("schedulingStrategy.nodeId", "an id", nodeId);
    checkBoolean("schedulingStrategy.soft", soft);
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
    retry: retryPolicyOf(options),
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
    retry: noRetries,
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
    checkSelector(`${name}.${label}`, wanted);
    labels.set(label, wanted);
  }
  return labels;
}

/** A selector that says more than one value would be taken for a value, and waited for for ever. */
function checkSelector(name: string, selector: string): void {
  if (!/^!?in\(|[!(),]/.test(selector)) return;
  if (/^!?(in\([^!(),]+(,[^!(),]+)*\)|[^!(),]+)$/.test(selector)) {
    throw new TypeError(
      `${name}: ${JSON.stringify(selector)} is part of the contract but this version compares ` +
        "labels with one value only",
    );
  }
  throw new RangeError(
    `${name} must be "v", "!v", "in(a,b)" or "!in(a,b)", got ${JSON.stringify(selector)}`,
  );
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
