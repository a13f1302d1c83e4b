/**
 * Probes on their way: from a waiting task to what it needs, to who owns that, to who runs it, and
 * on if that waits as well. One that comes back to its task has found a cycle.
 *
 * State:  per round of a task what its probe has passed here; numbers of waiting calls.
 * In/out: ProbeObject, ProbeTask → the same, to the next process; `onReturned`.
 * Bounds: ≤ `pathMax` waiting tasks and ≤ `linesMax` lines a probe, ≤ `fanOutMax` objects of one
 *         call a round (others in the next), ≤ `stepsMax` steps an event, `roundsRemembered`
 *         rounds. Beyond them a cycle may be found later, or not; none is ever made up.
 * Errors: a probe that meets something unknown, ended or free to go on ends there.
 * Source: Chandy, Misra, Haas: Distributed Deadlock Detection, TOCS '83 (AND model).
 */
import { taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { ProbeObject, ProbeTask, WaitProbe, WaitStamp } from "#engine/protocol/probe.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import type { GetRequest, MemoryStore } from "./memory-store.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { IncomingTask } from "./incoming-task.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import {
  edgesOf,
  holderOf,
  idOf,
  type IsAt,
  nameOf,
  neededBy,
  type Place,
  taskOf,
} from "./wait-edges.ts";

const pathMax = 256;
const linesMax = 512;
const fanOutMax = 64;
const stepsMax = 2000;
const roundsRemembered = 256;

export interface ProbeParts {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly receiver: TaskReceiver;
  readonly memoryStore: MemoryStore;
}

interface Step {
  readonly entry: ObjectEntry;
  readonly probe: WaitProbe;
}

export class WaitProbes {
  readonly #parts: ProbeParts;
  readonly #self: WorkerId;
  readonly #onReturned: (task: IncomingTask, probe: WaitProbe, out: Out) => void;
  readonly #steps: Step[] = [];
  /** Round of an asker → what its probe has passed: serials of tasks, names of running ones. */
  readonly #passed = new Map<string, Set<string | number>>();
  readonly #numbers = new WeakMap<GetRequest, number>();
  #nextNumber = 1;

  constructor(
    parts: ProbeParts,
    onReturned: (task: IncomingTask, probe: WaitProbe, out: Out) => void,
  ) {
    this.#parts = parts;
    this.#self = parts.context.self;
    this.#onReturned = onReturned;
  }

  /** Sends a probe along all that a call of this task needs. */
  start(task: IncomingTask, request: GetRequest, probe: WaitProbe, out: Out): void {
    this.#leave(task, request, probe);
    this.#walk(out);
  }

  /** False for what is no probe. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    switch (event.type) {
      case "probeObject":
        this.onProbeObject(event, out);
        return true;
      case "probeTask":
        this.onProbeTask(event, out);
        return true;
      default:
        return false;
    }
  }

  onProbeObject({ object, probe }: ProbeObject, out: Out): void {
    const entry = this.#parts.references.find(this.#self, object);
    if (entry === undefined) return;
    this.#steps.push({ entry, probe });
    this.#walk(out);
  }

  onProbeTask(message: ProbeTask, out: Out): void {
    const { serial, stream, seq, probe } = message;
    this.#arrive({ owner: message.from as WorkerId, serial, stream, seq }, probe, out);
    this.#walk(out);
  }

  numberOf(request: GetRequest): number {
    let number = this.#numbers.get(request);
    if (number === undefined) {
      number = this.#nextNumber++;
      this.#numbers.set(request, number);
    }
    return number;
  }

  /** Calls of get and wait of this task. */
  requestsOf(task: IncomingTask): GetRequest[] {
    const requests: GetRequest[] = [];
    for (const request of this.#parts.memoryStore.waiting()) {
      if (request.waiter === task) requests.push(request);
    }
    return requests;
  }

