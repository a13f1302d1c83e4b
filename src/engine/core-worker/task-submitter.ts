/**
 * Normal tasks at their owner: queue by scheduling key → lease a worker → push, several ahead →
 * take back what has not started when another worker is idle → give the lease back.
 *
 * State:  one queue a key in use; leases in HeldLeases. A queue without tasks, leases and requests
 *         is gone.
 * In/out: submitted tasks, LeaseGranted, LeaseSpilled, LeasePending, LeaseRefused, LeaseRevoked,
 *         LeaseDemand, TaskReply, TakenBack, deaths of nodes → requests, PushTask, outcomes.
 * Bounds: ≤ pendingLeaseRequestsMax requests a key, ≤ pipelineDepthMax tasks a lease. On a lease of
 *         another node a task without a retry left goes alone: nobody could tell whether it had
 *         started.
 * Errors: a started task whose worker died goes to TaskRetries with the raylet's reason; unstarted
 *         ones move at no cost.
 * Source: Ray normal_task_submitter; protocols §4 Task attempt; decisions 7, 8.
 */
import { assert } from "#engine/common/assert.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  LeaseDemand,
  LeaseGranted,
  LeasePending,
  LeaseRefused,
  LeaseRevoked,
  LeaseSpilled,
} from "#engine/protocol/lease.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { TakenBack, TaskReply } from "#engine/protocol/task.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import type { TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext, SerialCounter } from "./process-context.ts";
import type { DependencyResolver } from "./dependency-resolver.ts";
import { HeldLeases } from "./held-leases.ts";
import { KnownDefinitions } from "./known-definitions.ts";
import {
  fullestLease,
  isTooShortToShare,
  isWorthMoving,
  pipelineDepth,
  workersWanted,
} from "./lease-policy.ts";
import { LeaseRequests } from "./lease-requests.ts";
import { LeaseStream, type SchedulingQueue } from "./scheduling-queue.ts";
import { SchedulingQueues } from "./scheduling-queues.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";
import { hasRetryLeft, type TaskRetries } from "./task-retries.ts";

export class TaskSubmitter {
  readonly #context: ProcessContext;
  readonly #manager: TaskManager;
  readonly #dependencies: DependencyResolver;
  readonly #references: ReferenceCounter;
  readonly #retries: TaskRetries;
  readonly #requests: LeaseRequests;
  readonly #queues = new SchedulingQueues();
  readonly #leases: HeldLeases;
  /** Whose requests no node can meet. */
  readonly #infeasible = new Set<SchedulingQueue>();
  readonly #definitionsKnown = new KnownDefinitions();

  constructor(parts: {
    context: ProcessContext;
    manager: TaskManager;
    dependencies: DependencyResolver;
    references: ReferenceCounter;
    retries: TaskRetries;
    streamNumbers: SerialCounter;
  }) {
    this.#context = parts.context;
    this.#manager = parts.manager;
    this.#dependencies = parts.dependencies;
    this.#references = parts.references;
    this.#retries = parts.retries;
    this.#leases = new HeldLeases(parts.context.config);
    this.#requests = new LeaseRequests(parts.context, parts.streamNumbers);
  }

  submit(task: TaskRecord, nowMs: number, out: Out): void {
    const queue = this.#queues.of(task);
    queue.tasks.push(task);
    this.#dispatch(queue, nowMs, out);
  }

  /** False for what is of no concern to leases. */
  route(event: CoreWorkerEvent, nowMs: number, out: Out): boolean {
    switch (event.type) {
      case "leaseGranted":
        this.onLeaseGranted(event, nowMs, out);
        return true;
      case "leaseSpilled":
        this.onLeaseSpilled(event, out);
        return true;
      case "leasePending":
        this.onLeasePending(event, out);
        return true;
      case "leaseRefused":
        this.onLeaseRefused(event, out);
        return true;
      case "leaseRevoked":
        this.onLeaseRevoked(event, nowMs, out);
        return true;
      case "leaseDemand":
        this.onLeaseDemand(event, out);
        return true;
      default:
        return false;
    }
  }

