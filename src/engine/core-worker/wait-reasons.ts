/**
 * Why something waits, to the end of the chain: through arguments, through the worker that runs the
 * task, through the `get` or `wait` that it is in, to the owner of that, and so on.
 *
 * State:  open questions of this process, oldest first. None for those of others.
 * In/out: `ask`, ExplainObject, ExplainTask → the same to the next process, Explained to the asker;
 *         Explained → `onTold`.
 * Bounds: ≤ `questionsMax` open questions, each for `explainMs`; ≤ `depthMax` links and about
 *         `textMax` characters a chain, of which each link leads to one thing only.
 * Errors: who does not answer (its thread is busy, it has ended) leaves the chain as far as it was
 *         told. What is told was so when each process looked, not of one moment.
 * Source: docs/internals/deadlocks.md; the way is that of WaitProbes.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type {
  Explained,
  ExplainObject,
  ExplainTask,
  WaitQuestion,
} from "#engine/protocol/explain.ts";
import { ActorClient } from "./actor-client.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import { missingArguments } from "./dependency-resolver.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { GetRequest, MemoryStore } from "./memory-store.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import { pendingReason, type Submitters, whyPending } from "./pending-reason.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import { PullReasons } from "./pull-reasons.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import { holderOf, idOf, nameOf, type Place, taskOf } from "./wait-edges.ts";

/** How long answers are waited for: a process that gives way at all answers within a few ms. */
export const explainMs = 100;
const depthMax = 64;
const textMax = 4000;
const questionsMax = 256;

export interface ReasonParts extends Submitters {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly receiver: TaskReceiver;
  readonly memoryStore: MemoryStore;
  readonly copies: LocalCopies;
}

/** Called with the longest chain so far; `isLast` once, when there is no more to come. */
export type OnTold = (text: string, isLast: boolean, out: Out) => void;

interface Asked {
  readonly endsAtMs: number;
  readonly onTold: OnTold;
  depth: number;
  text: string;
}

export class WaitReasons {
  readonly #parts: ReasonParts;
  readonly #self: WorkerId;
  readonly #questions = new Map<number, Asked>();
  readonly #pulls: PullReasons;
  #nextRequestId = 1;

  constructor(parts: ReasonParts) {
    this.#parts = parts;
    this.#self = parts.context.self;
    this.#pulls = new PullReasons(parts.context, parts.copies);
  }

  /** Open ones, for tests. */
  get questionCount(): number {
    return this.#questions.size;
  }

  /** False for what asks for no reason, and tells none. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    // Its death must reach us, for then nothing more is sent to it.
    if ("question" in event) this.#parts.references.watchIfFar(event.question.asker, out);
    switch (event.type) {
      case "explainObject":
        this.#onExplainObject(event, out);
        return true;
      case "explainTask":
        this.#onExplainTask(event, out);
        return true;
      case "explained":
        this.#onExplained(event, out);
        return true;
      case "pullExplained":
        this.#pulls.onPullExplained(event, out);
        return true;
      default:
        return false;
    }
  }

  /** Why the object has no outcome, behind `text`. May be told before this returns. */
  // oxlint-disable-next-line max-params -- what is asked, when, and who is told.
  ask(entry: ObjectEntry, text: string, onTold: OnTold, nowMs: number, out: Out): void {
    if (this.#questions.size >= questionsMax) {
      onTold(`${text}${whyPending(entry, this.#parts)}`, true, out);
      return;
    }
    const requestId = this.#nextRequestId++;
    const { stateTimeoutMs } = this.#parts.context.config;
    // A list waits for its reasons, and the raylet for the list.
    const endsAtMs = nowMs + Math.min(explainMs, stateTimeoutMs / 2);
    this.#questions.set(requestId, { endsAtMs, onTold, depth: -1, text });
    this.#follow(entry, { asker: this.#self, requestId, depth: 0, text }, out);
  }

