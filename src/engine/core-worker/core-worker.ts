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
import { type EngineError, engineError } from "#engine/common/error-type.ts";
import type { ActorByName, ActorKilled, NodeDied } from "#engine/protocol/gcs.ts";
import type { Machine } from "#engine/protocol/machine.ts";
import type {
  ArenaAllocated,
  ObjectState,
  ReleaseHolds,
  SubscribeObject,
} from "#engine/protocol/object.ts";
import type { ObjectLocal, SegmentFreed } from "#engine/protocol/copy.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { TaskReply } from "#engine/protocol/task.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import { objectIdHex, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { ArgumentPull } from "./argument-pulls.ts";
import { ActorSubmitter } from "./actor-submitter.ts";
import type { CoreWorkerEvent, CoreWorkerInstruction, PutObject } from "./calls.ts";
import { specialsOf } from "./contained-refs.ts";
import { DependencyResolver, failedArgument } from "./dependency-resolver.ts";
import { LocalCopies } from "./local-copies.ts";
import { addWaiter, GetRequest, MemoryStore } from "./memory-store.ts";
import { type ObjectEntry, RemoteWaiter, TaskRecord } from "./object-entry.ts";
import { ObjectSeals } from "./object-seals.ts";
import { type Out, type ProcessContext, SerialCounter } from "./process-context.ts";
import { ReferenceCounter } from "./reference-counter.ts";
import { TaskManager } from "./task-manager.ts";
import { TaskReceiver } from "./task-receiver.ts";
import { TaskSubmitter } from "./task-submitter.ts";

export class CoreWorker implements Machine<CoreWorkerEvent, CoreWorkerInstruction> {
  readonly context: ProcessContext;
  readonly serials = new SerialCounter();
  readonly references: ReferenceCounter;
  readonly tasks: TaskManager;
  readonly actors: ActorSubmitter;
  readonly submitter: TaskSubmitter;
  readonly receiver: TaskReceiver;
  /** What is read through the raylet. */
  readonly copies: LocalCopies;
  readonly seals: ObjectSeals;
  readonly #memoryStore: MemoryStore;
  readonly #dependencies: DependencyResolver;

  constructor(context: ProcessContext) {
    this.context = context;
    this.copies = new LocalCopies(context);
    this.seals = new ObjectSeals(context);
    this.#memoryStore = new MemoryStore(this.copies);
    this.references = new ReferenceCounter(context, this.seals);
    this.tasks = new TaskManager(context, this.references, this.#memoryStore);
    this.#dependencies = new DependencyResolver(this.references);
    const streamNumbers = new SerialCounter();
    const { tasks: manager, references } = this;
    const dependencies = this.#dependencies;
    const parts = { context, manager, references, dependencies, streamNumbers };
    this.submitter = new TaskSubmitter(parts);
    this.actors = new ActorSubmitter(parts);
    const { copies, seals } = this;
    this.receiver = new TaskReceiver({ context, references, copies, seals });
  }

  /**
   * True while something here will still settle by itself, or a call waits: the process should stay
   * alive for it. Not for a task that fits no node and that nobody waits for.
   */
  get isWaiting(): boolean {
    if (this.#memoryStore.waitingCount > 0) return true;
    return this.tasks.unfinishedCount > this.submitter.infeasibleTaskCount;
  }

  /** Calls of get and wait that have not been settled. */
  get waitingRequests(): Iterable<GetRequest> {
    return this.#memoryStore.waiting();
  }

  /** Whether a call of get or wait may have the object. */
  isReady(entry: ObjectEntry, request: GetRequest): boolean {
    return this.#memoryStore.isReady(entry, request);
  }

  /** Why a task has not ended, as far as its owner knows; "" when there is nothing to say. */
  pendingReason(task: TaskRecord): string {
    if (task.unresolvedCount > 0) return "waits for its arguments";
    if (task.actor !== null) return this.actors.clientOfTask(task).pendingReason;
    return this.submitter.pendingReason(task);
  }

  /** What the calls of get and wait of this process wait for, a line each, for a person. */
  waitingReasons(): string[] {
    return this.#memoryStore.pendingEntries().map((entry) => {
      const subject = objectIdHex(entry.owner, objectKey(entry.serial, entry.index));
      if (entry.state === "AVAILABLE") return `object ${subject} on another node: it is on its way`;
      if (!(entry instanceof TaskRecord)) return `object ${subject} of another process`;
      const reason = this.pendingReason(entry) || "runs, or is on its way to a worker";
      return `task ${entry.template.definition.taskName} (${subject}): ${reason}`;
    });
  }

