/**
 * 4 No loss, in what a raylet tells of why bytes are not here: it is so at the moment at which it
 * says it. Each sentence is compared with what lies on the nodes and on the disk, what is read from
 * there, and the requests that were seen; not with what the raylet calls the state of a pull.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { ObjectLocal, PullObject, UnpinObjects } from "#engine/protocol/copy.ts";
import type { ExplainPull, PullExplained } from "#engine/protocol/explain.ts";
import { extentAlignment } from "#engine/object-store/allocator.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { Pull } from "#engine/raylet/pull.ts";
import type { SimNode } from "#sim/cluster/sim-node.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import type { WatchedProcess } from "./oracle.ts";
import { idOf } from "./tasks.ts";

/** What a process has asked its raylet for. */
interface Wanted extends ObjectName {
  readonly owner: WorkerId;
  answer: "none" | "value" | "failure";
}

interface Told {
  readonly text: string;
  readonly atMs: number;
}

export interface PullFacts {
  nodes(): readonly SimNode[];
  processes(): readonly WatchedProcess[];
  nowMs(): number;
}

type Groups = Readonly<Record<string, string>>;

interface Sentence {
  /** A pattern, with names for what is compared. */
  readonly words: string;
  whyUntrue(said: Groups, about: About): string;
}

/** Where it was said, and of what. */
interface About {
  readonly node: SimNode;
  readonly wanted: Wanted;
  readonly pull: Pull | undefined;
  readonly processes: readonly WatchedProcess[];
}

const spilledHere = "(?<spilled>it was spilled to the disk, and )?";
const used = "(?<used>\\d+) of (?<capacity>\\d+) bytes in use, it needs (?<needed>\\d+)";

const sentences: readonly Sentence[] = [
  {
    words: "its owner (?<owner>[0-9a-f]{40}) is asked where it lies",
    whyUntrue: ({ owner }, { wanted, pull }) => {
      if (owner !== wanted.owner) return `its owner is ${wanted.owner}`;
      const isLocated = pull === undefined || pull.copy !== null || pull.sources.length > 0;
      return isLocated ? "nobody asks that" : "";
    },
  },
  {
    words: `${spilledHere}waits for room in the store of node (?<at>\\w+) \\(${used}\\)`,
    whyUntrue: whyNoWait,
  },
  {
    words: "it is being restored from disk",
    whyUntrue: (_, { node, wanted, pull }) => {
      const { objects } = node.running.raylet.objects;
      const copy = objects.find(wanted.owner, wanted);
      const isRead = copy?.spilled && copy.extent === null && node.isRestoring(copy.spilled);
      return isRead && pull !== undefined ? "" : "no disk is read for it";
    },
  },
  {
    words: "it is on its way from (?<from>.+) \\((?<here>\\d+) of (?<size>\\d+) bytes are here\\)",
    whyUntrue: ({ from, here, size }, { wanted, pull, processes }) => {
      if (pull === undefined || pull.extent === null) return "there is no room for it";
      const { sources, receivedBytes } = pull;
      const many = sources.length === 1 ? `node ${sources[0]}` : `${sources.length} nodes`;
      if (from !== many) return `it comes from ${many}`;
      if (Number(here) !== receivedBytes) return `${receivedBytes} bytes are here`;
      return whyOtherSize(Number(size), wanted, processes);
    },
  },
  {
    words: `${spilledHere}waits until others are brought to node (?<at>\\w+)`,
    whyUntrue: ({ spilled, at }, about) => {
      const { pulls } = about.node.running.raylet.objects;
      if (at !== about.node.nodeId) return `the node is ${about.node.nodeId}`;
      const count = spilled === undefined ? pulls.chunksInFlight : pulls.restoresInFlight;
      return whyOtherPlace(spilled, about) || (count === 0 ? "nothing is brought there" : "");
    },
  },
  {
    words: "it lies in the store of node (?<at>\\w+), and those that asked before it lack room",
    whyUntrue: ({ at }, { node, wanted, pull }) => {
      const { objects, pulls } = node.running.raylet.objects;
      if (at !== node.nodeId) return `the node is ${node.nodeId}`;
      const extent = objects.find(wanted.owner, wanted)?.extent ?? null;
      if (extent === null || pull === undefined) return "it does not lie there";
      const isAny = [...pulls.pulls()].some((other) => isWaitingBefore(other, pull));
      return isAny ? "" : "nobody asked before it";
    },
  },
  {
    words: "its bytes are here by now",
    whyUntrue: (_, { wanted: { answer } }) => (answer === "value" ? "" : notAnswer(answer)),
  },
  {
    words: "what has become of it is on its way",
    whyUntrue: (_, { wanted: { answer } }) => (answer === "failure" ? "" : notAnswer(answer)),
  },
];

const whole = sentences.map(({ words, whyUntrue }) => {
  return { words: new RegExp(`^${words}$`), whyUntrue };
});

/** What is one of them in a chain. */
export const pullWords = sentences.map(({ words }) => words.replaceAll(/\?<\w+>/g, "?:")).join("|");

export class PullReasons {
  readonly #violate: (entity: string, message: string) => void;
  readonly #facts: PullFacts;
  readonly #wanted = new Map<string, Wanted>();
  /** By who asks and the number of the question, that of the request. */
  readonly #questions = new Map<string, number>();
  readonly #told = new Map<string, Told[]>();

  constructor(violate: (entity: string, message: string) => void, facts: PullFacts) {
    this.#violate = violate;
    this.#facts = facts;
  }

