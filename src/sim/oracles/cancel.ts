/**
 * 14 Cancel: once the owner has taken it the ref has ended; what had not started never starts, nor
 * do the calls that a cancelled task had not sent yet, or makes later. And nothing shows as
 * cancelled that nobody has cancelled. (Resources, and what becomes of others: oracles 6 and 18.)
 */
import { taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, taskOf, type TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { CancelTask } from "#engine/protocol/cancel.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { RareState } from "#sim/report/reached.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import { Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { Recent } from "./recent.ts";
import { idOf } from "./tasks.ts";

export class CancelOracle extends Oracle {
  readonly name = "14 cancel";
  readonly #processes: () => readonly WatchedProcess[];
  readonly #mark: (state: RareState) => void;
  /** Tasks that somebody has cancelled by name. */
  readonly #asked = new Set<string>();
  /** Who called a task, and the calls of each. */
  readonly #parents = new Map<string, IncomingTask>();
  readonly #children = new Map<IncomingTask, TaskRecord[]>();
  /** Tasks that must not start any more, and why. */
  readonly #over = new Map<string, string>();
  /** Executions by owner and stream: their seqs. */
  readonly #started = new Recent<Set<number>>(Infinity);
  readonly #overBySeq = new Set<string>();
  /** Of tasks that were cancelled on their way: the one execution that may still come. */
  readonly #lastStarts = new Map<string, string>();

  constructor(
    violate: Violate,
    processes: () => readonly WatchedProcess[],
    mark: (state: RareState) => void,
  ) {
    super(violate);
    this.#processes = processes;
    this.#mark = mark;
  }

  override onCalled(task: TaskRecord, parent: IncomingTask | null): void {
    if (parent === null) return;
    this.#parents.set(idOfTask(task), parent);
    const siblings = this.#children.get(parent) ?? [];
    this.#children.set(parent, siblings);
    siblings.push(task);
    if (parent.refusesCalls) this.#over.set(idOfTask(task), "a cancelled task called it");
  }

  override onCancelling(entry: ObjectEntry): void {
    this.#asked.add(taskIdHex(entry.owner, entry.serial));
  }

  override onCancelTaken(entry: ObjectEntry, wasPending: boolean): void {
    const owned = taskOf(entry) === undefined ? this.#ownedBy(entry) : entry;
    if (owned === undefined) return;
    const task = taskOf(owned);
    if (task === undefined) return;
    // With a value from before it is being made anew, which is no call of anybody's.
    if (owned.state === "PENDING" && owned.outcome === undefined) {
      this.violate({ entity: idOf(owned), message: "it was cancelled and goes on" });
    }
    if (!wasPending || !task.isCancelled) return;
    const { owner, stream, seq } = task;
    if (stream === null) {
      this.#mark("cancelledQueued");
      this.#over.set(idOfTask(task), "it was cancelled before");
    } else if (!this.#lastStarts.has(idOfTask(task))) {
      this.#lastStarts.set(idOfTask(task), keyOf(owner, stream.stream, seq));
    }
  }

  override onTaken(frame: Frame): void {
    if (frame.type !== "cancelTask") return;
    const message = messageOf(frame) as CancelTask;
    const { from, stream, seq, recursive } = message;
    const running = this.#runningAt(frame.to as WorkerId, message);
    if (running === undefined) {
      if (this.#started.get(from, stream)?.has(seq) === true) return;
      this.#mark("cancelledOnItsWay");
      this.#overBySeq.add(keyOf(from as WorkerId, stream, seq));
      return;
    }
    this.#mark("cancelledRunning");
    if (!recursive) return;
    for (const child of this.#children.get(running) ?? []) {
      if (child.state !== "PENDING") continue;
      this.#mark("cancelledRecursively");
      if (child.stream === null) this.#over.set(idOfTask(child), "who called it was cancelled");
    }
  }

  override onStarted({ owner, serial, stream, seq, definition }: IncomingTask): void {
    let started = this.#started.get(owner, stream);
    if (started === undefined) this.#started.set(owner, stream, (started = new Set()));
    started.add(seq);
    // As a rule nothing has been cancelled: then nothing is looked for by name.
    if (this.#overBySeq.size + this.#lastStarts.size + this.#over.size === 0) return;
    const entity = taskIdHex(owner, serial);
    const why = this.#whyOver(entity, keyOf(owner, stream, seq));
    if (why === "") return;
    this.violate({ entity, message: `task ${definition.taskName} was started, though ${why}` });
  }

  override onSettled({ entries }: GetRequest): void {
    for (const { outcome } of entries) {
      if (!(outcome instanceof FailedValue) || outcome.error.type !== "TASK_CANCELLED") continue;
      const { subject, message } = outcome.error;
      if (this.#asked.has(subject) || this.#parents.get(subject)?.refusesCalls === true) continue;
      this.violate({ entity: subject, message: `nobody has cancelled it: ${message}` });
    }
  }

  #whyOver(entity: string, key: string): string {
    if (this.#overBySeq.has(key)) return "its worker had been told before";
    if ((this.#lastStarts.get(entity) ?? key) !== key)
      return "it was cancelled where it was before";
    return this.#over.get(entity) ?? "";
  }

  #ownedBy({ owner, serial, index }: ObjectEntry): ObjectEntry | undefined {
    const process = this.#processes().find(({ client }) => client.workerId === owner);
    if (process?.life.isAlive !== true) return undefined;
    return process.client.core.references.find(owner, { serial, index });
  }

  #runningAt(worker: WorkerId, { from, stream, seq }: CancelTask): IncomingTask | undefined {
    const process = this.#processes().find(({ client }) => client.workerId === worker);
    for (const task of process?.client.core.receiver.running ?? []) {
      if (task.owner === from && task.stream === stream && task.seq === seq) return task;
    }
    return undefined;
  }
}

function idOfTask({ owner, serial }: TaskRecord): string {
  return taskIdHex(owner, serial);
}

function keyOf(owner: WorkerId, stream: number, seq: number): string {
  return `${owner}/${stream}/${seq}`;
}
