/** The options of `init`, checked, with every default filled in: what a node is built from. */
import { randomBytes } from "node:crypto";
import { availableParallelism, hostname, totalmem } from "node:os";
import type { Config } from "#engine/common/config.ts";
import { withOverrides } from "#engine/common/config.ts";
import type { NodeId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import { describe, requestOf } from "./call-shape.ts";
import type { InitOptions } from "./options.ts";

export interface NodePlan {
  readonly mode: "local" | "threads";
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly namespace: string;
  readonly numCpus: number;
  readonly totals: ResourceRequest;
  readonly labels: ReadonlyMap<string, string>;
  readonly objectStoreBytes: number;
  readonly hostname: string;
  readonly config: Config;
  readonly checkInvariants: boolean;
}

const known = [
  "address",
  "localMode",
  "numCpus",
  "numGpus",
  "memory",
  "resources",
  "labels",
  "objectStoreMemory",
  "spillDirectory",
  "namespace",
  "includeDashboard",
  "dashboardHost",
  "dashboardPort",
  "logToDriver",
  "ignoreReinitError",
  "checkInvariants",
  "runtimeEnv",
  "authToken",
  "tls",
  "storage",
  "systemConfig",
];

/** Of the contract, for clusters, spilling and dashboards to come: refused rather than ignored. */
const notYet: Readonly<Record<string, unknown>> = {
  address: undefined,
  spillDirectory: undefined,
  includeDashboard: false,
  dashboardHost: undefined,
  dashboardPort: undefined,
  logToDriver: true,
  runtimeEnv: undefined,
  authToken: undefined,
  tls: undefined,
  storage: "memory",
};

const objectStoreShare = 0.3;
const objectStoreBytesMin = 1 << 20;
/** Every process keeps up to two chunks: together they must not be what fills a small store. */
const chunksPerStoreMin = 64;
const chunkBytesMin = 16 << 10;

export function planNode(options: InitOptions = {}): NodePlan {
  checkNames(options);
  const { systemConfig = {} } = options;
  checkRecord("systemConfig", systemConfig);
  const mode = options.localMode === true ? "local" : "threads";
  const numCpus = options.numCpus ?? availableParallelism();
  const objectStoreBytes = objectStoreBytesOf(options.objectStoreMemory);
  return {
    mode,
    nodeId: randomBytes(16).toString("hex") as NodeId,
    clusterId: randomBytes(16).toString("hex"),
    namespace: namespaceOf(options),
    numCpus,
    totals: totalsOf({ ...options, numCpus }),
    labels: labelsOf(options.labels),
    objectStoreBytes,
    hostname: hostname(),
    config: configOf(systemConfig, objectStoreBytes),
    checkInvariants: options.checkInvariants ?? mode === "local",
  };
}

function configOf(asked: NonNullable<InitOptions["systemConfig"]>, storeBytes: number): Config {
  const config = withOverrides(asked);
  if (Object.hasOwn(asked, "arenaChunkBytes")) return config;
  const units = Math.floor(storeBytes / chunksPerStoreMin / chunkBytesMin);
  const arenaChunkBytes = Math.min(config.arenaChunkBytes, Math.max(1, units) * chunkBytesMin);
  return { ...config, arenaChunkBytes };
}

function checkNames(options: InitOptions): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`init() takes an object of options, got ${describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      throw new TypeError(
        `init has no option ${JSON.stringify(name)}; it has: ${known.join(", ")}`,
      );
    }
    if (value === undefined || !Object.hasOwn(notYet, name) || value === notYet[name]) continue;
    throw new TypeError(
      `init: option ${name} is part of the contract but this version does not implement it yet`,
    );
  }
  for (const name of ["localMode", "ignoreReinitError", "checkInvariants"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`init: ${name} must be a boolean, got ${describe(value)}`);
    }
  }
}

function totalsOf(options: InitOptions): ResourceRequest {
  for (const name of ["numCpus", "numGpus", "memory"] as const) {
    checkAmount(name, options[name]);
  }
  const { resources = {} } = options;
  checkRecord("resources", resources);
  for (const [name, amount] of Object.entries(resources)) {
    if (["CPU", "GPU", "memory"].includes(name)) {
      throw new TypeError(`init: resources.${name}: use numCpus, numGpus or memory instead`);
    }
    checkAmount(`resources.${name}`, amount);
  }
  const { numCpus, numGpus, memory } = options;
  return requestOf({ numCpus, numGpus, memory, resources }, 0);
}

function checkRecord(name: string, value: unknown): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`init: ${name} must be an object, got ${describe(value)}`);
}

function checkAmount(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== "number") {
    throw new TypeError(`init: ${name} must be a number, got ${describe(value)}`);
  }
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(`init: ${name} must be a finite number of at least 0, got ${value}`);
  }
}

function namespaceOf({ namespace }: InitOptions): string {
  if (namespace === undefined) return randomBytes(16).toString("hex");
  if (typeof namespace !== "string") {
    throw new TypeError(`init: namespace must be a string, got ${describe(namespace)}`);
  }
  if (namespace === "") throw new RangeError("init: namespace must not be empty");
  return namespace;
}

function labelsOf(labels: Readonly<Record<string, string>> = {}): ReadonlyMap<string, string> {
  checkRecord("labels", labels);
  const entries = Object.entries(labels);
  for (const [name, value] of entries) {
    if (typeof value !== "string") {
      throw new TypeError(`init: labels.${name} must be a string, got ${describe(value)}`);
    }
  }
  return new Map(entries);
}

function objectStoreBytesOf(asked: number | undefined): number {
  if (asked === undefined) {
    // In a container the process may use less than the machine has.
    const limit = process.constrainedMemory?.() ?? 0;
    const usable = limit > 0 && limit < totalmem() ? limit : totalmem();
    return Math.floor(usable * objectStoreShare);
  }
  if (typeof asked !== "number") {
    throw new TypeError(`init: objectStoreMemory must be a number, got ${describe(asked)}`);
  }
  if (!Number.isInteger(asked) || asked < objectStoreBytesMin) {
    throw new RangeError(
      `init: objectStoreMemory must be an integer of at least ${objectStoreBytesMin} bytes, ` +
        `got ${asked}`,
    );
  }
  return asked;
}