  onLeaseGranted(message: LeaseGranted, nowMs: number, out: Out): void {
    const { leaseId, workerId, gpuIds } = message;
    if (this.#leases.get(leaseId) !== undefined) return;
    const queue = this.#requests.queueOf(leaseId);
    if (queue === undefined) {
      this.#requests.release(leaseId, message.from, out);
      return;
    }
    this.#requests.close(leaseId, queue);
    this.#infeasible.delete(queue);
    this.#references.watchIfFar(workerId, out);
    const isFar = !this.#references.isOfThisNode(workerId);
    const lease = new LeaseStream({ leaseId, workerId, queue, gpuIds, isFar, nowMs });
    const { functionNumber } = queue.template;
    lease.definitionKnown = this.#definitionsKnown.has(workerId, functionNumber);
    this.#leases.add(lease);
    if (queue.tasks.size === 0) this.#steal(lease, out);
    this.#pushAll(queue, nowMs, out);
    if (lease.inFlightCount > 0) {
      this.#adjustRequests(queue, out);
      return;
    }
    // It came too late: nor would another find anything to do.
    this.#cancelRequests(queue, out);
    this.#onIdle(lease, nowMs, out);
  }

  onLeasePending({ leaseId, reason, infeasible }: LeasePending, out: Out): void {
    const queue = this.#requests.queueOf(leaseId);
    const request = queue?.requests.get(leaseId);
    if (queue === undefined || request === undefined) return;
    request.reason = reason;
    if (infeasible) this.#infeasible.add(queue);
    else this.#infeasible.delete(queue);
    // What another key of ours holds without need may be what this one waits for.
    this.releaseIdle(out, queue);
  }

  /** That node has room where the one that was asked has none: the next hop is a new request. */
  onLeaseSpilled({ leaseId, nodeId }: LeaseSpilled, out: Out): void {
    const queue = this.#requests.queueOf(leaseId);
    if (queue === undefined) return;
    this.#requests.close(leaseId, queue);
    this.#requests.ask(queue, nodeId, out);
  }

  /** No worker will ever come: the tasks of the key end with the reason. */
  onLeaseRefused({ leaseId, error }: LeaseRefused, out: Out): void {
    const queue = this.#requests.queueOf(leaseId);
    if (queue === undefined) return;
    this.#requests.close(leaseId, queue);
    for (let task = queue.tasks.shift(); task !== undefined; task = queue.tasks.shift()) {
      this.#retries.fail(task, error, "", out);
    }
    this.#cancelRequests(queue, out);
    this.#dropIfUnused(queue);
  }

  onLeaseRevoked({ leaseId, error }: LeaseRevoked, nowMs: number, out: Out): void {
    const lease = this.#leases.get(leaseId);
    if (lease !== undefined) this.#endRevoked(lease, error, nowMs, out);
  }

  #endRevoked(lease: LeaseStream, error: EngineError, nowMs: number, out: Out): void {
    const { queue } = lease;
    const unstarted: TaskRecord[] = [];
    for (const { task, framePosition } of [...lease.inFlight()]) {
      lease.remove(task.seq);
      queue.inFlightCount -= 1;
      const isUnstarted = !lease.isFar && out.retract(lease.workerId, framePosition);
      if (isUnstarted && !task.isCancelled) {
        unstarted.push(task);
        continue;
      }
      // First: the next attempt stores under another version.
      this.#references.untaken.giveUp(task, lease.workerId);
      this.#retries.onWorkerLost(task, error, nowMs, out);
    }
    for (const task of unstarted.reverse()) queue.tasks.unshift(task);
    this.#leases.forget(lease);
    this.#dispatch(queue, nowMs, out);
    this.#dropIfUnused(queue);
  }