  /** A call of get that is nearly due: for the error that it most likely ends with. */
  askFor(request: GetRequest, nowMs: number, out: Out): void {
    const entry = this.#missingOf(request);
    if (entry === undefined) return;
    const onTold: OnTold = (text) => {
      request.explained = { entry, text };
    };
    this.ask(entry, "", onTold, nowMs, out);
  }

  nextDeadlineMs(): number {
    for (const { endsAtMs } of this.#questions.values()) return endsAtMs;
    return Infinity;
  }

  onDeadline(nowMs: number, out: Out): void {
    for (const [requestId, { endsAtMs, text, onTold }] of this.#questions) {
      if (endsAtMs > nowMs) return;
      this.#questions.delete(requestId);
      onTold(text, true, out);
    }
  }

  #onExplainObject({ object, question }: ExplainObject, out: Out): void {
    const entry = this.#parts.references.find(this.#self, object);
    // Where it went, the value or the failure goes to the asker as well.
    if (entry !== undefined) this.#follow(entry, question, out);
  }

  #onExplainTask(message: ExplainTask, out: Out): void {
    const { serial, stream, seq, question } = message;
    this.#arrive({ owner: message.from as WorkerId, serial, stream, seq }, question, out);
  }

  #onExplained({ requestId, depth, text, isLast }: Explained, out: Out): void {
    const asked = this.#questions.get(requestId);
    if (asked === undefined || depth <= asked.depth) return;
    asked.depth = depth;
    asked.text = text;
    if (isLast) this.#questions.delete(requestId);
    asked.onTold(text, isLast, out);
  }

  /** From object to object, for as long as this process knows the next. */
  #follow(first: ObjectEntry, question: WaitQuestion, out: Out): void {
    let entry = first;
    let next = question;
    for (;;) {
      if (next.depth >= depthMax || next.text.length >= textMax) {
        this.#end(next, "more, which is not told here", out);
        return;
      }
      const task = taskOf(entry);
      if (task === null || entry.state !== "PENDING") {
        this.#askOwner(entry, next, out);
        return;
      }
      const name = `task ${nameOf(task)} (${idOf(entry)})`;
      if (next.text.includes(name)) {
        this.#end(next, `${name}, as told before`, out);
        return;
      }
      if (task.stream !== null) {
        this.#askWorker(task, goOn(next, `${name}: `), out);
        return;
      }
      const { why, lacking } = missingFor(task);
      if (lacking === undefined) {
        const reason = pendingReason(task, this.#parts) || "it has not ended";
        this.#end(next, `${name}: ${reason}`, out);
        return;
      }
      next = goOn(next, `${name}: ${why}: `);
      entry = lacking;
    }
  }

  #askOwner(entry: ObjectEntry, question: WaitQuestion, out: Out): void {
    const { owner, serial, index, state } = entry;
    if (state !== "PENDING") {
      this.#askRaylet(entry, question, out);
      return;
    }
    const known = `object ${idOf(entry)} of worker ${owner}: it has no value yet`;
    if (owner === this.#self || this.#parts.references.ended.has(owner)) {
      this.#end(question, known, out);
      return;
    }
    this.#tell(question, known, false, out);
    const object = { serial, index };
    const next = goOn(question, "");
    out.send(owner, { type: "explainObject", from: this.#self, object, question: next });
  }

  /** It has an outcome: what is missing are bytes. */
  #askRaylet(entry: ObjectEntry, question: WaitQuestion, out: Out): void {
    const name = `object ${idOf(entry)}: `;
    const next = goOn(question, name);
    const onTold = (why: string, later: Out): void => this.#end(next, why, later);
    const onItsWay = `${name}its outcome is on its way`;
    if (this.#pulls.ask(entry, onTold, out)) this.#tell(question, onItsWay, false, out);
    else this.#end(question, onItsWay, out);
  }

  #askWorker(task: TaskRecord, question: WaitQuestion, out: Out): void {
    const { stream, serial, seq } = task;
    if (stream === null) return;
    const { workerId } = stream;
    const again = this.#parts.recovery.reasonOf(task);
    const from = this.#self;
    const next = again === "" ? question : { ...question, text: `${question.text}${again}: ` };
    const place = { serial, stream: stream.stream, seq };
    if (workerId === from) {
      this.#arrive({ owner: from, ...place }, next, out);
      return;
    }
    const isLast = this.#parts.references.ended.has(workerId);
    this.#tell(next, `it was sent to worker ${workerId}`, isLast, out);
    if (isLast) return;
    out.send(workerId, { type: "explainTask", from, ...place, question: goOn(next, "") });
  }

  #arrive(place: Place, question: WaitQuestion, out: Out): void {
    const holder = holderOf(this.#parts.receiver, place, this.#self);
    if (holder === null) {
      this.#end(question, `it was sent to worker ${this.#self}`, out);
      return;
    }
    const { task, isItself, text } = holder;
    if (isItself && task.awaitsArguments) {
      const what = task.buffers?.state === "asked" ? "its transferred buffers" : "its arguments";
      this.#end(question, `${what} are on their way to worker ${this.#self}`, out);
      return;
    }
    this.#pass(task, goOn(question, text), isItself ? " and" : ", which", out);
  }

  #pass(task: IncomingTask, question: WaitQuestion, joint: string, out: Out): void {
    const waiting = this.waitOf(task);
    if (waiting === null) this.#end(question, "", out);
    else this.#follow(waiting.entry, goOn(question, `${joint} ${waiting.text}`), out);
  }

  /** What a running task waits for in `get` or `wait`; null when it does not. */
  waitOf(task: IncomingTask): { entry: ObjectEntry; text: string } | null {
    if (!task.waiting) return null;
    for (const request of this.#parts.memoryStore.waiting()) {
      if (request.waiter !== task) continue;
      const entry = this.#missingOf(request);
      if (entry !== undefined) return { entry, text: textOf(request) };
    }
    return null;
  }

  #missingOf(request: GetRequest): ObjectEntry | undefined {
    const { entries } = request;
    const pending = entries.find(({ state }) => state === "PENDING");
    return pending ?? entries.find((one) => !this.#parts.memoryStore.isReady(one, request));
  }

  #end(question: WaitQuestion, text: string, out: Out): void {
    this.#tell(question, text, true, out);
  }

  #tell(question: WaitQuestion, rest: string, isLast: boolean, out: Out): void {
    const { asker, requestId, depth } = question;
    const from = this.#self;
    const text = `${question.text}${rest}`;
    const told: Explained = { type: "explained", from, requestId, depth, text, isLast };
    if (asker === from) this.#onExplained(told, out);
    else if (!this.#parts.references.ended.has(asker)) out.send(asker, told);
  }
}

/** One more link, or one more process. */
function goOn(question: WaitQuestion, text: string): WaitQuestion {
  return { ...question, depth: question.depth + 1, text: `${question.text}${text}` };
}

/** The first argument that has not come, of the task or of the call before it in line. */
function missingFor(task: TaskRecord): { why: string; lacking: ObjectEntry | undefined } {
  const { actor } = task;
  if (task.unresolvedCount > 0) {
    return { why: "waits for its arguments", lacking: missingArguments(task)[0] };
  }
  const first = actor instanceof ActorClient ? actor.calls.peek() : undefined;
  if (first === undefined || first === task) return { why: "", lacking: undefined };
  const why = `waits behind task ${nameOf(first)} of the same actor, which waits for its arguments`;
  return { why, lacking: missingArguments(first)[0] };
}

function textOf({ entries, failsEarly, missingCount }: GetRequest): string {
  const verb = failsEarly ? "waits in get for" : "waits in wait for";
  return entries.length === 1
    ? `${verb} `
    : `${verb} ${missingCount} of ${entries.length} objects, such as `;
}