  /** A loop, for chains may be long: one step leads to the next. */
  #walk(out: Out): void {
    const steps = this.#steps;
    for (let count = 0; count < stepsMax; count++) {
      const step = steps.pop();
      if (step === undefined) return;
      this.#follow(step, out);
    }
    steps.length = 0;
  }

  #follow({ entry, probe }: Step, out: Out): void {
    if (entry.state !== "PENDING" || probe.lines.length >= linesMax) return;
    const { owner, serial, index } = entry;
    const from = this.#self;
    if (owner !== from) {
      if (this.#parts.references.ended.has(owner)) return;
      out.send(owner, { type: "probeObject", from, object: { serial, index }, probe });
      return;
    }
    const task = taskOf(entry);
    if (task === null || this.#hasPassed(probe, serial)) return;
    const named = goOn(probe, `task ${nameOf(task)} (${idOf(entry)})`);
    for (const edge of edgesOf(task)) {
      if (edge.type === "isAt") {
        this.#sendTo(edge, serial, named, out);
        continue;
      }
      const { why, by, entries } = edge;
      const next = newLine(goOn(named, `: ${why}`), `task ${nameOf(by)} waits for `);
      this.#push(entries, next);
    }
  }

  #sendTo({ workerId, stream, seq }: IsAt, serial: number, probe: WaitProbe, out: Out): void {
    const from = this.#self;
    if (workerId === from) this.#arrive({ owner: from, serial, stream, seq }, probe, out);
    else out.send(workerId, { type: "probeTask", from, serial, stream, seq, probe });
  }

  #arrive(place: Place, probe: WaitProbe, out: Out): void {
    const holder = holderOf(this.#parts.receiver, place, this.#self);
    if (holder !== null) this.#pass(holder.task, goOn(probe, `: ${holder.text}`), out);
  }

  /** Through a running task: on if it waits for one thing, and for nothing else beside. */
  #pass(task: IncomingTask, probe: WaitProbe, out: Out): void {
    const [asker] = probe.path;
    if (asker === undefined) return;
    const isAsked = task.owner === probe.owner && task.serial === probe.serial;
    if (isAsked && asker.workerId === this.#self) {
      this.#onReturned(task, probe, out);
      return;
    }
    if (!task.waiting || probe.path.length >= pathMax) return;
    if (probe.yields && comesBefore(task, probe)) return;
    const requests = this.requestsOf(task);
    const [request] = requests;
    if (request === undefined || requests.length > 1) return;
    if (probe.expected.length > 0 && !this.#isExpected(request, probe)) return;
    if (!this.#hasPassed(probe, `${task.owner}/${task.serial}`)) this.#leave(task, request, probe);
  }

  #isExpected(request: GetRequest, { path, expected }: WaitProbe): boolean {
    const stamp = expected[path.length];
    return stamp?.workerId === this.#self && stamp.blockSeq === this.numberOf(request);
  }

  #leave(task: IncomingTask, request: GetRequest, probe: WaitProbe): void {
    const entries = neededBy(request);
    if (entries === null) return;
    const stamp: WaitStamp = { workerId: this.#self, blockSeq: this.numberOf(request) };
    const id = taskIdHex(task.owner, task.serial);
    const line = `task ${task.definition.taskName} (${id}) on worker ${this.#self} waits for `;
    this.#push(entries, newLine({ ...probe, path: [...probe.path, stamp] }, line));
  }

  /** Others of the same call have their turn in later rounds. */
  #push(entries: readonly ObjectEntry[], probe: WaitProbe): void {
    const { length } = entries;
    const count = Math.min(length, fanOutMax);
    for (let i = 0; i < count; i++) {
      const entry = entries[(probe.round * fanOutMax + i) % length] as ObjectEntry;
      this.#steps.push({ entry, probe });
    }
  }

  /** On the second lap a place may lie on another way as well, which will not repeat the first. */
  #hasPassed({ path, round, expected }: WaitProbe, where: string | number): boolean {
    const [asker] = path;
    if (asker === undefined) return false;
    const isFirst = expected.length === 0;
    const place = isFirst ? where : `${where}@${path.length}`;
    const key = `${asker.workerId}/${asker.blockSeq}/${round}/${isFirst ? 1 : 2}`;
    let passed = this.#passed.get(key);
    if (passed === undefined) {
      passed = new Set();
      this.#passed.set(key, passed);
      if (this.#passed.size > roundsRemembered) {
        const [oldest] = this.#passed.keys();
        if (oldest !== undefined) this.#passed.delete(oldest);
      }
    }
    if (passed.has(place) || passed.size >= stepsMax) return true;
    passed.add(place);
    return false;
  }
}

/** The order of ids: of the tasks of a cycle one comes first. */
function comesBefore(task: IncomingTask, { owner, serial }: WaitProbe): boolean {
  return task.owner === owner ? task.serial < serial : task.owner < owner;
}

/** The last line goes on. */
function goOn(probe: WaitProbe, text: string): WaitProbe {
  const lines = [...probe.lines];
  lines[lines.length - 1] = `${lines.at(-1) ?? ""}${text}`;
  return { ...probe, lines };
}

function newLine(probe: WaitProbe, line: string): WaitProbe {
  return { ...probe, lines: [...probe.lines, line] };
}