  onLeaseDemand(message: LeaseDemand, out: Out): void {
    if (this.#leases.onDemand(message)) this.releaseIdle(out, null);
  }

  /** Its workers and its raylet: what ran there fails, what was asked of it is asked anew. */
  onNodeDied(nodeId: NodeId, error: EngineError, nowMs: number, out: Out): void {
    this.#leases.forgetDemand(nodeId);
    this.#definitionsKnown.forgetNode(nodeId);
    for (const lease of this.#leases.ofNode(nodeId)) this.#endRevoked(lease, error, nowMs, out);
    for (const queue of [...this.#queues.values()]) {
      this.#requests.moveFrom(nodeId, queue, out);
    }
  }

  onTaskReply(reply: TaskReply, nowMs: number, out: Out): void {
    const lease = this.#leases.find(reply.stream, reply.from);
    if (lease === undefined) {
      this.#retries.refuse(reply);
      return;
    }
    const task = lease.remove(reply.seq);
    if (task === undefined) return;
    const { queue } = lease;
    queue.inFlightCount -= 1;
    if (!task.isCancelled) queue.addDuration(reply.durationMs);
    if (!lease.definitionKnown) this.#noteDefinition(lease);
    lease.blocked = false;
    const { outcome, outcomes } = reply;
    const isTaken = outcome instanceof FailedValue && this.#retries.onFailed(task, outcome, out);
    if (!isTaken) this.#manager.finish(task, outcome, outcomes, out);
    this.refill(lease, nowMs, out);
  }

  onWorkerDied(workerId: WorkerId): void {
    this.#definitionsKnown.forget(workerId);
  }

  onTakenBack({ stream, seqs, from }: TakenBack, nowMs: number, out: Out): void {
    const lease = this.#leases.find(stream, from);
    if (lease === undefined) return;
    lease.blocked = true;
    const { queue } = lease;
    for (const seq of [...seqs].reverse()) {
      const task = lease.remove(seq);
      if (task === undefined) continue;
      queue.inFlightCount -= 1;
      if (task.isCancelled) this.#manager.finish(task, undefined, null, out);
      else queue.tasks.unshift(task);
    }
    this.#dispatch(queue, nowMs, out);
  }

  /** A task in flight on a lease of ours. */
  findPushed(stream: number, seq: number, from: Address): TaskRecord | undefined {
    return this.#leases.find(stream, from)?.find(seq);
  }

  /** Marked as cancelled while it stood in its queue. */
  onQueuedCancelled(task: TaskRecord, out: Out): void {
    const queue = this.#queues.of(task);
    queue.tasks.onCancelled(task);
    this.#adjustRequests(queue, out);
    this.#dropIfUnused(queue);
  }

  /** Links with room again: go on pushing. */
  onWritable(nowMs: number, out: Out): void {
    for (const queue of [...this.#queues.values()]) {
      this.#dispatch(queue, nowMs, out);
      for (const lease of [...queue.leases]) {
        const isLeft = queue.tasks.size > 0 && lease.inFlightCount === 0;
        if (isLeft) this.#onIdle(lease, nowMs, out);
      }
    }
  }

  nextDeadlineMs(): number {
    return this.#leases.nextDeadlineMs();
  }

  onDeadline(nowMs: number, out: Out): void {
    for (let lease = this.#leases.takeIdle(nowMs); lease; lease = this.#leases.takeIdle(nowMs)) {
      this.#release(lease, out);
      // What it did not take in all that time needs another.
      if (lease.queue.tasks.size > 0) this.#adjustRequests(lease.queue, out);
    }
  }

  /** Why this task waits for a worker; "" when it does not or nothing is known. */
  pendingReason(task: TaskRecord): string {
    if (task.stream !== null) return "";
    return this.#queues.find(task)?.pendingReason() ?? "";
  }

  /** Tasks that no node could ever run, as the nodes are now. */
  get infeasibleTaskCount(): number {
    let count = 0;
    for (const queue of this.#infeasible) count += queue.tasks.size;
    return count;
  }

  /** Those that wait for a worker, and those that were sent to one. */
  *unfinished(): IterableIterator<TaskRecord> {
    for (const queue of this.#queues.values()) yield* queue.tasks;
    yield* this.pushed();
  }

  *pushed(): IterableIterator<TaskRecord> {
    for (const lease of this.#leases.all()) for (const { task } of lease.inFlight()) yield task;
  }

  /** Held, for tests and the state api. */
  get leaseCount(): number {
    return this.#leases.size;
  }

  get heldLeases(): Iterable<LeaseStream> {
    return this.#leases.all();
  }

  releaseIdle(out: Out, except: SchedulingQueue | null): void {
    for (const lease of this.#leases.spare(except)) this.#release(lease, out);
  }

  checkInvariants(): void {
    const { pipelineDepthMax } = this.#context.config;
    for (const queue of this.#queues.values()) {
      assert(!queue.isUnused, "an unused queue is gone");
      queue.tasks.checkInvariants();
      let ofLeases = 0;
      for (const { inFlightCount } of queue.leases) {
        assert(
          inFlightCount <= Math.max(1, pipelineDepthMax),
          "a lease has no more tasks than it may have",
        );
        ofLeases += inFlightCount;
      }
      assert(ofLeases === queue.inFlightCount, "tasks in flight are counted");
    }
    this.#requests.checkInvariants(this.#queues.values());
  }

  #dispatch(queue: SchedulingQueue, nowMs: number, out: Out): void {
    this.#pushAll(queue, nowMs, out);
    this.#adjustRequests(queue, out);
  }

  /** As far as the leases have room, the emptiest first. */
  #pushAll(queue: SchedulingQueue, nowMs: number, out: Out): void {
    const { tasks, leases } = queue;
    const oneWillDo = isTooShortToShare(queue);
    for (let task = tasks.peek(); task !== undefined; task = tasks.peek()) {
      let best: LeaseStream | undefined;
      for (const lease of leases) {
        if (!this.#hasRoom(lease, task, nowMs, out)) continue;
        if (best === undefined || lease.inFlightCount < best.inFlightCount) best = lease;
        if (oneWillDo) break;
      }
      if (best === undefined) break;
      this.#push(best, tasks.shift() as TaskRecord, out);
    }
  }

  /** A place on the lease is free. */
  refill(lease: LeaseStream, nowMs: number, out: Out): void {
    const { queue } = lease;
    if (queue.tasks.size > 0 && isTooShortToShare(queue) && lease !== queue.leases[0]) {
      this.#pushAll(queue, nowMs, out);
    } else if (queue.tasks.size > 0) {
      for (let task = queue.tasks.peek(); task !== undefined; task = queue.tasks.peek()) {
        if (!this.#hasRoom(lease, task, nowMs, out)) break;
        this.#push(lease, queue.tasks.shift() as TaskRecord, out);
      }
    }
    if (lease.inFlightCount > 0) return;
    if (queue.tasks.size === 0) this.#steal(lease, out);
    const stolen = queue.tasks.size > 0;
    if (stolen) this.#dispatch(queue, nowMs, out);
    if (lease.inFlightCount === 0) this.#onIdle(lease, nowMs, out);
    if (!stolen) this.#adjustRequests(queue, out);
  }

  #push(lease: LeaseStream, task: TaskRecord, out: Out): void {
    const { template } = task;
    const values = this.#dependencies.exportArguments(task, lease.workerId);
    const position = out.sendTask(lease.workerId, {
      type: "pushTask",
      from: this.#context.self,
      stream: lease.stream,
      seq: lease.nextSeq,
      serial: task.serial,
      attempt: task.attempt,
      depth: task.depth,
      functionNumber: template.functionNumber,
      definition: lease.definitionKnown ? null : template.definition,
      args: task.args,
      values,
      gpuIds: lease.gpuIds,
      holds: null,
      hasBuffers: task.transferred !== null,
    });
    lease.add(task, position);
    lease.queue.inFlightCount += 1;
  }

  // oxlint-disable-next-line max-params -- a task, where it would go, and when.
  #hasRoom(lease: LeaseStream, task: TaskRecord, nowMs: number, out: Out): boolean {
    const { config } = this.#context;
    if (lease.blocked || lease.inFlightCount >= pipelineDepth(lease.queue, config)) return false;
    // Its death is told before its leases have been ended.
    const { ended } = this.#references;
    if (ended.size > 0 && ended.has(lease.workerId)) return false;
    if (lease.isFar && lease.inFlightCount > 0 && !hasRetryLeft(task)) return false;
    const turnIsOver = nowMs - lease.grantedAtMs > config.leaseTurnMs;
    if (turnIsOver && this.#somebodyWaits(lease)) return false;
    return !out.isCongested(lease.workerId);
  }

  /** Another owner waits for a worker of that node, or another key of this one for any. */
  #somebodyWaits(lease: LeaseStream): boolean {
    if (this.#leases.isWanted(lease)) return true;
    if (this.#queues.size === 1) return false;
    for (const other of this.#queues.values()) {
      if (other !== lease.queue && other.pendingReason() !== "") return true;
    }
    return false;
  }

  #noteDefinition(lease: LeaseStream): void {
    lease.definitionKnown = true;
    this.#definitionsKnown.add(lease.workerId, lease.queue.template.functionNumber);
  }

  /** Takes back the newer half of what the fullest lease of the key has not started. */
  #steal(thief: LeaseStream, out: Out): void {
    const { queue } = thief;
    const fullest = fullestLease(queue);
    if (fullest === undefined || !isWorthMoving(queue, fullest)) return;
    const keep = Math.ceil(fullest.inFlightCount / 2);
    while (fullest.inFlightCount > keep) {
      if (!out.retract(fullest.workerId, fullest.newestPosition())) return;
      queue.tasks.unshift(fullest.removeNewest());
    }
  }

  #onIdle(lease: LeaseStream, nowMs: number, out: Out): void {
    const { queue } = lease;
    // What fills its link is soon read: another lease would be of this same worker.
    const isFull = queue.tasks.size > 0 && out.isCongested(lease.workerId);
    if (!isFull && this.#somebodyWaits(lease)) {
      this.#release(lease, out);
      // With tasks left, its turn was over: it stands in line again. Without, it is not needed.
      if (queue.tasks.size > 0) this.#adjustRequests(queue, out);
      return;
    }
    this.#leases.onIdle(lease, nowMs);
  }

  /** Once one is known to wait, no more are added. */
  #adjustRequests(queue: SchedulingQueue, out: Out): void {
    const wanted = workersWanted(queue);
    if (wanted <= 0) {
      if (queue.requests.size > 0) this.#cancelRequests(queue, out);
      return;
    }
    const { pendingLeaseRequestsMax } = this.#context.config;
    while (queue.requests.size < Math.min(wanted, pendingLeaseRequestsMax)) {
      if (queue.pendingReason() !== "") return;
      this.#requests.ask(queue, this.#context.raylet, out);
    }
  }

  #cancelRequests(queue: SchedulingQueue, out: Out): void {
    this.#requests.cancelAll(queue, out);
    this.#dropIfUnused(queue);
  }

  #release(lease: LeaseStream, out: Out): void {
    this.#leases.forget(lease);
    this.#requests.release(lease.stream, lease.raylet, out);
    this.#dropIfUnused(lease.queue);
  }

  #dropIfUnused(queue: SchedulingQueue): void {
    if (!queue.isUnused) return;
    this.#queues.delete(queue);
    this.#infeasible.delete(queue);
  }
}
