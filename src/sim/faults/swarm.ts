/**
 * Swarm: what a run with `chaos` is like, all drawn from its seed: its machines, the times, sizes
 * and bounds of the engine, its faults. What comes out are options as somebody might have given
 * them, so a run repeats from those alone, whatever is drawn from its seed later.
 *
 * What was given stands: nodes, CPUs, entries of `systemConfig`, faults.
 */
import type { Config } from "#engine/common/config.ts";
import { Prng } from "#engine/common/prng.ts";
import { drawFaults } from "./chaos.ts";
import { nodesOf } from "#sim/check-options.ts";
import type { NodeSpec, SimOptions } from "#sim/options.ts";

export interface Swarm {
  /** Without chaos: what it stands for is among the others. */
  readonly options: SimOptions;
  /** For a reader, a line each; none without chaos. */
  readonly drawn: readonly string[];
}

type Drawn = Partial<Record<keyof Config, number>>;

/** No machine is smaller than those of a run that draws none, lest a program lacks room. */
const machines = { least: 3, spread: 3, cpusLeast: 2, cpusSpread: 3 };

/** Instead of the default: what makes each of them matter in a short run. */
const variations = {
  inlineBytesMax: [64, 1_000],
  pipelineAheadMs: [0, 20],
  pipelineDepthMax: [1, 2, 16],
  pendingLeaseRequestsMax: [1, 3],
  idleLeaseMs: [5, 2_000],
  leaseTurnMs: [5, 2_000],
  maxLineageBytes: [20_000, 1_000_000],
  resourceReportMs: [5, 500],
  forceGraceMs: [5, 1_000],
  arenaChunkBytes: [4_096, 65_536],
  deadlockProbeMs: [20, 1_000],
  stateTimeoutMs: [500, 5_000],
  pullChunkBytes: [4_000, 100_000],
  pullBytesInFlightMax: [20_000, 1_000_000],
  pullRoomTimeoutMs: [500, 3_000],
  copyLingerMs: [5, 5_000],
  // Whatever lies idle is spilled.
  spillThreshold: [0, 0.2],
  minSpillBytes: [1, 100_000],
  ioWorkers: [1, 4],
  spillRetryMs: [5, 1_000],
} as const satisfies Partial<Record<keyof Config, readonly number[]>>;

/** … of a stream of its own: what is drawn beside it stays what it was. */
const windows = [600, 4_000, 30_000] as const;
/** None, a few values, more than a run makes. */
const fallbacks = [0, 50_000, 2 ** 30] as const;

/** The store may not grow at all, for one value or two, for all. */
const overflows = [0, 100_000, 2 ** 30] as const;
const graces = [0, 50, 5_000] as const;

/** They bound each other: drawn together, or not at all. */
const membershipNames = [
  "linkTimeoutMs",
  "heartbeatMs",
  "healthTimeoutMs",
  "gcsReconnectMs",
] as const satisfies readonly (keyof Config)[];
const heartbeats = [300, 1_000, 2_000] as const;
const healthTimeoutMsMin = 6_000;

export function drawSwarm(given: SimOptions): Swarm {
  const { chaos, ...rest } = given;
  if (chaos === undefined || chaos === false) return { options: rest, drawn: [] };
  const world = new Prng(given.seed);
  const random = world.split("swarm");
  const nodes = given.nodes ?? drawMachines(given, random.split("machines"));
  const config = drawConfig(given.init?.systemConfig ?? {}, random.split("config"));
  const { faults, weights } = drawFaults(given, {
    random: world.split("chaos"),
    weighing: random.split("weights"),
    nodeCount: nodesOf({ ...rest, nodes }).length,
  });
  const options: SimOptions = {
    ...rest,
    nodes,
    faults: [...(given.faults ?? []), ...faults],
    init: { ...given.init, systemConfig: { ...config, ...given.init?.systemConfig } },
  };
  const lines = [
    ["kinds of faults", weights],
    ["systemConfig", Object.entries(config)],
    ["CPUs of the nodes", given.nodes === undefined ? cpusOf(nodesOf(options)) : []],
  ] as const;
  const drawn = lines.map(([what, entries]) => {
    const listed = entries.map(([name, value]) => `${name} ${value}`).join(", ");
    return `drawn: ${what}: ${listed === "" ? "as given" : listed}`;
  });
  return { options, drawn };
}

function drawMachines({ init }: SimOptions, random: Prng): NodeSpec[] {
  const { least, spread, cpusLeast, cpusSpread } = machines;
  return Array.from({ length: least + random.below(spread) }, () => {
    const numCpus = cpusLeast + random.below(cpusSpread);
    return init?.numCpus === undefined ? { numCpus } : {};
  });
}

/** Half of the entries stay as they are: what few change shows in more runs alone. */
function drawConfig(given: Readonly<Record<string, unknown>>, random: Prng): Drawn {
  const drawn: Drawn = {};
  for (const [name, values] of Object.entries(variations)) {
    const value = values[random.below(values.length)] as number;
    const isChanged = random.below(2) === 0;
    if (isChanged && !Object.hasOwn(given, name)) drawn[name as keyof typeof variations] = value;
  }
  const links = random.split("links");
  const linkWindowBytes = windows[links.below(windows.length)] as number;
  const isNarrow = links.below(2) === 0 && !Object.hasOwn(given, "linkWindowBytes");
  if (isNarrow) drawn.linkWindowBytes = linkWindowBytes;
  const beside = random.split("fallback");
  const fallbackBytesMax = fallbacks[beside.below(fallbacks.length)] as number;
  const isBounded = beside.below(2) === 0 && !Object.hasOwn(given, "fallbackBytesMax");
  if (isBounded) drawn.fallbackBytesMax = fallbackBytesMax;
  const beyond = random.split("overflow");
  const overflowBytesMax = overflows[beyond.below(overflows.length)] as number;
  const overflowGraceMs = graces[beyond.below(graces.length)] as number;
  if (beyond.below(2) === 0) {
    if (!Object.hasOwn(given, "overflowBytesMax")) drawn.overflowBytesMax = overflowBytesMax;
    if (!Object.hasOwn(given, "overflowGraceMs")) drawn.overflowGraceMs = overflowGraceMs;
  }
  const times = drawMembership(random);
  const isFree = membershipNames.every((name) => !Object.hasOwn(given, name));
  return random.below(2) === 0 && isFree ? { ...drawn, ...times } : drawn;
}

/** A link is given up before a node, a node by the GCS before the GCS by a node. */
function drawMembership(random: Prng): Record<(typeof membershipNames)[number], number> {
  const heartbeatMs = heartbeats[random.below(heartbeats.length)] as number;
  const healthTimeoutMs = Math.max(healthTimeoutMsMin, heartbeatMs * (10 + random.below(6)));
  const linkTimeoutMs = Math.floor(healthTimeoutMs / (2 + random.below(2)));
  const gcsReconnectMs = healthTimeoutMs * (3 + random.below(2));
  return { linkTimeoutMs, heartbeatMs, healthTimeoutMs, gcsReconnectMs };
}

function cpusOf(nodes: readonly NodeSpec[]): (readonly [string, number | string])[] {
  return nodes.map(({ numCpus }, number) => [`node ${number}:`, numCpus ?? "as given"]);
}