  handle(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    if (this.#isOfTheDead(event)) this.#refuse(event);
    else this.#route(event, nowMs, out);
    for (let task = this.tasks.takeResolved(); task; task = this.tasks.takeResolved()) {
      this.#onResolved(task, nowMs, out);
    }
    this.references.flush(out);
    if (this.copies.hasNews) this.copies.flush(nowMs, out);
  }

  nextDeadlineMs(): number {
    const ofCalls = Math.min(this.#memoryStore.nextDeadlineMs(), this.submitter.nextDeadlineMs());
    return Math.min(ofCalls, this.copies.nextDeadlineMs());
  }

  checkInvariants(): void {
    this.references.checkInvariants();
    this.copies.checkInvariants();
    this.submitter.checkInvariants();
    this.receiver.checkInvariants();
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
        return this.receiver.onTaskFinished(event, out);
      case "awaitObjects":
        return this.#onAwaitObjects(event.request, out);
      case "submitActorTask":
        return this.actors.submit(event.actor, event.task, out);
      case "removeRefs":
        for (const entry of event.entries) this.references.dropLocalRef(entry);
        return;
      case "releaseViews":
        for (const entry of event.entries) this.references.dropUse(entry);
        return;
      case "taskWaiting":
        return this.receiver.onTaskWaiting(event, out);
      case "takenBack":
        return this.submitter.onTakenBack(event, nowMs, out);
      default:
        return this.#routeRare(event, nowMs, out);
    }
  }

  #routeRare(event: CoreWorkerEvent, nowMs: number, out: Out): void {
    switch (event.type) {
      case "leaseGranted":
        return this.submitter.onLeaseGranted(event, nowMs, out);
      case "leaseSpilled":
        return this.submitter.onLeaseSpilled(event, out);
      case "leasePending":
        return this.submitter.onLeasePending(event, out);
      case "leaseRefused":
        return this.submitter.onLeaseRefused(event, out);
      case "leaseRevoked":
        return this.submitter.onLeaseRevoked(event, nowMs, out);
      case "leaseDemand":
        return this.submitter.onLeaseDemand(event, out);
      case "workerDied":
        return this.#onWorkerDied(event, out);
      case "nodeDied":
        return this.#onNodeDied(event, nowMs, out);
      case "putObject":
        return this.#onPutObject(event, out);
      case "subscribeObject":
        return this.#onSubscribeObject(event, out);
      case "objectState":
        return this.#onObjectState(event, out);
      case "releaseHolds":
        return this.#onReleaseHolds(event);
      case "abandonAwait":
        return this.#memoryStore.abandon(event.request, out);
      case "deadline":
        return this.#onDeadline(nowMs, out);
      case "writable":
        this.submitter.onWritable(nowMs, out);
        return this.actors.onWritable(out);
      default:
        return this.#routeCopies(event, out);
    }
  }

