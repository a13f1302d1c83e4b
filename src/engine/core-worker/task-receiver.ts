/**
 * Tasks at their executor: a frame is taken when there is room to start it → run → reply.
 *
 * State:  running tasks; per peer the functions it has named and the last seq of each stream.
 * In/out: pushTask, constructActor, taskFinished, taskWaiting → RunTask, TaskReply, TaskBlocked,
 *         TakenBack.
 * Bounds: one running task that does not wait in get (an actor: maxConcurrency); frames stay in the
 *         transport until then. The last seq is kept for `streamsRemembered` streams a peer.
 * Errors: a repeated (stream, seq) is dropped: its reply was or will be sent once.
 * Source: Ray task_receiver; protocols §4; decisions 7, 8.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { FunctionDefinition } from "#engine/common/task-spec.ts";
import type { CancelTask, DoomLease } from "#engine/protocol/cancel.ts";
import type { ActorSpec, ConstructActor, FailedCreation } from "#engine/protocol/gcs.ts";
import type { Encoded, Outcome, RefSpecial, Special } from "#engine/protocol/outcome.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import { InlineValue, noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { ownActorSpec } from "#engine/protocol/own-value.ts";
import type { ObjectName, PushTask } from "#engine/protocol/task.ts";
import type { ConstructorFinished, TaskFinished, TaskWaiting } from "./calls.ts";
import type { ChildTasks } from "./child-tasks.ts";
import { specialsOf } from "./contained-refs.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { heldRefs, HoldWait } from "./hold-wait.ts";
import { isUsed, type ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

const streamsRemembered = 256;
const noOutcomes: readonly Outcome[] = [];

export class IncomingTask {
  readonly owner: WorkerId;
  readonly stream: number;
  readonly seq: number;
  readonly serial: number;
  readonly attempt: number;
  readonly depth: number;
  readonly definition: FunctionDefinition;
  readonly args: Encoded;
  readonly values: readonly Outcome[] | null;
  readonly gpuIds: readonly number[] | null;
  /** Refs of its owner that came with it: the owner keeps them until the reply. Null if none. */
  readonly covered: readonly RefSpecial[] | null;
  /** Other refs that came with it, a use each while it runs. Null if none. */
  pins: readonly ObjectEntry[] | null = null;
  waiting = false;
  /** Its refs have ended at the owner: its result is for nobody. */
  isCancelled = false;
  /** Its calls are cancelled with it, also those to come. */
  refusesCalls = false;
  /** Its unfinished calls; null until the first. */
  children: ChildTasks | null = null;
  /** Set by the api when the body asks for its signal. */
  onAbort: (() => void) | null = null;

  constructor(message: PushTask, definition: FunctionDefinition) {
    this.owner = message.from as WorkerId;
    this.stream = message.stream;
    this.seq = message.seq;
    this.serial = message.serial;
    this.attempt = message.attempt;
    this.depth = message.depth;
    this.definition = definition;
    this.args = message.args;
    this.values = message.values;
    this.gpuIds = message.gpuIds;
    this.covered = coveredRefs(message);
  }
}

/** The actor that this worker hosts for the rest of its life. */
export class IncomingActor {
  readonly spec: ActorSpec;
  readonly incarnation: number;
  readonly gpuIds: readonly number[];
  /** Refs that the constructor was given, a use each while it runs. Null if none. */
  pins: readonly ObjectEntry[] | null = null;
  /** 0 until it is constructed. */
  maxConcurrency = 0;

  constructor(message: ConstructActor) {
    // The constructor runs in a later turn, and the bytes are only lent.
    this.spec = ownActorSpec(message.spec);
    this.incarnation = message.incarnation;
    this.gpuIds = message.gpuIds;
  }
}

interface Peer {
  readonly definitions: Map<number, FunctionDefinition>;
  readonly lastSeqs: Map<number, number>;
  /** By stream, seqs of tasks that were cancelled before they came. Null until the first. */
  cancelled: Map<number, Set<number>> | null;
}

