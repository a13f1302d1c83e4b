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
import { engineError } from "#engine/common/error-type.ts";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { FunctionDefinition } from "#engine/common/task-spec.ts";
import type { SealedObject } from "#engine/protocol/copy.ts";
import type { ActorSpec, ConstructActor, FailedCreation } from "#engine/protocol/gcs.ts";
import type { Encoded, Outcome, RefSpecial, Special } from "#engine/protocol/outcome.ts";
import { InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import { ownActorSpec } from "#engine/protocol/own-value.ts";
import type { ObjectName, PushTask } from "#engine/protocol/task.ts";
import { type ArgumentPull, ArgumentPulls, givenToActor } from "./argument-pulls.ts";
import type { ConstructorFinished, TaskFinished, TaskWaiting } from "./calls.ts";
import { specialsOf } from "./contained-refs.ts";
import type { LocalCopies, LocalCopy } from "./local-copies.ts";
import type { ObjectSeals } from "./object-seals.ts";
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
  args: Encoded;
  values: readonly Outcome[] | null;
  readonly gpuIds: readonly number[] | null;
  /** Refs of its owner that came with it: the owner keeps them until the reply. Null if none. */
  readonly covered: readonly RefSpecial[] | null;
  waiting = false;
  /** Set when its arguments had to be brought here. */
  pull: ArgumentPull | null = null;

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
  spec: ActorSpec;
  readonly incarnation: number;
  readonly gpuIds: readonly number[];
  pull: ArgumentPull | null = null;
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
}

export class TaskReceiver {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #arguments: ArgumentPulls;
  readonly #seals: ObjectSeals;
  readonly #peers = new Map<Address, Peer>();
  readonly #running = new Set<IncomingTask>();
  /** Streams (of owners) whose running task waits: what else arrives for them goes back. */
  readonly #waitingTasks = new Set<IncomingTask>();
  #blockSeq = 0;
  actor: IncomingActor | null = null;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    copies: LocalCopies;
    seals: ObjectSeals;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#arguments = new ArgumentPulls(parts.copies);
    this.#seals = parts.seals;
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

  onPushTask(message: PushTask, out: Out): void {
    const peer = this.#peerOf(message.from);
    if (message.definition !== null) {
      peer.definitions.set(message.functionNumber, message.definition);
    }
    if (this.#isRepeat(peer, message)) return;
    const definition = peer.definitions.get(message.functionNumber);
    assert(definition !== undefined, "the definition travels ahead of the first use");
    if (this.actor === null && this.#isWaitingStream(message.from, message.stream)) {
      const { stream, seq, from } = message;
      out.send(from, { type: "takenBack", from: this.#context.self, stream, seqs: [seq] });
      return;
    }
    const task = new IncomingTask(message, definition);
    this.#running.add(task);
    const pull = this.#arguments.begin(message, this.actor !== null, out);
    if (pull === null) out.instruct({ type: "runTask", task });
    else this.#onIncomplete(task, pull, out);
  }

  /** A copy that arguments wait for has come, or never will. */
  onArgument(pull: ArgumentPull, copy: LocalCopy, outcome: Outcome, out: Out): void {
    const { target } = pull;
    if (!this.#arguments.onArrival(pull, copy, outcome) || target === null) return;
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
    const pull = this.#arguments.begin(givenToActor(actor.spec), false, out);
    if (pull === null) {
      out.instruct({ type: "runConstructor", actor });
      return;
    }
    pull.target = actor;
    actor.pull = pull;
    if (pull.isReady) this.#construct(actor, pull, out);
  }

  onConstructorFinished({ actor, failure, maxConcurrency }: ConstructorFinished, out: Out): void {
    assert(this.actor === actor, "a constructor ends once");
    if (failure === null) actor.maxConcurrency = maxConcurrency;
    if (actor.pull !== null) this.#arguments.end(actor.pull);
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
    const ended = task.attempt === 0 ? event : madeBy(event);
    const { outcome, outcomes } = ended;
    if (!this.#running.delete(task)) return;
    this.#waitingTasks.delete(task);
    if (task.pull !== null) this.#arguments.end(task.pull);
    if (this.#references.ended.has(task.owner)) {
      this.#discard(outcome, outcomes);
      return;
    }
    this.#references.exportContained(outcome, task.owner);
    for (const value of outcomes ?? noOutcomes) {
      this.#references.exportContained(value, task.owner);
    }
    const sealed = this.#farResults(ended);
    if (sealed === null) this.#reply(ended, out);
    else this.#seals.seal(sealed, (later) => this.#reply(ended, later), out);
  }

  #reply({ task, durationMs, outcome, outcomes }: TaskFinished, out: Out): void {
    if (this.#references.ended.has(task.owner)) return;
    out.send(task.owner, {
      type: "taskReply",
      from: this.#context.self,
      stream: task.stream,
      seq: task.seq,
      durationMs,
      outcome,
      outcomes,
      keptRefs: task.covered === null ? null : this.#keep(task.covered),
    });
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

  onWorkerDied(workerId: WorkerId): void {
    this.#peers.delete(workerId);
  }

  checkInvariants(): void {
    this.#arguments.checkInvariants();
    for (const task of this.#waitingTasks) {
      assert(this.#running.has(task) && task.waiting, "a waiting task runs");
    }
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
    this.onTaskWaiting({ type: "taskWaiting", task, waiting: false }, out);
    const { failed } = pull;
    if (failed !== null) {
      const ended = { task, durationMs: 0, outcome: failed, outcomes: null };
      this.onTaskFinished({ type: "taskFinished", ...ended }, out);
      return;
    }
    task.args = pull.args;
    task.values = pull.values;
    out.instruct({ type: "runTask", task });
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
    const failure = { error, cause: failed.cause ?? undefined };
    const ended = { actor, failure, maxConcurrency: 0 };
    this.onConstructorFinished({ type: "constructorFinished", ...ended }, out);
  }

  /** Results in this node's arena for an owner on another. */
  #farResults({ task, outcome, outcomes }: TaskFinished): SealedObject[] | null {
    const { owner, serial } = task;
    const mayBeStored = outcome instanceof StoredValue || outcomes !== null;
    if (!mayBeStored || owner.startsWith(this.#context.raylet)) return null;
    const sealed = [outcome, ...(outcomes ?? noOutcomes)].flatMap((value, i) => {
      if (!(value instanceof StoredValue)) return [];
      const { segment, offset, size, version } = value;
      return [{ owner, serial, index: i + 1, version, extent: { segment, offset, size } }];
    });
    return sealed.length === 0 ? null : sealed;
  }

  #peerOf(address: Address): Peer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { definitions: new Map(), lastSeqs: new Map() };
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

/** Attempts are told apart by the version of what they stored. */
function madeBy(event: TaskFinished): TaskFinished {
  const { attempt } = event.task;
  const versioned = (outcome: Outcome): Outcome => {
    if (!(outcome instanceof StoredValue)) return outcome;
    const { segment, offset, size, specials, node } = outcome;
    return new StoredValue(segment, offset, size, specials, node, attempt);
  };
  const outcomes = event.outcomes?.map(versioned) ?? null;
  return { ...event, outcome: versioned(event.outcome), outcomes };
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
