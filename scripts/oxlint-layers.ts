/**
 * Which folder may import what: the one table behind the linter's import rules and their canary.
 */
import { builtinModules } from "node:module";

/** What a set of files may import besides siblings; everything not allowed here is forbidden. */
export interface Layer {
  readonly files: readonly string[];
  readonly engine: readonly EngineFolder[];
  readonly others?: readonly TopFolder[];
  readonly effect?: boolean;
  readonly node?: boolean;
  /** Packages other than effect. */
  readonly packages?: boolean;
  /** The one transport these files belong to: another one's files are out of reach. */
  readonly transport?: Transport;
  /** Of engine/services only this file. */
  readonly servicesOnly?: string;
}

export interface ImportPattern {
  readonly regex: string;
  readonly message: string;
}

export type EngineFolder = (typeof engineFolders)[number];
export type TopFolder = (typeof topFolders)[number];
export type Transport = (typeof transports)[number];

const engineFolders = [
  "common",
  "protocol",
  "scheduling",
  "core-worker",
  "raylet",
  "gcs",
  "object-store",
  "services",
] as const;
const topFolders = ["transports", "api", "sim", "dashboard", "cli"] as const;
const transports = ["in-process", "threads", "tcp", "simulated"] as const;

/** Folders of machines: no Effect, no Node, no clock, no promise, no chance. */
export const machineFolders: readonly string[] = engineFolders
  .filter((folder) => folder !== "services")
  .map((folder) => `src/engine/${folder}`);

const ground = ["common", "protocol"] as const;
const pure = [...ground, "scheduling"] as const;

/** Services that a worker loads stay out of this list: importing effect costs a worker 300 ms. */
const effectServices = [
  "gcs",
  "scheduler",
  "object-store",
  "core-worker",
  "node",
  "ports",
  "storage",
  "errors",
  "observability",
];
const effectApi = ["init", "effect"];

/** Later entries win for the files they name: an exception follows its rule. */
export const layers: readonly Layer[] = [
  machine("common", []),
  machine("protocol", ["common"]),
  machine("scheduling", ground),
  machine("core-worker", pure),
  machine("raylet", [...pure, "object-store"]),
  machine("gcs", pure),
  machine("object-store", pure),
  { files: ["src/engine/services/**"], engine: engineFolders },
  {
    files: effectServices.map((name) => `src/engine/services/${name}.ts`),
    engine: engineFolders,
    effect: true,
  },
  ...transports.flatMap(transportLayers),
  // What transports share.
  { files: ["src/transports/session/**"], engine: ground },
  {
    files: ["src/api/**"],
    engine: engineFolders,
    others: ["transports", "api"],
    node: true,
    packages: true,
  },
  // Where runtimes and threads are put together: with oracles, which are the simulator's.
  {
    files: ["src/api/driver-local.ts", "src/api/driver-threads.ts", "src/api/worker-main.ts"],
    engine: engineFolders,
    others: ["transports", "api", "sim"],
    node: true,
    packages: true,
  },
  {
    files: effectApi.map((name) => `src/api/${name}.ts`),
    engine: engineFolders,
    others: ["transports", "api"],
    effect: true,
    node: true,
    packages: true,
  },
  {
    files: ["src/sim/**"],
    engine: engineFolders,
    others: ["transports", "api", "sim"],
    effect: true,
    packages: true,
  },
  // A run is a pure function; only what is kept of it reaches the disk, and sets of them threads.
  // What stands in for Node's own, or watches it, must know it.
  {
    files: [
      "src/sim/report/repro-file.ts",
      "src/sim/run-set/**",
      "src/sim/virtual/**",
      "src/sim/user-code/real-io.ts",
      "src/sim/user-code/unhandled.ts",
    ],
    engine: engineFolders,
    others: ["transports", "api", "sim"],
    effect: true,
    packages: true,
    node: true,
  },
  {
    files: ["src/dashboard/**", "src/cli/**"],
    engine: [],
    others: ["api", "dashboard", "cli"],
    effect: true,
    node: true,
    packages: true,
  },
  {
    files: ["src/cli/sim*.ts"],
    engine: [],
    others: ["api", "sim", "cli"],
    effect: true,
    node: true,
    packages: true,
  },
];

function machine(folder: EngineFolder, engine: readonly EngineFolder[]): Layer {
  return { files: [`src/engine/${folder}/**`], engine: [folder, ...engine] };
}

function transportLayers(transport: Transport): Layer[] {
  const own = { engine: ground, transport, node: true, packages: true };
  return [
    { ...own, files: [`src/transports/${transport}/**`] },
    {
      ...own,
      files: [`src/transports/${transport}/layer.ts`],
      engine: [...ground, "services"],
      servicesOnly: "ports",
      effect: true,
    },
  ];
}

/** The forbidden imports of a layer, as patterns of the linter: its regexes know no look-ahead. */
export function patternsOf(layer: Layer): ImportPattern[] {
  const where = layer.files[0] ?? "";
  const patterns: ImportPattern[] = [
    { regex: "^\\.\\./", message: "Reach another folder by #engine, #transports or #api." },
    { regex: "^mobula(/|$)", message: "The package does not import itself by name." },
    { regex: "^[.#].*\\.(js|mjs)$", message: "Import sources by their .ts name." },
  ];
  const forbid = (regex: string, what: string) =>
    patterns.push({ regex, message: `${where} may not import ${what}.` });
  for (const folder of engineFolders) {
    if (!layer.engine.includes(folder)) forbid(`^#engine/${folder}/`, `engine/${folder}`);
  }
  if (layer.servicesOnly !== undefined) {
    forbid(allBut("^#engine/services/", layer.servicesOnly), "services other than its ports");
  }
  for (const folder of topFolders) {
    const own = folder === "transports" && layer.transport !== undefined;
    if (!own && !layer.others?.includes(folder)) forbid(`^#${folder}/`, folder);
  }
  if (layer.transport !== undefined) {
    const rest = transports.filter((name) => name !== layer.transport);
    forbid(`^#transports/(${rest.join("|")})/`, "another transport");
  }
  if (!layer.effect) forbid("^(effect|@effect/[^/]+)(/|$)", "effect");
  if (!layer.node) forbid(`^(node:|(${builtins().join("|")})(/|$))`, "Node's modules");
  if (!layer.packages) forbid(packagesButEffect, "packages");
  return patterns;
}

function builtins(): string[] {
  return builtinModules.filter((name) => /^[a-z]\w*$/.test(name)).sort();
}

/** Matches what begins with `prefix` and goes on with anything but `name.`. */
function allBut(prefix: string, name: string): string {
  const word = `${name}.`;
  const branches = [...word].map(
    (letter, index) => `${word.slice(0, index).replace(".", "\\.")}[^${letter}]`,
  );
  return `${prefix}(${branches.join("|")})`;
}

/** Bare names, scoped or not; `node:x` has a rule of its own, effect too. */
const packagesButEffect = `^(${[..."effect"]
  .map((letter, index) => `${"effect".slice(0, index)}[^.#/:${letter}]`)
  .join("|")})[^:]*$`;