  #routeCopies(event: CoreWorkerEvent, out: Out): void {
    const { directory } = this.references;
    switch (event.type) {
      case "objectLocal":
        return this.#onObjectLocal(event, out);
      case "objectsKept":
        return this.seals.onObjectsKept(event, out);
      case "locateObject":
        return directory.onLocateObject(event, out);
      case "copyAdded":
        return directory.onCopyAdded(event);
      case "copyGone":
        return directory.onCopyGone(event, out);
      case "copyPinned":
        return directory.onCopyPinned(event, out);
      case "segmentFreed":
        return this.#onSegmentFreed(event, out);
      case "releaseCopies":
        for (const { copy, user } of event.uses) this.copies.letGo(copy, user);
        return;
      default:
        return this.#routeActors(event, out);
    }
  }

  #routeActors(event: CoreWorkerEvent, out: Out): void {
    const from = this.context.self;
    switch (event.type) {
      case "createActorCall":
        return this.actors.create(event.actor, out);
      case "actorRegistered":
        return this.actors.onActorRegistered(event, out);
      case "actorState":
        return this.actors.onActorState(event, out);
      case "constructActor":
        return this.receiver.onConstructActor(event, out);
      case "constructorFinished":
        return this.receiver.onConstructorFinished(event, out);
      case "killActorCall": {
        const { requestId, actorId, reason } = event;
        return out.send(this.context.gcs, { type: "killActor", from, requestId, actorId, reason });
      }
      case "actorKilled":
        return this.#onActorKilled(event, out);
      case "getActorByNameCall": {
        const { requestId, name, namespace } = event;
        return out.send(this.context.gcs, {
          type: "getActorByName",
          from,
          requestId,
          name,
          namespace,
        });
      }
      case "actorByName":
        return this.#onActorByName(event, out);
      case "allocateCall": {
        const { requestId, size } = event;
        return out.send(this.context.raylet, { type: "allocateArena", from, requestId, size });
      }
      case "releaseExtentCall":
        return this.references.freeExtent(event.extent);
      case "arenaAllocated":
        return this.#onArenaAllocated(event, out);
      default:
        assert(false, `a core worker got a message for another role: ${event.type}`);
    }
  }

  #onSubmitTask(task: TaskRecord, nowMs: number, out: Out): void {
    this.tasks.onSubmitted();
    if (this.#dependencies.resolve(task, out)) this.#onResolved(task, nowMs, out);
  }

  #onResolved(task: TaskRecord, nowMs: number, out: Out): void {
    if (task.actor !== null) {
      const client = this.actors.clientOfTask(task);
      if (client.creation?.task === task) this.actors.onCreationResolved(client, out);
      else this.actors.dispatch(client, out);
      return;
    }
    const failed = failedArgument(task);
    if (failed !== undefined) this.tasks.finish(task, failed, null, out);
    else this.submitter.submit(task, nowMs, out);
  }

  #onTaskReply(reply: TaskReply, nowMs: number, out: Out): void {
    const { outcome, outcomes, keptRefs } = reply;
    const from = reply.from as WorkerId;
    // Holds first: the arguments' own uses end with the reply.
    if (keptRefs !== null && from !== this.context.self) {
      for (const name of keptRefs) this.references.addHolder(name, from);
    }
    this.references.onReceived(outcome, from);
    if (outcomes !== null) for (const value of outcomes) this.references.onReceived(value, from);
    if (this.actors.onTaskReply(reply, out)) return;
    this.submitter.onTaskReply(reply, nowMs, out);
  }

  /** After the death of a process nothing of it counts, whichever way it took. */
  #isOfTheDead(event: CoreWorkerEvent): boolean {
    const { ended } = this.references;
    return ended.size > 0 && "from" in event && ended.has(event.from);
  }

  /** What it stored for us goes. */
  #refuse(event: CoreWorkerEvent): void {
    if (event.type !== "taskReply") return;
    this.references.discard(event.outcome);
    for (const value of event.outcomes ?? []) this.references.discard(value);
  }

  #onAwaitObjects(request: GetRequest, out: Out): void {
    for (const entry of request.entries) {
      if (entry.state === "PENDING") this.references.subscribe(entry, out);
    }
    this.#memoryStore.add(request, out);
  }

  #onPutObject({ entry }: PutObject, out: Out): void {
    const specials = specialsOf(entry.outcome);
    if (specials.length > 0) this.references.addContained(specials, out);
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

  #onObjectState({ object, from, outcome }: ObjectState, out: Out): void {
    const owner = from as WorkerId;
    this.references.onReceived(outcome, owner);
    const entry = this.references.find(owner, object);
    if (entry !== undefined) this.tasks.settle(entry, outcome, out);
  }

  #onSegmentFreed({ segment }: SegmentFreed, out: Out): void {
    out.instruct({ type: "dropSegment", segment });
  }

  /** A copy is here, or never will be: told to all who wait for it. */
  #onObjectLocal(event: ObjectLocal, out: Out): void {
    const arrival = this.copies.arrive(event);
    if (arrival === undefined) return;
    const { copy, outcome } = arrival;
    const entry = this.references.find(copy.owner, copy);
    const noRoom = outcome instanceof FailedValue && outcome.error.type === "OBJECT_STORE_FULL";
    const isStored = outcome instanceof StoredValue;
    if (entry?.outcome instanceof StoredValue && !isStored && !noRoom) {
      this.references.revise(entry, outcome, out);
    }
    for (const [user, count] of [...copy.users]) {
      if (user instanceof ArgumentPull) this.receiver.onArgument(user, copy, outcome, out);
      if (!(user instanceof GetRequest) || entry === undefined) continue;
      for (let i = 0; i < count; i++) {
        if (noRoom) this.#memoryStore.noRoom(user, entry, outcome, out);
        else this.#memoryStore.wake(user, entry, out);
      }
    }
  }

  #onReleaseHolds({ objects, from }: ReleaseHolds): void {
    for (const name of objects) this.references.dropHolder(name, from as WorkerId);
  }

  #onActorKilled({ requestId }: ActorKilled, out: Out): void {
    out.instruct({ type: "killed", requestId });
  }

  #onActorByName({ requestId, actorId, className }: ActorByName, out: Out): void {
    out.instruct({ type: "found", requestId, actorId, className });
  }

  #onArenaAllocated({ requestId, segment, offset, error }: ArenaAllocated, out: Out): void {
    out.instruct({ type: "allocated", requestId, segment, offset, error });
  }

  #onWorkerDied({ workerId, error }: WorkerDied, out: Out): void {
    if (!this.references.ended.has(workerId)) this.#endPeer(workerId, error, out);
  }

  #onNodeDied({ nodeId, reason }: NodeDied, nowMs: number, out: Out): void {
    if (!this.references.ended.addNode(nodeId, reason)) return;
    const error = engineError("NODE_DIED", reason, nodeId);
    for (const peer of this.references.peersOn(nodeId)) this.#endPeer(peer, error, out);
    this.references.directory.onNodeDied(nodeId, reason, out);
    this.actors.onNodeDied(nodeId);
    this.submitter.onNodeDied(nodeId, error, nowMs, out);
  }

  #endPeer(workerId: WorkerId, error: EngineError, out: Out): void {
    const lost = this.references.onWorkerDied(workerId, error);
    for (const entry of lost) this.tasks.wakeWaiters(entry, out);
    this.receiver.onWorkerDied(workerId);
    this.submitter.onWorkerDied(workerId);
    this.actors.onWorkerDied(workerId);
    out.instruct({ type: "forgetPeer", workerId });
  }

  #onDeadline(nowMs: number, out: Out): void {
    this.#memoryStore.onDeadline(nowMs, out);
    this.copies.onDeadline(nowMs);
    this.submitter.onDeadline(nowMs, out);
  }
}
