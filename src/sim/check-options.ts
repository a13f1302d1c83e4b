/** Whether the options of a simulation mean something, before anything runs. */
import { checkBoolean, checkOptions, recordOf } from "#api/option-checks.ts";
import { checkChaos, checkFaults } from "./faults/check-faults.ts";
import type { NodeSpec, SimOptions } from "./options.ts";

const defaultNodeCount = 3;
const optionNames = [
  "seed",
  "nodes",
  "faults",
  "choices",
  "choicesOnly",
  "chaos",
  "hostile",
  "maxVirtualMs",
  "healAtMs",
  "init",
];

const nodeFields = ["numCpus", "numGpus", "resources", "labels", "objectStoreMemory"];

/** Three unless told otherwise. */
export function nodesOf({ nodes = defaultNodeCount }: SimOptions): readonly NodeSpec[] {
  if (Array.isArray(nodes) && nodes.length > 0) return nodes;
  if (typeof nodes !== "number" || !Number.isInteger(nodes) || nodes < 1) {
    throw new RangeError(`nodes must be a number of at least 1 or a list, got ${String(nodes)}`);
  }
  return Array.from({ length: nodes }, () => ({}));
}

/** What the fields say is for the plan of the node to check. */
function checkNode(name: string, node: NodeSpec): void {
  recordOf(name, node);
  checkOptions(name, node, nodeFields);
}

/** Throws TypeError or RangeError for what no run can be made of. */
export function checkSimOptions(options: SimOptions): void {
  checkOptions("simulate", options, optionNames);
  const nodeList = nodesOf(options);
  for (const [i, node] of nodeList.entries()) checkNode(`nodes[${i}]`, node);
  const nodeCount = nodeList.length;
  const { seed, faults = [], hostile, healAtMs, maxVirtualMs } = options;
  if (!Number.isSafeInteger(seed)) {
    throw new TypeError(`seed must be a safe integer, got ${String(seed)}`);
  }
  for (const [name, value] of Object.entries({ healAtMs, maxVirtualMs })) {
    // Replay lines and repro files are JSON, which has no Infinity.
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      throw new RangeError(`${name} must be a finite number of at least 0, got ${String(value)}`);
    }
  }
  const { choices = [] } = options;
  if (!Array.isArray(choices)) {
    throw new TypeError(`choices must be a list, got ${String(choices)}`);
  }
  for (const [i, choice] of choices.entries()) {
    if (Number.isSafeInteger(choice) && choice >= 0) continue;
    throw new RangeError(`choices[${i}] must be an integer of at least 0, got ${String(choice)}`);
  }
  checkBoolean("choicesOnly", options.choicesOnly);
  checkBoolean("hostile", hostile);
  checkFaults(faults, nodeCount, hostile === true);
  checkChaos(options.chaos, hostile === true);
  const { init = {} } = options;
  const { systemConfig = {} } = Object.fromEntries(recordOf("init", init));
  recordOf("init: systemConfig", systemConfig);
}
