/** Swarm: which kinds of faults a run gets, how many, when and whom, all drawn from its seed. */
import type { Prng } from "#engine/common/prng.ts";
import { type BuiltKind, builtKinds, type Fault } from "./fault.ts";
import type { SimOptions } from "./options.ts";

const farKinds: readonly BuiltKind[] = ["crash", "partition", "drop", "rpc"];
/** Messages that travel between nodes in daily life. */
const rpcMethods = [
  "requestWorkerLease",
  "leaseGranted",
  "releaseLease",
  "pushTask",
  "taskReply",
  "subscribeObject",
  "objectState",
  "registerActor",
  "createActor",
  "actorState",
] as const;

const withinMs = 2_000;
const faultsPerIntensity = 6;

export function drawFaults({ chaos }: SimOptions, world: Prng, nodeCount: number): Fault[] {
  if (chaos === undefined || chaos === false) return [];
  const random = world.split("chaos");
  const { kinds = builtKinds, intensity = 1 } = chaos === true ? {} : chaos;
  const wanted = builtKinds.filter((kind) => {
    if (!kinds.includes(kind)) return false;
    // It ends the program, and with it what there is to look at: only where it is asked for.
    if (kind === "crashDriver") return chaos !== true && chaos.kinds !== undefined;
    return nodeCount > 1 || !farKinds.includes(kind);
  });
  // A run with few kinds digs deeper than one with all of them.
  const drawn = wanted.filter(() => random.below(2) === 0);
  const subset = drawn.length === 0 ? wanted : drawn;
  if (subset.length === 0) return [];
  const count = random.below(Math.ceil(faultsPerIntensity * intensity) + 1);
  return Array.from({ length: count }, () => {
    return drawFault(subset[random.below(subset.length)] as BuiltKind, nodeCount, random);
  });
}

/** Most programs are over in a few virtual milliseconds, so early times come more often. */
function drawTime(random: Prng): number {
  const most = [2, 20, 200, withinMs][random.below(4)] ?? withinMs;
  return random.below(most * 10) / 10;
}

function drawFault(kind: BuiltKind, nodeCount: number, random: Prng): Fault {
  const at = drawTime(random);
  // Some longer than a session, or a node, is waited for.
  const forMs = 1 + random.below([500, 500, 8_000, 25_000][random.below(4)] ?? 500);
  const node = random.below(nodeCount);
  switch (kind) {
    case "crash":
      return drawCrash(at, nodeCount, random);
    case "crashWorker":
      return { at, kind, node, worker: random.below(4) };
    case "crashDriver":
      return { at, kind };
    case "pause":
      return { at, kind, node, forMs };
    case "clockDrift":
      return { at, kind, node, ppm: random.below(2_000) - 1_000, forMs };
    case "clockJump":
      return { at, kind, node, byMs: random.below(20_000) - 10_000 };
    case "collect": {
      const orders = ["oldest", "newest", "random"] as const;
      return { at, kind, node, order: orders[random.below(3)] ?? "random" };
    }
    case "rpc": {
      const method = rpcMethods[random.below(rpcMethods.length)] ?? "pushTask";
      const instants = ["beforeSend", "whileHandled", "replyLost"] as const;
      const instant = instants[random.below(3)] ?? "beforeSend";
      return { at, kind, method, instant, count: 1 + random.below(4) };
    }
    default:
      return drawLinkFault(kind, { at, forMs, from: node }, nodeCount, random);
  }
}

function drawCrash(at: number, nodeCount: number, random: Prng): Fault {
  const fault: Fault = { at, kind: "crash", node: 1 + random.below(Math.max(1, nodeCount - 1)) };
  if (random.below(2) === 0) return fault;
  return { ...fault, restartAfterMs: random.below(20_000) };
}

// oxlint-disable-next-line max-params -- the drawn parts, and what the rest is drawn from.
function drawLinkFault(
  kind: "partition" | "slowLink" | "hold" | "drop",
  { at, forMs, from }: { readonly at: number; readonly forMs: number; readonly from: number },
  nodeCount: number,
  random: Prng,
): Fault {
  const to = random.below(nodeCount);
  switch (kind) {
    case "partition": {
      const all = Array.from({ length: nodeCount }, (_, number) => number);
      const side = all.filter(() => random.below(2) > 0);
      const rest = all.filter((number) => !side.includes(number));
      return { at, kind, from: side, to: rest, oneWay: random.below(3) === 0, forMs };
    }
    case "slowLink": {
      const fault: Fault = { at, kind, from, to, delayMs: 1 + random.below(100), forMs };
      return random.below(2) === 0 ? fault : { ...fault, bytesPerMs: 1 + random.below(1_000) };
    }
    case "hold":
      return { at, kind, from, to, forMs };
    case "drop":
      return { at, kind, from, to, probability: random.float() / 2, forMs };
  }
}
