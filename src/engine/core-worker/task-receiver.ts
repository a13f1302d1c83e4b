/**
 * Tasks at their executor: a frame is taken when there is room to start it → run → reply.
 *
 * State:  running tasks, and those of them that wait.
 * In/out: pushTask, constructActor, buffersMoved, buffersCopied, taskFinished, taskWaiting →
 *         RunTask, AskBuffers, TaskReply, TaskBlocked, TakenBack.
 * Bounds: one running task that does not wait in get (an actor: maxConcurrency); frames stay in the
 *         transport until then.
 * Errors: a repeated (stream, seq) is dropped: see IncomingStreams.
 * Source: Ray task_receiver; protocols §4; decisions 7, 8.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import { LinkedList } from "#engine/common/linked-list.ts";
import { type Address, makerOf, type WorkerId } from "#engine/common/ids.ts";
import type { CancelTask, DoomLease } from "#engine/protocol/cancel.ts";
import type { ConstructActor } from "#engine/protocol/gcs.ts";
import type { Encoded, Outcome } from "#engine/protocol/outcome.ts";
import { FailedValue, noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import type { BuffersCopied, PushTask } from "#engine/protocol/task.ts";
import { type ArgumentPull, ArgumentPulls, givenToActor } from "./argument-pulls.ts";
import type { ActorHandles } from "./actor-handles.ts";
import type { BuffersMoved, ConstructorFinished, TaskFinished, TaskWaiting } from "./calls.ts";
import { type CountedSpecial, isCounted, specialsOf } from "./contained-refs.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { HoldWait } from "./hold-wait.ts";
import { BufferRequests } from "./incoming-buffers.ts";
import type { LocalCopies, LocalCopy } from "./local-copies.ts";
import { IncomingActor, IncomingTask } from "./incoming-task.ts";
import { IncomingStreams } from "./incoming-streams.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { ObjectSeals } from "./object-seals.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { TaskReplies } from "./task-replies.ts";
import type { ToldValues } from "./told-values.ts";

export class TaskReceiver {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #handles: ActorHandles;
  readonly #arguments: ArgumentPulls;
  readonly #told: ToldValues;
  readonly replies: TaskReplies;
  readonly buffers: BufferRequests;
  readonly #streams = new IncomingStreams();
  readonly #running = new LinkedList<IncomingTask>();
  /** Streams (of owners) whose running task waits: what else arrives for them goes back. */
  readonly #waitingTasks = new Set<IncomingTask>();
  /** Dead owners whose tasks here are not all over: the raylet keeps their leases till then. */
  readonly #doomedOwners = new Set<WorkerId>();
  #blockSeq = 0;
  #endedCount = 0;
  actor: IncomingActor | null = null;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    holds: HoldMaker;
    handles: ActorHandles;
    copies: LocalCopies;
    seals: ObjectSeals;
    told: ToldValues;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#holds = parts.holds;
    this.#handles = parts.handles;
    this.#told = parts.told;
    this.#arguments = new ArgumentPulls(parts.copies, parts.references.ended);
    this.replies = new TaskReplies(parts);
    this.buffers = new BufferRequests(parts.context);
  }

  /** True when a frame taken from the transport would start now, or be sent back. */
  wantsTask(): boolean {
    if (this.actor !== null) return this.#running.size < this.actor.maxConcurrency;
    return this.#running.size === this.#waitingTasks.size;
  }

  /** Tasks that have started and not ended, oldest first. */
  get running(): Iterable<IncomingTask> {
    return this.#running;
  }

  /** Rises with every task, and when a constructor has ended. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** What tasks and a constructor that have not ended were given, and whose it is. */
  *given(): IterableIterator<Pick<IncomingTask, "owner" | "args" | "values">> {
    yield* this.#running;
    const { actor } = this;
    if (actor === null || actor.hasEnded) return;
    const { actorId, args, values } = actor.spec;
    yield { owner: makerOf(actorId).maker, args, values };
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** Of a push, while it runs. */
  runningOf(owner: Address, stream: number, seq: number): IncomingTask | undefined {
    for (const task of this.#running) {
      if (task.seq === seq && task.stream === stream && task.owner === owner) return task;
    }
    return undefined;
  }

  isRunning(task: IncomingTask): boolean {
    return this.#running.has(task);
  }

  /** What an actor of one call at a time must end before it takes that frame; null if unknown. */
  onlyTaskBefore(owner: Address, stream: number, seq: number): IncomingTask | null {
    if (this.actor?.maxConcurrency !== 1 || this.#running.size !== 1) return null;
    const first = this.#running.oldest;
    return this.#streams.hasCome({ from: owner, stream, seq }) ? null : first;
  }

  onPushTask(message: PushTask, out: Out): void {
    const definition = this.#streams.take(message);
    if (definition === null) return;
    const wasCancelled = this.#streams.wasCancelled(message);
    if (this.actor === null && this.#isWaitingStream(message.from, message.stream)) {
      const { stream, seq, from } = message;
      out.send(from, { type: "takenBack", from: this.#context.self, stream, seqs: [seq] });
      return;
    }
    if (wasCancelled) {
      this.replies.refuse(message, out);
      return;
    }
    const task = new IncomingTask(message, definition);
    const { args, values, holds } = message;
    if (holds !== null) this.#references.onReceivedHeld(holds, task.owner, out);
    if (args.specials.length > 0) task.pins = this.#pin(args, values, message.from);
    if (values !== null) task.told = this.#told.take(message, out);
    this.#running.add(task);
    const pull = this.#arguments.begin(message, this.actor !== null, out);
    if (pull === null) this.#run(task, out);
    else this.#onIncomplete(task, pull, out);
  }

  #run(task: IncomingTask, out: Out): void {
    const { buffers } = task;
    if (buffers !== null && buffers.state !== "here") {
      this.buffers.ask(task, buffers, out);
      return;
    }
    if (task.definition.timeoutMs > 0) {
      const { stream, seq, owner } = task;
      out.send(owner, { type: "taskStarted", from: this.#context.self, stream, seq });
    }
    out.instruct({ type: "runTask", task });
  }

  onBuffersMoved(event: BuffersMoved, nowMs: number, out: Out): void {
    const { from, stream, seq, buffers: moved } = event;
    const task = this.runningOf(from, stream, seq);
    const buffers = task?.buffers ?? null;
    if (task === undefined || buffers?.state !== "asked") return;
    buffers.moved = moved;
    buffers.waitedMs = nowMs - buffers.askedAtMs;
    this.#runWithBuffers(task, out);
  }

  onBuffersCopied({ from, stream, seq, object, outcome }: BuffersCopied, out: Out): void {
    const task = this.runningOf(from, stream, seq);
    const buffers = task?.buffers ?? null;
    if (task === undefined || buffers?.state !== "asked") return;
    if (outcome instanceof FailedValue) {
      this.#endUnrun(task, ownOutcome(outcome), out);
    } else if (outcome instanceof StoredValue) {
      buffers.state = "here";
      const pull = this.#arguments.beginBuffers(task, object, outcome, out);
      this.#onIncomplete(task, pull, out);
    } else {
      buffers.copy = ownOutcome(outcome);
      this.#runWithBuffers(task, out);
    }
  }

  #runWithBuffers(task: IncomingTask, out: Out): void {
    if (task.buffers !== null) task.buffers.state = "here";
    this.onTaskWaiting({ type: "taskWaiting", task, waiting: false }, out);
    this.#run(task, out);
  }

  /** Its owner takes its time: others may have the thread meanwhile. */
  onDeadline(nowMs: number, out: Out): void {
    const { buffers } = this;
    for (let task = buffers.takeBlocked(nowMs); task; task = buffers.takeBlocked(nowMs)) {
      this.onTaskWaiting({ type: "taskWaiting", task, waiting: true }, out);
    }
  }

  /** A copy that arguments wait for has come, or never will. */
  onArgument(pull: ArgumentPull, copy: LocalCopy, outcome: Outcome, out: Out): void {
    const { target } = pull;
    if (!this.#arguments.onArrival(pull, copy, outcome, out) || target === null) return;
    if (target instanceof IncomingActor) this.#construct(target, pull, out);
    else if (this.actor === null) this.#start(target, pull, out);
    else this.#startInOrder(target.owner, out);
  }

  onConstructActor(message: ConstructActor, out: Out): void {
    if (this.actor !== null) {
      assert(this.actor.spec.actorId === message.spec.actorId, "a worker hosts one actor");
      return;
    }
    const actor = new IncomingActor(message);
    this.actor = actor;
    this.#handles.hosted = actor.spec.actorId;
    const { args, values } = actor.spec;
    if (args.specials.length > 0) actor.pins = this.#pin(args, values, message.from);
    const pull = this.#arguments.begin(givenToActor(actor.spec), false, out);
    if (pull === null) {
      out.instruct({ type: "runConstructor", actor });
      return;
    }
    pull.target = actor;
    actor.pull = pull;
    if (pull.isReady) this.#construct(actor, pull, out);
  }

  onConstructorFinished(finished: ConstructorFinished, out: Out): void {
    const { actor, failure, maxConcurrency } = finished;
    assert(this.actor === actor, "a constructor ends once");
    if (failure === null) actor.maxConcurrency = maxConcurrency;
    actor.hasEnded = true;
    this.#endedCount += 1;
    if (actor.pull !== null) this.#arguments.end(actor.pull);
    const { pins } = actor;
    if (pins !== null || this.#handles.namesSelf) {
      actor.pins = null;
      const wait = new HoldWait({ type: "constructed", finished });
      this.replies.unpin(pins ?? [], wait);
      this.#handles.awaitSelf(wait);
      if (wait.missingCount > 0) return;
    }
    this.onActorHeld(finished, out);
  }

  /** What the actor goes on using is its own: its creator may let the arguments go. */
  onActorHeld({ actor, failure }: ConstructorFinished, out: Out): void {
    out.send(this.#context.raylet, {
      type: "actorConstructed",
      from: this.#context.self,
      actorId: actor.spec.actorId,
      incarnation: actor.incarnation,
      failure,
    });
  }

  onTaskFinished(finished: TaskFinished, out: Out): void {
    const { task } = finished;
    if (!this.#running.has(task)) return;
    this.#running.remove(task);
    const durationMs = finished.durationMs + (task.buffers?.waitedMs ?? 0);
    const event = task.buffers === null ? finished : { ...finished, durationMs };
    this.#endedCount += 1;
    if (this.#waitingTasks.size > 0) this.#waitingTasks.delete(task);
    if (task.pull !== null) this.#arguments.end(task.pull);
    // Before the reply says what is used on.
    this.#references.unpin(task.told);
    task.told = null;
    this.replies.onFinished(event, out);
    if (this.#doomedOwners.has(task.owner)) this.#tellIfEnded(task.owner, out);
  }

  /** The task, if it runs. One that has not come yet never starts. */
  cancel({ from, stream, seq, recursive }: CancelTask, out: Out): IncomingTask | undefined {
    const task = this.runningOf(from, stream, seq);
    if (task !== undefined) {
      task.isCancelled = true;
      if (recursive) task.refusesCalls = true;
      return this.#withdraw(task, out) ? undefined : task;
    }
    this.#streams.cancel({ from, stream, seq });
    return undefined;
  }

  onTaskWaiting({ task, waiting }: TaskWaiting, out: Out): void {
    if (!this.#running.has(task) || task.waiting === waiting) return;
    task.waiting = waiting;
    if (!waiting) this.#waitingTasks.delete(task);
    // An actor may have come where a task of a dead owner still waited.
    if (this.actor !== null) return;
    if (waiting) this.#waitingTasks.add(task);
    this.#blockSeq += 1;
    out.send(this.#context.raylet, {
      type: "taskBlocked",
      from: this.#context.self,
      owner: task.owner,
      leaseId: task.stream,
      blockSeq: this.#blockSeq,
      blocked: waiting,
    });
    if (!waiting || task.hasToldWaiting || this.#references.ended.has(task.owner)) return;
    task.hasToldWaiting = true;
    const { stream, owner } = task;
    out.send(owner, { type: "takenBack", from: this.#context.self, stream, seqs: [] });
  }

  /** Of an owner that has died, on a thread that it had leased; they are told to end. */
  doom(owner: WorkerId, out: Out): IncomingTask[] {
    if (this.actor !== null) return [];
    const doomed = [...this.#running].filter((task) => task.owner === owner);
    for (const task of doomed) {
      task.isCancelled = true;
      task.refusesCalls = true;
    }
    return doomed.filter((task) => !this.#withdraw(task, out));
  }

  onDoomLease({ owner }: DoomLease, out: Out): void {
    this.#doomedOwners.add(owner);
    this.#tellIfEnded(owner, out);
  }

  onWorkerDied(workerId: WorkerId): void {
    this.#streams.forget(workerId);
  }

  checkInvariants(): void {
    this.#arguments.checkInvariants();
    for (const task of this.#waitingTasks) {
      assert(this.#running.has(task) && task.waiting, "a waiting task runs");
    }
  }

  #tellIfEnded(owner: WorkerId, out: Out): void {
    for (const task of this.#running) if (task.owner === owner) return;
    this.#doomedOwners.delete(owner);
    out.send(this.#context.raylet, { type: "doomedEnded", from: this.#context.self, owner });
  }

  /** Its arguments must come first, or those of calls before it. */
  #onIncomplete(task: IncomingTask, pull: ArgumentPull, out: Out): void {
    pull.target = task;
    task.pull = pull;
    task.args = pull.args;
    task.values = pull.values;
    if (this.actor !== null) this.#startInOrder(task.owner, out);
    else if (pull.isReady) this.#start(task, pull, out);
    else this.onTaskWaiting({ type: "taskWaiting", task, waiting: true }, out);
  }

  #startInOrder(owner: WorkerId, out: Out): void {
    for (let pull = this.#arguments.takeReady(owner); pull;) {
      assert(pull.target instanceof IncomingTask, "calls stand in line");
      this.#start(pull.target, pull, out);
      pull = this.#arguments.takeReady(owner);
    }
  }

  #start(task: IncomingTask, pull: ArgumentPull, out: Out): void {
    pull.hasStarted = true;
    const { failed } = pull;
    if (failed !== null) {
      this.#endUnrun(task, failed, out);
      return;
    }
    this.onTaskWaiting({ type: "taskWaiting", task, waiting: false }, out);
    task.args = pull.args;
    task.values = pull.values;
    if (task.buffers !== null) task.buffers.copy = pull.buffers;
    this.#run(task, out);
  }

  /** It ends without having run. */
  #endUnrun(task: IncomingTask, outcome: Outcome, out: Out): void {
    this.onTaskWaiting({ type: "taskWaiting", task, waiting: false }, out);
    const ended = { task, durationMs: 0, outcome, outcomes: null };
    this.onTaskFinished({ type: "taskFinished", ...ended }, out);
  }

  /** True for one that still waited for its arguments: it never starts. */
  #withdraw(task: IncomingTask, out: Out): boolean {
    if (!task.awaitsArguments) return false;
    if (task.pull !== null) task.pull.hasStarted = true;
    this.#endUnrun(task, undefined, out);
    if (this.actor !== null) this.#startInOrder(task.owner, out);
    return true;
  }

  #construct(actor: IncomingActor, pull: ArgumentPull, out: Out): void {
    const { failed, args, values } = pull;
    if (failed === null) {
      actor.spec = { ...actor.spec, args, values };
      out.instruct({ type: "runConstructor", actor });
      return;
    }
    const { actorId, descriptor } = actor.spec;
    const text = `an argument of its constructor failed: ${failed.error.message}`;
    const error = engineError("ACTOR_DIED", text, actorId, descriptor.displayName);
    const failure = { error, cause: failed.cause };
    const ended = { actor, failure, maxConcurrency: 0 };
    this.onConstructorFinished({ type: "constructorFinished", ...ended }, out);
  }

  #isWaitingStream(owner: Address, stream: number): boolean {
    for (const task of this.#waitingTasks) {
      if (task.stream === stream && task.owner === owner) return true;
    }
    return false;
  }

  /**
   * Keeps what came with a task or for a constructor while that runs, and begins to hold what it
   * may go on using: what `sender` owns is covered by it, a value that is no view is a copy.
   */
  #pin(args: Encoded, values: readonly Outcome[] | null, sender: Address): ObjectEntry[] | null {
    const pins: ObjectEntry[] = [];
    for (const [i, special] of args.specials.entries()) {
      if (!isCounted(special)) continue;
      const topLevel = isTopLevel(special);
      const value = values?.[i];
      if (!topLevel || value instanceof StoredValue) this.#pinRef(special, sender, pins);
      for (const inner of topLevel ? specialsOf(value) : noSpecials) {
        if (isCounted(inner)) this.#pinRef(inner, sender, pins);
      }
    }
    return pins.length === 0 ? null : pins;
  }

  #pinRef({ owner, serial, index }: CountedSpecial, sender: Address, pins: ObjectEntry[]): void {
    if (owner === sender) return;
    const isOwn = owner === this.#context.self;
    const entry = isOwn
      ? this.#references.find(owner, { serial, index })
      : this.#references.adopt(owner, serial, index);
    if (entry === undefined) return;
    entry.uses += 1;
    pins.push(entry);
    this.#holds.askForSelf(entry);
  }
}
