/**
 * Actors at their callers: calls straight to the actor's worker, in order. How they are made is
 * ActorCreation's.
 *
 * State:  one client an actor that this process knows; calls wait in the client until the actor is
 *         alive and their arguments are there; seq is given when a call is sent.
 * In/out: submitActorTask, ActorState, TaskReply, actors out of scope → ActorOutOfScope,
 *         SubscribeActor, PushTask, outcomes.
 * Bounds: ≤ pipelineDepthMax calls in flight a stream; the rest waits in the caller.
 * Errors: calls of a dead actor end with its true cause of death; a failed argument costs its call
 *         only.
 * Source: Ray actor_task_submitter; protocols §4 Actor.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import {
  type ActorId,
  type Address,
  type NodeId,
  nodeIdOf,
  type WorkerId,
} from "#engine/common/ids.ts";
import type { ActorState } from "#engine/protocol/gcs.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import { ownOutcome } from "#engine/protocol/own-value.ts";
import type { TaskReply } from "#engine/protocol/task.ts";
import { ActorClient, ActorStream } from "./actor-client.ts";
import { ActorCreation } from "./actor-creation.ts";
import type { ActorHandles } from "./actor-handles.ts";
import { CallHolds } from "./call-holds.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import { type DependencyResolver, failedArgument } from "./dependency-resolver.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { heldRefs } from "./hold-wait.ts";
import type { TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext, SerialCounter } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";

export class ActorSubmitter {
  readonly #context: ProcessContext;
  readonly #manager: TaskManager;
  readonly #dependencies: DependencyResolver;
  readonly #references: ReferenceCounter;
  readonly #holds: CallHolds;
  readonly #handles: ActorHandles;
  readonly #streamNumbers: SerialCounter;
  readonly creation: ActorCreation;
  /** Of actors that are not known to be dead. */
  readonly clients = new Map<ActorId, ActorClient>();
  readonly #streams = new Map<number, ActorStream>();
  /** Those that no node could ever have, as the nodes are now. */
  readonly #infeasible = new Set<ActorClient>();

  constructor(parts: {
    context: ProcessContext;
    manager: TaskManager;
    dependencies: DependencyResolver;
    references: ReferenceCounter;
    holds: HoldMaker;
    handles: ActorHandles;
    streamNumbers: SerialCounter;
  }) {
    this.#context = parts.context;
    this.#manager = parts.manager;
    this.#dependencies = parts.dependencies;
    this.#holds = new CallHolds(parts.dependencies, parts.holds);
    this.#references = parts.references;
    this.#handles = parts.handles;
    this.#streamNumbers = parts.streamNumbers;
    this.creation = new ActorCreation({ ...parts, known: this });
  }

  /** The client of an actor that a handle names. */
  clientOf(actorId: ActorId, className: string, isDetached: boolean): ActorClient {
    let client = this.clients.get(actorId);
    if (client === undefined) {
      client = new ActorClient({ actorId, className, isDetached });
      this.clients.set(actorId, client);
    }
    return client;
  }

  /** Calls and creations that no node could ever serve, as the nodes are now. */
  get infeasibleTaskCount(): number {
    let count = 0;
    for (const { calls, creation } of this.#infeasible) {
      count += calls.size + (creation?.task.state === "PENDING" ? 1 : 0);
    }
    return count;
  }

  clientOfTask(task: TaskRecord): ActorClient {
    assert(task.actor instanceof ActorClient, "the task is for an actor");
    return task.actor;
  }

  /** Calls that have no outcome, and creations. */
  *unfinished(): IterableIterator<TaskRecord> {
    for (const client of this.clients.values()) {
      if (client.creation?.task.state === "PENDING") yield client.creation.task;
      yield* client.calls;
      for (const { task } of client.stream?.inFlight() ?? []) yield task;
    }
  }

  /** Those whose arguments were told: calls under way, and creations, which nobody takes back. */
  *pushed(): IterableIterator<TaskRecord> {
    for (const { creation, stream } of this.clients.values()) {
      if (creation?.task.state === "PENDING") yield creation.task;
      for (const { task } of stream?.inFlight() ?? []) yield task;
    }
  }

  /** False for what is of no concern to actors at their callers. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    switch (event.type) {
      case "createActorCall":
        this.creation.onCreate(event.actor, out);
        return true;
      case "actorRegistered":
        this.creation.onActorRegistered(event, out);
        return true;
      case "actorState":
        this.onActorState(event, out);
        return true;
      default:
        return false;
    }
  }

  submit(called: ActorClient, task: TaskRecord, out: Out): void {
    const client = called.standsFor ?? called;
    task.actor = client;
    this.#manager.onSubmitted();
    this.#handles.onCallSubmitted(client);
    const ready = this.#dependencies.resolve(task, out);
    client.calls.push(task);
    if (ready && task.refs !== null) this.#holds.askAhead(client, task);
    if (client.death !== null) this.#failCalls(client, out);
    else if (client.stream === null) this.subscribe(client, out);
    else if (ready) this.dispatch(client, out);
  }

  /** The last missing argument of the call has come. */
  onCallResolved(client: ActorClient, task: TaskRecord, out: Out): void {
    this.#holds.askAhead(client, task);
    this.dispatch(client, out);
  }

  dispatch(client: ActorClient, out: Out): void {
    const { stream, calls } = client;
    const { pipelineDepthMax } = this.#context.config;
    for (;;) {
      const task = calls.peek();
      if (task === undefined || task.unresolvedCount > 0) return;
      const failed = failedArgument(task);
      if (failed !== undefined) {
        calls.shift();
        this.#holds.abandon(client, task);
        this.#manager.finish(task, failed, null, out);
        continue;
      }
      if (stream === null || stream.hasEnded) return;
      if (stream.inFlightCount >= pipelineDepthMax || out.isCongested(stream.workerId)) return;
      const wait = task.refs === null ? null : this.#holds.of(client, stream, task);
      // Those behind wait with it: calls of one caller are in order.
      if (wait !== null && wait.missingCount > 0) return;
      calls.shift();
      this.#push(stream, task, heldRefs(wait), out);
    }
  }

  /** Actors whose last handle has gone in this event. */
  flush(out: Out): void {
    for (;;) {
      const actorId = this.#handles.takeOutOfScope();
      if (actorId === undefined) return;
      const client = this.clients.get(actorId);
      if (client !== undefined && client.death !== null) this.clients.delete(actorId);
      // Of the dead it knows.
      const isUnmade = this.creation.takeUnmade(actorId);
      if (!isUnmade && (client === undefined || client.death !== null)) continue;
      this.tellOutOfScope(actorId, out);
    }
  }

  tellOutOfScope(actorId: ActorId, out: Out): void {
    out.send(this.#context.gcs, { type: "actorOutOfScope", from: this.#context.self, actorId });
  }

  /** The calls of a client that stands for another go with that one's, as they were made. */
  moveCalls(from: ActorClient, to: ActorClient, out: Out): void {
    const moved = from.calls.takeAll();
    for (const task of moved) task.actor = to;
    this.#handles.moveCalls(from, to, moved.length);
    const both = [...to.calls.takeAll(), ...moved].sort((a, b) => a.serial - b.serial);
    for (const task of both) to.calls.push(task);
    for (const task of moved) {
      if (task.refs !== null && task.unresolvedCount === 0) this.#holds.askAhead(to, task);
    }
    this.dispatch(to, out);
  }

  /** A call that is over before it was submitted: it is counted like the others. */
  onUnsubmitted(task: TaskRecord): void {
    this.#handles.onCallSubmitted(this.clientOfTask(task));
  }

  onActorState(message: ActorState, out: Out): void {
    const client = this.clients.get(message.actorId);
    if (client !== undefined) this.#apply(client, message, out);
  }

  /** True when the reply belonged to an actor's stream. */
  onTaskReply(reply: TaskReply, out: Out): boolean {
    const stream = this.#streams.get(reply.stream);
    if (stream === undefined || stream.workerId !== reply.from) return false;
    const task = stream.remove(reply.seq);
    if (task === undefined) return true;
    stream.definitionsKnown.add(task.template.functionNumber);
    stream.client.holds?.delete(task);
    this.#manager.finish(task, reply.outcome, reply.outcomes, out);
    if (stream.client.calls.size > 0) this.dispatch(stream.client, out);
    return true;
  }

  // ------------------------------------------------------------ cancelled calls

  /** A call in flight on a stream of ours. */
  findPushed(stream: number, seq: number, from: Address): TaskRecord | undefined {
    const known = this.#streams.get(stream);
    return known?.workerId === from ? known.find(seq) : undefined;
  }

  /** Marked as cancelled while it waited here: those behind it may go. */
  onQueuedCancelled(task: TaskRecord, out: Out): void {
    const client = this.clientOfTask(task);
    client.calls.onCancelled(task);
    this.#holds.abandon(client, task);
    this.dispatch(client, out);
  }

  /** Cancelled, and its frame had back: the actor never sees it, and confirms nothing. */
  onRetracted(task: TaskRecord, out: Out): void {
    const client = this.clientOfTask(task);
    this.#holds.abandon(client, task);
    this.dispatch(client, out);
  }

  onWorkerDied(workerId: WorkerId): void {
    for (const stream of this.#streams.values()) {
      if (stream.workerId === workerId) stream.hasEnded = true;
    }
  }

  onNodeDied(nodeId: NodeId): void {
    for (const stream of this.#streams.values()) {
      if (nodeIdOf(stream.workerId) === nodeId) stream.hasEnded = true;
    }
  }

  onWritable(out: Out): void {
    for (const stream of this.#streams.values()) this.dispatch(stream.client, out);
  }

  #push(stream: ActorStream, task: TaskRecord, holds: readonly HeldRef[] | null, out: Out): void {
    const { template } = task;
    const known = stream.definitionsKnown.has(template.functionNumber);
    const values = this.#dependencies.exportArguments(task, stream.workerId);
    const position = out.sendTask(stream.workerId, {
      type: "pushTask",
      from: this.#context.self,
      stream: stream.stream,
      seq: stream.nextSeq,
      serial: task.serial,
      attempt: task.attempt,
      depth: task.depth,
      functionNumber: template.functionNumber,
      definition: known ? null : template.definition,
      args: task.args,
      values,
      gpuIds: null,
      holds,
      // A method has no such option.
      hasBuffers: false,
    });
    stream.add(task, position);
  }

  subscribe(client: ActorClient, out: Out): void {
    if (client.subscribed) return;
    client.subscribed = true;
    const { actorId } = client;
    out.send(this.#context.gcs, { type: "subscribeActor", from: this.#context.self, actorId });
  }

  #apply(client: ActorClient, message: ActorState, out: Out): void {
    if (message.version <= client.version || client.death !== null) return;
    client.version = message.version;
    client.pendingReason = message.pendingReason;
    if (message.infeasible) this.#infeasible.add(client);
    else this.#infeasible.delete(client);
    if (message.state === "DEAD") {
      const { death } = message;
      const fallback = engineError("ACTOR_DIED", `actor ${client.className} is dead`);
      this.onDead(client, new FailedValue(death?.error ?? fallback, death?.cause ?? null), out);
      return;
    }
    if (message.state !== "ALIVE" || message.workerId === null) return;
    if (client.stream?.workerId === message.workerId) return;
    const stream = new ActorStream(this.#streamNumbers.take(), message.workerId, client);
    stream.hasEnded = this.#references.ended.has(message.workerId);
    this.#references.watchIfFar(message.workerId, out);
    client.stream = stream;
    this.#streams.set(stream.stream, stream);
    this.endCreation(client, out);
    for (const task of client.calls) {
      if (task.refs !== null && task.unresolvedCount === 0) this.#holds.askAhead(client, task);
    }
    this.dispatch(client, out);
  }

  onDead(client: ActorClient, cause: FailedValue, out: Out): void {
    // Kept for calls to come; the bytes of its message are only lent.
    const death = ownOutcome(cause) as FailedValue;
    client.death = death;
    // A handle that comes later asks anew: the GCS remembers the dead.
    this.clients.delete(client.actorId);
    this.endCreation(client, out);
    const { stream } = client;
    if (stream !== null) {
      client.stream = null;
      this.#streams.delete(stream.stream);
      for (const { task } of [...stream.inFlight()]) {
        stream.remove(task.seq);
        this.#references.untaken.giveUp(task, stream.workerId);
        client.holds?.delete(task);
        this.#manager.finish(task, death, null, out);
      }
    }
    this.#failCalls(client, out);
  }

  #failCalls(client: ActorClient, out: Out): void {
    const { death, calls } = client;
    if (death === null) return;
    for (let task = calls.shift(); task !== undefined; task = calls.shift()) {
      task.unresolvedCount = 0;
      this.#holds.abandon(client, task);
      this.#manager.finish(task, failedArgument(task) ?? death, null, out);
    }
  }

  /** The creation is no longer something that this process waits for. */
  endCreation(client: ActorClient, out: Out): void {
    const task = client.creation?.task;
    if (task === undefined || task.state !== "PENDING") return;
    task.unresolvedCount = 0;
    this.#manager.finish(task, undefined, null, out);
  }
}