  /** Of this object somebody was told so between these. */
  wasTold(oid: string, text: string, window: { fromMs: number; untilMs: number }): boolean {
    return (this.#told.get(oid) ?? []).some((told) => {
      return told.text === text && told.atMs >= window.fromMs && told.atMs <= window.untilMs;
    });
  }

  onSent(frame: Frame): void {
    switch (frame.type) {
      case "pullObject": {
        const { requestId, owner, object } = messageOf(frame) as PullObject;
        const name = keyOf(frame.from, requestId);
        if (!this.#wanted.has(name)) this.#wanted.set(name, { owner, ...object, answer: "none" });
        return;
      }
      case "objectLocal": {
        const { requestId, outcome } = messageOf(frame) as ObjectLocal;
        const wanted = this.#wanted.get(keyOf(frame.to, requestId));
        const isFailure = outcome instanceof FailedValue;
        if (wanted !== undefined) wanted.answer = isFailure ? "failure" : "value";
        return;
      }
      case "explainPull": {
        const { requestId, pullId } = messageOf(frame) as ExplainPull;
        this.#questions.set(keyOf(frame.from, requestId), pullId);
        return;
      }
      case "pullExplained":
        this.#judge(frame, messageOf(frame) as PullExplained);
        return;
      default:
    }
  }

  /** Until then a question may be ahead of it on the link. */
  onTaken(frame: Frame): void {
    if (frame.type !== "unpinObjects") return;
    const { requestIds } = messageOf(frame) as UnpinObjects;
    for (const requestId of requestIds) this.#wanted.delete(keyOf(frame.from, requestId));
  }

  #judge({ from, to }: Frame, { requestId, text }: PullExplained): void {
    const question = keyOf(to, requestId);
    const pullId = this.#questions.get(question);
    this.#questions.delete(question);
    const wanted = pullId === undefined ? undefined : this.#wanted.get(keyOf(to, pullId));
    const node = this.#facts.nodes().find(({ nodeId, life }) => nodeId === from && life.isAlive);
    if (node === undefined || wanted === undefined) return;
    const oid = idOf(wanted);
    const told = this.#told.get(oid) ?? [];
    this.#told.set(oid, told);
    told.push({ text, atMs: this.#facts.nowMs() });
    const untrue = this.#whyUntrue(text, node, wanted);
    if (untrue !== "") this.#violate(oid, `${untrue}: ${text}`);
  }

  #whyUntrue(text: string, node: SimNode, wanted: Wanted): string {
    const { pulls } = node.running.raylet.objects;
    const pull = [...pulls.pulls()].find((one) => {
      return one.owner === wanted.owner && isSame(one, wanted);
    });
    const about = { node, wanted, pull, processes: this.#facts.processes() };
    for (const { words, whyUntrue } of whole) {
      const said = words.exec(text);
      if (said !== null) return whyUntrue(said.groups ?? {}, about);
    }
    return "it says nothing that is known here";
  }
}

function whyNoWait(said: Groups, about: About): string {
  const { node, wanted, pull, processes } = about;
  const { raylet } = node.running;
  const { pulls, store } = raylet.objects;
  if (said["at"] !== node.nodeId) return `the node is ${node.nodeId}`;
  if (Number(said["capacity"]) !== node.arenaBytes) return `it has ${node.arenaBytes} bytes`;
  const usedBytes = node.arenaBytes - raylet.counts.arenaFreeBytes;
  if (Number(said["used"]) !== usedBytes) return `${usedBytes} bytes are in use`;
  const elsewhere = whyOtherPlace(said["spilled"], about);
  if (pull === undefined || elsewhere !== "") return elsewhere || "nothing waits";
  const size = Number(said["needed"]);
  let neededBytes = unitsOf(size);
  for (const other of pulls.pulls()) {
    if (isWaitingBefore(other, pull)) neededBytes += unitsOf(other.size);
  }
  if (store.largestFreeBytes >= neededBytes)
    return `it and those before it need ${neededBytes} bytes, which are free in one piece`;
  return whyOtherSize(size, wanted, processes);
}

/** Of what waits. */
function whyOtherPlace(spilled: string | undefined, { node, wanted, pull }: About): string {
  if (pull === undefined || wanted.answer !== "none") return "nothing waits";
  if (pull.extent !== null) return "it has its room";
  const copy = node.running.raylet.objects.objects.find(wanted.owner, wanted);
  if (copy !== undefined && copy.extent !== null) return "it lies in the store";
  const isSpilled = copy !== undefined && copy.spilled !== null;
  if (isSpilled === (spilled !== undefined)) return "";
  return isSpilled ? "it lies on the disk" : "it was not spilled here";
}

function notAnswer(answer: Wanted["answer"]): string {
  return answer === "none" ? "it has no answer" : `it was told of a ${answer}`;
}

/** "" also where its owner knows of none. */
function whyOtherSize(size: number, wanted: Wanted, processes: readonly WatchedProcess[]): string {
  const owner = processes.find(({ client }) => client.workerId === wanted.owner);
  const outcome = owner?.client.core.references.find(wanted.owner, wanted)?.outcome;
  if (!(outcome instanceof StoredValue) || outcome.size === size) return "";
  return `it has ${outcome.size} bytes`;
}

/** In the line for room. */
function isWaitingBefore(other: Pull, { priority, order }: Pull): boolean {
  if (other.state !== "waiting") return false;
  return other.priority < priority || (other.priority === priority && other.order < order);
}

function unitsOf(size: number): number {
  return Math.ceil(size / extentAlignment) * extentAlignment;
}

function isSame(one: ObjectName, other: ObjectName): boolean {
  return one.serial === other.serial && one.index === other.index;
}

function keyOf(process: string, requestId: number): string {
  return `${process} ${requestId}`;
}
