/**
 * A process that runs user code, driver or worker: owner of what it submits, executor of what it is
 * given. Routes events to its parts; nothing else.
 *
 * State:  in the parts: queues and leases, actors, references, waiters, running tasks.
 * In/out: calls of the api, completions of the executor, messages of peers → messages,
 *         CoreWorkerInstruction.
 * Bounds: those of the parts.
 * Errors: what a user can see is an EngineError inside an outcome.
 * Source: Ray core_worker; protocols §3–§6.
 */
import { assert } from "#engine/common/assert.ts";
import type { Machine } from "#engine/protocol/machine.ts";
import type { ObjectState, SubscribeObject } from "#engine/protocol/object.ts";
import { StoredValue } from "#engine/protocol/outcome.ts";
import type { TaskReply } from "#engine/protocol/task.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import { ArenaUses } from "./arena-uses.ts";
import { ActorDrain } from "./actor-drain.ts";
import { ActorHandles } from "./actor-handles.ts";
import { ActorSubmitter } from "./actor-submitter.ts";
import type { CoreWorkerEvent, CoreWorkerInstruction, PutObject } from "./calls.ts";
import { Cancellation } from "./cancellation.ts";
import { specialsOf } from "./contained-refs.ts";
import { DeadlockDetector } from "./deadlock-detector.ts";
import { DependencyResolver, failedArgument } from "./dependency-resolver.ts";
import { CopyArrivals } from "./copy-arrivals.ts";
import { HoldGrants } from "./hold-grants.ts";
import { HoldMaker } from "./hold-maker.ts";
import type { HoldWait } from "./hold-wait.ts";
import { LocalCopies } from "./local-copies.ts";
import { addWaiter, type GetRequest, MemoryStore } from "./memory-store.ts";
import { type ObjectEntry, RemoteWaiter, type TaskRecord } from "./object-entry.ts";
import { ObjectRecovery } from "./object-recovery.ts";
import { ObjectSeals } from "./object-seals.ts";
import { ObjectTable } from "./object-table.ts";
import { PeerDeaths } from "./peer-deaths.ts";
import { OfferedObjects } from "./offered-objects.ts";
import { pendingReason, whyPending } from "./pending-reason.ts";
import { type Out, type ProcessContext, SerialCounter } from "./process-context.ts";
import { ReferenceCounter } from "./reference-counter.ts";
import { routeRequests } from "./requests.ts";
import { RevokedPlaces } from "./revoked-places.ts";
import { StateReader } from "./state-rows.ts";
import { TaskLineage } from "./task-lineage.ts";
import { TaskManager } from "./task-manager.ts";
import { TaskReceiver } from "./task-receiver.ts";
import { TaskRetries } from "./task-retries.ts";
import { TaskSubmitter } from "./task-submitter.ts";
import { BufferTransfers } from "./transferred-buffers.ts";
import { ToldValues } from "./told-values.ts";
import { ViewCounts } from "./view-counts.ts";
import { WaitReasons } from "./wait-reasons.ts";

export class CoreWorker implements Machine<CoreWorkerEvent, CoreWorkerInstruction> {
  readonly context: ProcessContext;
  readonly serials = new SerialCounter();
  readonly references: ReferenceCounter;
  readonly holds: HoldMaker;
  readonly grants: HoldGrants;
  readonly handles: ActorHandles;
  readonly tasks: TaskManager;
  readonly retries: TaskRetries;
  readonly lineage: TaskLineage;
  readonly recovery: ObjectRecovery;
  readonly actors: ActorSubmitter;
  readonly submitter: TaskSubmitter;
  readonly receiver: TaskReceiver;
  readonly drain: ActorDrain;
  readonly #cancellation: Cancellation;
  readonly #deaths: PeerDeaths;
  readonly deadlocks: DeadlockDetector;
  readonly reasons: WaitReasons;
  readonly objects = new ObjectTable();
  readonly views = new ViewCounts();
  readonly uses: ArenaUses;
  /** What is read through the raylet. */
  readonly copies: LocalCopies;
  readonly seals: ObjectSeals;
  readonly arrivals: CopyArrivals;
  readonly #memoryStore: MemoryStore;
  readonly #dependencies: DependencyResolver;
  readonly #offered: OfferedObjects;
  readonly #told: ToldValues;
  readonly #transfers: BufferTransfers;
  readonly #revoked: RevokedPlaces;
  readonly #state: StateReader;

