/** The options of `init`, checked, with every default filled in: what a node is built from. */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { availableParallelism, hostname, tmpdir, totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import type { Config } from "#engine/common/config.ts";
import { withOverrides } from "#engine/common/config.ts";
import type { NodeId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import { thrownText } from "#engine/common/thrown.ts";
import { reserveSegments } from "#transports/threads/shared-arena.ts";
import { requestOf } from "./call-shape.ts";
import { spillDirectoryIn } from "./left-directories.ts";
import { makeDirectoryNow } from "./make-directory.ts";
import {
  checkAmount,
  checkBoolean,
  checkInteger,
  checkNamespace,
  checkOptions,
  kindError,
  recordOf,
} from "./option-checks.ts";
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
  /** Made when the first object is spilled, and removed with the node. */
  readonly spillDirectory: string;
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

/** Of the contract, for clusters and dashboards to come: refused rather than ignored. */
const notYet: Readonly<Record<string, unknown>> = {
  address: undefined,
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
/** Address space is no limit that is found out in time: it takes minutes to run into it. */
const objectStoreBytesMax = 2 ** 44;
/** Every process keeps up to two chunks: together they must not be what fills a small store. */
const chunksPerStoreMin = 64;
const chunkBytesMin = 16 << 10;
/** Of the store: so much more may lie beside it. */
const fallbackShare = 0.1;

/** `drawId` gives the ids that nobody has given: 32 hex digits. */
export function planNode(options: InitOptions = {}, drawId: () => string = randomId): NodePlan {
  checkNames(options);
  const { systemConfig = {} } = options;
  recordOf("init: systemConfig", systemConfig);
  const mode = options.localMode === true ? "local" : "threads";
  const numCpus = options.numCpus ?? availableParallelism();
  const objectStoreBytes = objectStoreBytesOf(options.objectStoreMemory);
  const nodeId = drawId() as NodeId;
  return {
    mode,
    nodeId,
    spillDirectory: spillDirectoryOf(options.spillDirectory, nodeId),
    clusterId: drawId(),
    namespace: namespaceOf(options, drawId),
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
  const given = withOverrides(asked);
  const ofMachine = {
    fallbackBytesMax: Math.floor(storeBytes * fallbackShare),
    overflowBytesMax: defaultStoreBytes(),
  };
  const isGiven = (name: string): boolean => Object.hasOwn(asked, name);
  const own = Object.entries(ofMachine).filter(([name]) => !isGiven(name));
  const config = { ...given, ...Object.fromEntries(own) };
  if (isGiven("arenaChunkBytes")) return config;
  const units = Math.floor(storeBytes / chunksPerStoreMin / chunkBytesMin);
  const arenaChunkBytes = Math.min(config.arenaChunkBytes, Math.max(1, units) * chunkBytesMin);
  return { ...config, arenaChunkBytes };
}

function checkNames(options: InitOptions): void {
  for (const [name, value] of Object.entries(checkOptions("init", options, known))) {
    if (value === undefined || !Object.hasOwn(notYet, name) || value === notYet[name]) continue;
    throw new TypeError(
      `init: option ${name} is part of the contract but this version does not implement it yet`,
    );
  }
  for (const name of ["localMode", "ignoreReinitError", "checkInvariants"] as const) {
    checkBoolean(`init: ${name}`, options[name]);
  }
}

function totalsOf(options: InitOptions): ResourceRequest {
  for (const name of ["numCpus", "numGpus", "memory"] as const) {
    if (options[name] !== undefined) checkAmount(`init: ${name}`, options[name]);
  }
  const { resources = {} } = options;
  for (const [name, amount] of recordOf("init: resources", resources)) {
    if (["CPU", "GPU", "memory"].includes(name)) {
      throw new TypeError(`init: resources.${name}: use numCpus, numGpus or memory instead`);
    }
    checkAmount(`init: resources.${name}`, amount);
  }
  const { numCpus, numGpus, memory } = options;
  return requestOf({ numCpus, numGpus, memory, resources }, 0);
}

function randomId(): string {
  return randomBytes(16).toString("hex");
}

function namespaceOf({ namespace }: InitOptions, drawId: () => string): string {
  checkNamespace("init: namespace", namespace);
  return namespace ?? drawId();
}

function labelsOf(labels: unknown = {}): ReadonlyMap<string, string> {
  const entries = recordOf("init: labels", labels);
  for (const [name, value] of entries) {
    if (typeof value !== "string") throw kindError(`init: labels.${name}`, "a string", value);
  }
  return new Map(entries as [string, string][]);
}

function objectStoreBytesOf(asked: number | undefined): number {
  if (asked === undefined) return defaultStoreBytes();
  checkInteger("init: objectStoreMemory", asked, objectStoreBytesMin, objectStoreBytesMax);
  return asked;
}

function defaultStoreBytes(): number {
  return Math.floor(usableMemoryBytes() * objectStoreShare);
}

/** In a container the process may use less than the machine has. */
export function usableMemoryBytes(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** A directory of its own: nodes on one machine may share where they spill. */
function spillDirectoryOf(asked: string | undefined, nodeId: NodeId): string {
  if (asked !== undefined && (typeof asked !== "string" || asked === "" || isInFile(asked))) {
    throw kindError("init: spillDirectory", "the path of a directory", asked);
  }
  return spillDirectoryIn(resolve(asked ?? tmpdir()), nodeId);
}

/** Said at once, rather than by the first value that has no other room. */
function isInFile(path: string): boolean {
  for (let at = resolve(path); at !== dirname(at); at = dirname(at)) {
    try {
      return !statSync(at).isDirectory();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOTDIR") return true;
      if (code !== "ENOENT") throw cannotSpillIn(path, error);
    }
  }
  return false;
}

/** Makes the place that was asked for, so that one where nothing can be made is told by `init`. */
export function makeSpillPlace({ spillDirectory }: InitOptions): void {
  if (spillDirectory === undefined) return;
  try {
    makeDirectoryNow(resolve(spillDirectory));
  } catch (error) {
    throw cannotSpillIn(spillDirectory, error);
  }
}

function cannotSpillIn(path: string, cause: unknown): TypeError {
  return new TypeError(
    `init: spillDirectory: ${resolve(path)} is not there and cannot be made, or not be used: ` +
      `${thrownText(cause)}; name a directory that exists, or one in a place to write to`,
    { cause },
  );
}

/** The memory of the node's object store: reserved now, touched by use. */
export function reserveStore({ objectStoreBytes }: NodePlan): SharedArrayBuffer[] {
  try {
    return reserveSegments(objectStoreBytes);
  } catch (error) {
    throw new RangeError(
      `init: objectStoreMemory: cannot reserve ${objectStoreBytes} bytes: ask for less`,
      { cause: error },
    );
  }
}