export class TaskReceiver {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #peers = new Map<Address, Peer>();
  readonly #running = new Set<IncomingTask>();
  /** Streams (of owners) whose running task waits: what else arrives for them goes back. */
  readonly #waitingTasks = new Set<IncomingTask>();
  /** Dead owners whose tasks here are not all over: the raylet keeps their leases till then. */
  readonly #doomedOwners = new Set<WorkerId>();
  #blockSeq = 0;
  actor: IncomingActor | null = null;

  constructor(context: ProcessContext, references: ReferenceCounter, holds: HoldMaker) {
    this.#context = context;
    this.#references = references;
    this.#holds = holds;
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

  get runningCount(): number {
    return this.#running.size;
  }

  isRunning(task: IncomingTask): boolean {
    return this.#running.has(task);
  }

  /** What an actor of one call at a time must end before it takes that frame; null if unknown. */
  onlyTaskBefore(owner: Address, stream: number, seq: number): IncomingTask | null {
    if (this.actor?.maxConcurrency !== 1 || this.#running.size !== 1) return null;
    const lastSeq = this.#peers.get(owner)?.lastSeqs.get(stream) ?? -1;
    const [first = null] = this.#running;
    return seq <= lastSeq ? null : first;
  }

  onPushTask(message: PushTask, out: Out): void {
    const peer = this.#peerOf(message.from);
    if (message.definition !== null) {
      peer.definitions.set(message.functionNumber, message.definition);
    }
    if (this.#isRepeat(peer, message)) return;
    const definition = peer.definitions.get(message.functionNumber);
    assert(definition !== undefined, "the definition travels ahead of the first use");
    const wasCancelled = peer.cancelled !== null && this.#wasCancelled(peer, message);
    if (this.actor === null && this.#isWaitingStream(message.from, message.stream)) {
      const { stream, seq, from } = message;
      out.send(from, { type: "takenBack", from: this.#context.self, stream, seqs: [seq] });
      return;
    }
    if (wasCancelled) {
      this.#refuse(message, out);
      return;
    }
    const task = new IncomingTask(message, definition);
    const { args, values, holds } = message;
    if (holds !== null) this.#references.onReceivedHeld(holds, task.owner, out);
    if (args.specials.length > 0) task.pins = this.#pin(args, values, message.from);
    this.#running.add(task);
    if (definition.timeoutMs > 0) {
      const { stream, seq, from } = message;
      out.send(from, { type: "taskStarted", from: this.#context.self, stream, seq });
    }
    out.instruct({ type: "runTask", task });
  }

  onConstructActor(message: ConstructActor, out: Out): void {
    if (this.actor !== null) {
      assert(this.actor.spec.actorId === message.spec.actorId, "a worker hosts one actor");
      return;
    }
    this.actor = new IncomingActor(message);
    const { args, values } = this.actor.spec;
    if (args.specials.length > 0) this.actor.pins = this.#pin(args, values, message.from);
    out.instruct({ type: "runConstructor", actor: this.actor });
  }

  onConstructorFinished(finished: ConstructorFinished, out: Out): void {
    const { actor, failure, maxConcurrency } = finished;
    assert(this.actor === actor, "a constructor ends once");
    if (failure === null) actor.maxConcurrency = maxConcurrency;
    const { pins } = actor;
    if (pins !== null) {
      actor.pins = null;
      const wait = new HoldWait({ type: "constructed", finished });
      this.#unpin(pins, wait);
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
      failure: failure === null ? null : this.#creationFailure(failure),
    });
  }

  onTaskFinished(event: TaskFinished, out: Out): void {
    const { task } = event;
    if (!this.#running.delete(task)) return;
    this.#waitingTasks.delete(task);
    const isForNobody = task.isCancelled || this.#references.ended.has(task.owner);
    this.#answer(isForNobody ? this.#withoutResult(event) : event, out);
    if (this.#doomedOwners.has(task.owner)) this.#tellIfEnded(task.owner, out);
  }

  /** At once, or when what the reply names and the task goes on using is held. */
  #answer(finished: TaskFinished, out: Out): void {
    const { task, outcome, outcomes } = finished;
    this.#references.exportContained(outcome, task.owner);
    for (const value of outcomes ?? noOutcomes) {
      this.#references.exportContained(value, task.owner);
    }
    if (task.pins === null && outcomes === null && specialsOf(outcome).length === 0) {
      this.#reply(finished, null, out);
      return;
    }
    const wait = new HoldWait({ type: "reply", finished });
    const values = outcomes === null ? [outcome] : [outcome, ...outcomes];
    if (!this.#references.ended.has(task.owner)) {
      for (const value of values) this.#holds.askInside(value, task.owner, wait);
    }
    const { pins } = task;
    task.pins = null;
    if (pins !== null) this.#unpin(pins, wait);
    if (wait.missingCount === 0) this.#reply(finished, null, out);
    else wait.pins = this.#references.pinInside(values, task.owner);
  }

  #withoutResult(finished: TaskFinished): TaskFinished {
    this.#discard(finished.outcome, finished.outcomes);
    return { ...finished, outcome: undefined, outcomes: null };
  }

  /** What the reply names and the task goes on using is held: its owner may let go. */
  onReplyHeld(wait: HoldWait, finished: TaskFinished, out: Out): void {
    if (this.#references.ended.has(finished.task.owner)) this.#holds.abandon(wait);
    this.#references.unpin(wait.pins);
    this.#reply(finished, heldRefs(wait), out);
  }

  #reply(finished: TaskFinished, holds: readonly HeldRef[] | null, out: Out): void {
    const { task, durationMs, outcome, outcomes } = finished;
    if (this.#references.ended.has(task.owner)) {
      this.#discard(outcome, outcomes);
      return;
    }
    out.send(task.owner, {
      type: "taskReply",
      from: this.#context.self,
      stream: task.stream,
      seq: task.seq,
      durationMs,
      outcome,
      outcomes,
      keptRefs: task.covered === null ? null : this.#keep(task.covered),
      holds,
    });
  }

  /** It was cancelled before it came: for its owner it is over, whatever the answer. */
  #refuse({ stream, seq, from, holds }: PushTask, out: Out): void {
    if (holds !== null) this.#references.onReceivedHeld(holds, from as WorkerId, out);
    out.send(from, {
      type: "taskReply",
      from: this.#context.self,
      stream,
      seq,
      durationMs: 0,
      outcome: undefined,
      outcomes: null,
      keptRefs: null,
      holds: null,
    });
  }

  #wasCancelled(peer: Peer, { stream, seq }: PushTask): boolean {
    const seqs = peer.cancelled?.get(stream);
    if (seqs?.delete(seq) !== true) return false;
    if (seqs.size === 0) peer.cancelled?.delete(stream);
    if (peer.cancelled?.size === 0) peer.cancelled = null;
    return true;
  }

  /** The task, if it runs. One that has not come yet never starts. */
  cancel({ from, stream, seq, recursive }: CancelTask): IncomingTask | undefined {
    for (const task of this.#running) {
      if (task.seq !== seq || task.stream !== stream || task.owner !== from) continue;
      task.isCancelled = true;
      if (recursive) task.refusesCalls = true;
      return task;
    }
    const peer = this.#peerOf(from);
    if (seq <= (peer.lastSeqs.get(stream) ?? -1)) return undefined;
    peer.cancelled ??= new Map();
    const seqs = peer.cancelled.get(stream);
    if (seqs === undefined) peer.cancelled.set(stream, new Set([seq]));
    else seqs.add(seq);
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
    if (!waiting || this.#references.ended.has(task.owner)) return;
    const { stream, owner } = task;
    out.send(owner, { type: "takenBack", from: this.#context.self, stream, seqs: [] });
  }

  /** Of an owner that has died, on a thread that it had leased; they are told to end. */
  doom(owner: WorkerId): IncomingTask[] {
    if (this.actor !== null) return [];
    const doomed = [...this.#running].filter((task) => task.owner === owner);
    for (const task of doomed) {
      task.isCancelled = true;
      task.refusesCalls = true;
    }
    return doomed;
  }

  onDoomLease({ owner }: DoomLease, out: Out): void {
    this.#doomedOwners.add(owner);
    this.#tellIfEnded(owner, out);
  }

  onWorkerDied(workerId: WorkerId): void {
    this.#peers.delete(workerId);
  }

  checkInvariants(): void {
    for (const task of this.#waitingTasks) {
      assert(this.#running.has(task) && task.waiting, "a waiting task runs");
    }
  }

  #tellIfEnded(owner: WorkerId, out: Out): void {
    for (const task of this.#running) if (task.owner === owner) return;
    this.#doomedOwners.delete(owner);
    out.send(this.#context.raylet, { type: "doomedEnded", from: this.#context.self, owner });
  }

  #peerOf(address: Address): Peer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { definitions: new Map(), lastSeqs: new Map(), cancelled: null };
      this.#peers.set(address, peer);
    }
    return peer;
  }

  #isRepeat(peer: Peer, { stream, seq }: PushTask): boolean {
    const last = peer.lastSeqs.get(stream);
    if (last !== undefined && seq <= last) return true;
    peer.lastSeqs.set(stream, seq);
    if (last === undefined && peer.lastSeqs.size > streamsRemembered) {
      const [oldest] = peer.lastSeqs.keys();
      if (oldest !== undefined) peer.lastSeqs.delete(oldest);
    }
    return false;
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
      if (special.type !== "ref") continue;
      const value = values?.[i];
      if (!special.topLevel || value instanceof StoredValue) this.#pinRef(special, sender, pins);
      for (const inner of special.topLevel ? specialsOf(value) : noSpecials) {
        if (inner.type === "ref") this.#pinRef(inner, sender, pins);
      }
    }
    return pins.length === 0 ? null : pins;
  }

  #pinRef({ owner, serial, index }: RefSpecial, sender: Address, pins: ObjectEntry[]): void {
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

  /** What is used on must be ours before the cover may go. */
  #unpin(pins: readonly ObjectEntry[], wait: HoldWait): void {
    this.#references.unpin(pins);
    for (const entry of pins) {
      if (isUsed(entry) && !entry.held) this.#holds.awaitOwn(entry, wait);
    }
  }

  /** What user code goes on using, though the owner's cover for it ends with the reply. */
  #keep(covered: readonly RefSpecial[]): ObjectName[] | null {
    let kept: ObjectName[] | null = null;
    for (const { owner, serial, index } of covered) {
      const entry = this.#references.find(owner, { serial, index });
      if (entry === undefined || !this.#references.keepCovered(entry)) continue;
      (kept ??= []).push({ serial, index });
    }
    return kept;
  }

  /** The owner has died: nobody will ever ask for the results. */
  #discard(outcome: Outcome, outcomes: readonly Outcome[] | null): void {
    this.#references.discard(outcome);
    for (const value of outcomes ?? noOutcomes) this.#references.discard(value);
  }

  #creationFailure(failure: NonNullable<ConstructorFinished["failure"]>): FailedCreation {
    const { cause } = failure;
    const encoded = cause instanceof InlineValue || cause instanceof StoredValue ? cause : null;
    return { error: failure.error, cause: encoded };
  }
}

/**
 * Of the arguments and of the values that came for them; what others own is covered by its sender.
 */
function coveredRefs({ from, args, values }: PushTask): RefSpecial[] | null {
  if (args.specials.length === 0) return null;
  const covered: RefSpecial[] = [];
  addRefsOf(from, args.specials, covered);
  for (const value of values ?? noOutcomes) addRefsOf(from, specialsOf(value), covered);
  return covered.length === 0 ? null : covered;
}

function addRefsOf(owner: Address, specials: readonly Special[], refs: RefSpecial[]): void {
  for (const special of specials) {
    if (special.type === "ref" && special.owner === owner) refs.push(special);
  }
}