  constructor(context: ProcessContext) {
    this.context = context;
    const copies = new LocalCopies(context);
    const seals = new ObjectSeals(context);
    this.copies = copies;
    this.seals = seals;
    const references = new ReferenceCounter(context, seals);
    const holds = new HoldMaker(context, references);
    this.references = references;
    this.holds = holds;
    this.grants = new HoldGrants(context, references);
    const handles = new ActorHandles(context, references, holds);
    this.handles = handles;
    const { objects } = this;
    const memoryStore = new MemoryStore(copies);
    this.#memoryStore = memoryStore;
    const arrivals = new CopyArrivals({ context, references, copies, memoryStore });
    this.arrivals = arrivals;
    const lineage = new TaskLineage(context, references);
    this.lineage = lineage;
    const tables = { references, holds, handles, memoryStore, lineage, objects, arrivals };
    const manager = new TaskManager({ context, ...tables });
    this.tasks = manager;
    const told = new ToldValues({ context, references, copies, manager });
    this.#told = told;
    const dependencies = new DependencyResolver(references, holds, told);
    this.#dependencies = dependencies;
    const recovery = new ObjectRecovery({ context, references, dependencies, manager, lineage });
    this.recovery = recovery;
    const retries = new TaskRetries({ context, references, dependencies, manager, recovery });
    this.retries = retries;
    const { directory } = references;
    const onLastCopyLost: typeof directory.onLastCopyLost = (entry, why, out) =>
      recovery.onLastCopyLost({ type: "lastCopyLost", entry, why }, out);
    directory.onLastCopyLost = onLastCopyLost;
    const streamNumbers = new SerialCounter();
    const parts = { context, manager, references, holds, retries, dependencies, streamNumbers };
    const submitter = new TaskSubmitter(parts);
    const actors = new ActorSubmitter({ handles, ...parts });
    const receiver = new TaskReceiver({ context, references, holds, handles, copies, seals, told });
    this.drain = new ActorDrain({ submitter, actors, receiver, ...parts });
    arrivals.receiver = receiver;
    this.submitter = submitter;
    this.#transfers = new BufferTransfers({ context, references, submitter });
    this.actors = actors;
    this.receiver = receiver;
    const cancellation = new Cancellation({ submitter, actors, receiver, recovery, ...parts });
    this.#cancellation = cancellation;
    const { grants } = this;
    this.#deaths = new PeerDeaths({
      submitter,
      actors,
      receiver,
      cancellation,
      grants,
      arrivals,
      ...parts,
    });
    this.deadlocks = new DeadlockDetector({ context, references, receiver, memoryStore });
    const submitters = { actors, submitter, retries, recovery };
    const seen = { context, references, objects, receiver, memoryStore, ...submitters };
    this.reasons = new WaitReasons({ copies, ...seen });
    this.#state = new StateReader({ manager, reasons: this.reasons, ...seen });
    const { views } = this;
    this.uses = new ArenaUses({ context, copies, views, receiver });
    this.#offered = new OfferedObjects({ copies, seals, views, lineage, told, ...seen });
    this.#revoked = new RevokedPlaces({ copies, views, told, ...seen });
    this.#connect(dependencies, memoryStore);
  }

  /** What is made first asks what is made last. */
  #connect(dependencies: DependencyResolver, memoryStore: MemoryStore): void {
    const offered = this.#offered;
    const beforePush: typeof dependencies.beforePush = (task) => offered.beforePush(task);
    dependencies.beforePush = beforePush;
    const { reasons } = this;
    const onNearlyDue: typeof memoryStore.onNearlyDue = (...args) => reasons.askFor(...args);
    memoryStore.onNearlyDue = onNearlyDue;
  }

  /**
   * True while something here will still settle by itself, or a call waits: the process should stay
   * alive for it. Not for a task that fits no node and that nobody waits for.
   */
  get isWaiting(): boolean {
    if (this.#memoryStore.waitingCount > 0) return true;
    const { unfinishedCount } = this.tasks;
    if (unfinishedCount === 0) return false;
    return unfinishedCount > this.submitter.infeasibleTaskCount + this.actors.infeasibleTaskCount;
  }

  /** Calls of get and wait that have not been settled. */
  get waitingRequests(): Iterable<GetRequest> {
    return this.#memoryStore.waiting();
  }

  /** Whether a call of get or wait may have the object. */
  isReady(entry: ObjectEntry, request: GetRequest): boolean {
    return this.#memoryStore.isReady(entry, request);
  }

  /** A call of get or wait that need not wait. */
  isMet(request: GetRequest): boolean {
    return this.#memoryStore.isMet(request);
  }

  /** Why a task has not ended, as far as its owner knows; "" when there is nothing to say. */
  pendingReason(task: TaskRecord): string {
    return pendingReason(task, this);
  }

  /** What an object without an outcome, or without a copy here, waits for, for a person. */
  whyPending(entry: ObjectEntry): string {
    return whyPending(entry, this);
  }

  /** Nothing is due but another look for deadlocks: if nothing else happens, nothing will. */
  get hasOnlyProbesDue(): boolean {
    return this.#nextOfAllButProbes() === Infinity;
  }

  handle(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    this.#told.onEvent(nowMs);
    if (!this.#deaths.refuses(event)) this.#route(event, nowMs, out);
    this.#goOn(nowMs, out);
    this.#offered.flush(out);
    this.holds.flush(out);
    this.references.flush(out);
    this.#revoked.flush(out);
    this.actors.flush(out);
    if (this.drain.isAsked) this.drain.tellIfDrained(out);
    if (this.copies.hasNews) this.copies.flush(nowMs, out);
    if (this.uses.isWatching) this.uses.flush(out);
    if (this.receiver.buffers.hasNews) this.receiver.buffers.flush(nowMs);
    this.#memoryStore.endEvent();
  }

  nextDeadlineMs(): number {
    return Math.min(this.#nextOfAllButProbes(), this.deadlocks.nextDeadlineMs());
  }

  checkInvariants(): void {
    this.references.checkInvariants();
    this.grants.checkInvariants();
    this.copies.checkInvariants();
    this.submitter.checkInvariants();
    this.receiver.checkInvariants();
    this.lineage.checkInvariants();
  }

  #nextOfAllButProbes(): number {
    const { submitter, retries, copies } = this;
    const ofTasks = Math.min(submitter.nextDeadlineMs(), retries.nextDeadlineMs());
    const ofCopies = Math.min(copies.nextDeadlineMs(), this.reasons.nextDeadlineMs());
    const ofBuffers = this.receiver.buffers.nextDeadlineMs();
    const ofRest = Math.min(this.#cancellation.nextDeadlineMs(), ofCopies, ofBuffers);
    return Math.min(this.#memoryStore.nextDeadlineMs(), ofTasks, ofRest);
  }

  #route(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    switch (event.type) {
      case "submitTask":
        return this.#onSubmitTask(event.task, nowMs, out);
      case "taskReply":
        return this.#onTaskReply(event, nowMs, out);
      case "pushTask":
        this.references.watchIfFar(event.from as WorkerId, out);
        return this.receiver.onPushTask(event, out);
      case "taskFinished":
        this.deadlocks.onTaskFinished(event.task);
        return this.receiver.onTaskFinished(event, out);
      case "awaitObjects":
        return this.#onAwaitObjects(event.request, nowMs, out);
      case "submitActorTask":
        return this.actors.submit(event.actor, event.task, out);
      case "removeRefs":
        for (const entry of event.entries) this.references.dropLocalRef(entry);
        return;
      case "releaseViews":
        for (const entry of event.entries) this.views.drop(entry);
        for (const entry of event.entries) this.references.dropUse(entry);
        return;
      case "releaseUses":
        for (const entry of event.entries) this.references.dropUse(entry);
        return;
      case "taskWaiting":
        this.receiver.onTaskWaiting(event, out);
        return this.deadlocks.onTaskWaiting(event, nowMs);
      case "takenBack":
        return this.submitter.onTakenBack(event, nowMs, out);
      default:
        return this.#routeRare(event, nowMs, out);
    }
  }

  #routeRare(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    switch (event.type) {
      case "lastCopyLost":
        return this.recovery.onLastCopyLost(event, out);
      case "exceptionJudged":
        return this.retries.onExceptionJudged(event, out);
      case "putObject":
        return this.#onPutObject(event, out);
      case "subscribeObject":
        return this.#onSubscribeObject(event, out);
      case "objectState":
        return this.#onObjectState(event, out);
      case "abandonAwait":
        return this.#memoryStore.abandon(event.request, out);
      case "deadline":
        return this.#onDeadline(nowMs, out);
      case "writable":
        this.submitter.onWritable(nowMs, out);
        return this.actors.onWritable(out);
      case "buffersMoved":
        return this.receiver.onBuffersMoved(event, nowMs, out);
      case "buffersCopied":
        return this.receiver.onBuffersCopied(event, out);
      default:
        if (this.#transfers.route(event, out)) return;
        if (this.submitter.route(event, nowMs, out) || this.#routeHolds(event, out)) return;
        if (this.#routeCopies(event, nowMs, out)) return;
        if (this.#cancellation.route(event, nowMs, out)) return;
        if (this.#deaths.route(event, nowMs, out)) return;
        return this.#routeActors(event, nowMs, out);
    }
  }

  #routeHolds(event: CoreWorkerEvent, out: Out): boolean {
    if (event.type !== "holdsCreated") return this.grants.route(event, out);
    this.holds.onHoldsCreated(event);
    return true;
  }

  #routeCopies(event: CoreWorkerEvent, nowMs: number, out: Out): boolean {
    switch (event.type) {
      case "objectLocal":
        this.arrivals.onObjectLocal(event, out);
        return true;
      case "offerObjects":
        this.#offered.onOfferObjects(event, nowMs, out);
        return true;
      case "askArenaUse":
        this.uses.onAskArenaUse(event, out);
        return true;
      case "argumentsWritten":
        this.#offered.onArgumentsWritten(event, out);
        return true;
      case "revokePlaces":
        this.#revoked.onRevokePlaces(event, out);
        return true;
      case "objectsKept":
        this.seals.onObjectsKept(event, out);
        return true;
      case "releaseCopies":
        for (const { copy, user } of event.uses) this.copies.letGo(copy, user);
        return true;
      default:
        return this.references.directory.route(event, out);
    }
  }

  #routeActors(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    switch (event.type) {
      case "actorByName":
        return this.handles.onActorByName(event, out);
      case "drainActor":
        return this.drain.onDrainActor(event);
      case "constructActor":
        return this.receiver.onConstructActor(event, out);
      case "constructorFinished":
        return this.receiver.onConstructorFinished(event, out);
      case "releaseExtentCall":
        return this.references.freeExtent(event.extent);
      default:
        if (this.actors.route(event, out) || this.#state.route(event, nowMs, out)) return;
        if (this.deadlocks.probes.route(event, out) || this.reasons.route(event, out)) return;
        if (routeRequests(event, this.context, out)) return;
        assert(false, `a core worker got a message for another role: ${event.type}`);
    }
  }

  /** With what waited for something that has come. */
  #goOn(nowMs: number, out: Out): void {
    for (;;) {
      const task = this.tasks.takeResolved();
      if (task !== undefined) this.#onResolved(task, nowMs, out);
      const held = this.holds.takeReady();
      if (held !== undefined) this.#onHeld(held, out);
      if (task === undefined && held === undefined) return;
    }
  }

  #onHeld(wait: HoldWait, out: Out): void {
    const { send } = wait;
    switch (send.type) {
      case "reply":
        return this.receiver.replies.onHeld(wait, send.finished, out);
      case "constructed":
        return this.receiver.onActorHeld(send.finished, out);
      case "objectState":
        return this.tasks.onStateHeld(wait, send.entry, send.borrower, out);
      case "call":
        return this.actors.dispatch(send.client, out);
      case "found":
        return this.handles.onFound(send.found, out);
      case "joined":
        return this.actors.creation.onJoined(send.client, send.found, out);
    }
  }

  #onSubmitTask(task: TaskRecord, nowMs: number, out: Out): void {
    this.tasks.onSubmitted();
    if (this.#dependencies.resolve(task, out)) this.#onResolved(task, nowMs, out);
  }

  #onResolved(task: TaskRecord, nowMs: number, out: Out): void {
    if (task.isCancelled) return;
    if (task.actor !== null) {
      const client = this.actors.clientOfTask(task);
      if (client.creation?.task === task) this.actors.creation.onResolved(client, out);
      else this.actors.onCallResolved(client, task, out);
      return;
    }
    const failed = failedArgument(task);
    if (failed !== undefined) {
      this.tasks.finish(task, this.recovery.failureOf(task, failed), null, out);
    } else this.submitter.submit(task, nowMs, out);
  }

  #onTaskReply(reply: TaskReply, nowMs: number, out: Out): void {
    const { outcome, outcomes, keptRefs, holds } = reply;
    const from = reply.from as WorkerId;
    // Holds first: the arguments' own uses end with the reply.
    if (keptRefs !== null && from !== this.context.self) {
      for (const name of keptRefs) this.references.addHolder(name, from);
    }
    if (holds !== null) this.references.onReceivedHeld(holds, from, out);
    this.references.onReceived(outcome, from);
    if (outcomes !== null) for (const value of outcomes) this.references.onReceived(value, from);
    if (this.actors.onTaskReply(reply, out)) return;
    this.submitter.onTaskReply(reply, nowMs, out);
  }

  #onAwaitObjects(request: GetRequest, nowMs: number, out: Out): void {
    for (const entry of request.entries) {
      if (entry.state === "PENDING") this.references.subscribe(entry, out);
    }
    this.#memoryStore.add(request, nowMs, out);
  }

  #onPutObject({ entry, place }: PutObject, out: Out): void {
    const specials = specialsOf(entry.outcome);
    if (entry.outcome instanceof StoredValue) this.objects.add(entry);
    if (place !== null) this.#offered.onWritten(entry, place, out);
    if (specials.length > 0) this.references.addContained(specials);
  }

  #onSubscribeObject({ object, from }: SubscribeObject, out: Out): void {
    const borrower = from as WorkerId;
    this.references.watchIfFar(borrower, out);
    const entry =
      this.references.addHolder(object, borrower) ??
      this.references.adopt(this.context.self, object.serial, object.index);
    if (entry.state === "PENDING") addWaiter(entry, new RemoteWaiter(borrower));
    else this.tasks.sendObjectState(entry, borrower, out);
  }

  #onObjectState({ object, from, outcome, holds }: ObjectState, out: Out): void {
    const owner = from as WorkerId;
    if (holds !== null) this.references.onReceivedHeld(holds, owner, out);
    this.references.onReceived(outcome, owner);
    const entry = this.references.find(owner, object);
    const isStray = this.references.strays.take(owner, object);
    if (entry === undefined || entry.state !== "PENDING") return;
    if (isStray && outcome instanceof StoredValue && this.copies.isNear(owner, outcome)) {
      // Perhaps not what was asked for last: that is told after the next question in any case.
      if (!entry.subscribed) return;
      entry.subscribed = false;
      this.references.subscribe(entry, out);
    } else this.tasks.settle(entry, this.#revoked.asTold(entry, outcome), out);
  }

  #onDeadline(nowMs: number, out: Out): void {
    this.#memoryStore.onDeadline(nowMs, out);
    this.reasons.onDeadline(nowMs, out);
    this.copies.onDeadline(nowMs);
    this.submitter.onDeadline(nowMs, out);
    this.#cancellation.onDeadline(nowMs, out);
    this.deadlocks.onDeadline(nowMs, out);
    this.retries.onDeadline(nowMs, out);
    this.receiver.onDeadline(nowMs, out);
  }
}
