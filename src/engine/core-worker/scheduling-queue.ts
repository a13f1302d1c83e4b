/** The tasks of one scheduling key at their owner, and the workers leased for them. */
import { type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { TaskTemplate } from "#engine/common/task-spec.ts";
import type { TaskRecord } from "./object-entry.ts";
import { PushStream } from "./push-stream.ts";
import { TaskQueue } from "./task-queue.ts";

/** A worker leased for one key: its stream number is the lease id. */
export class LeaseStream extends PushStream {
  readonly queue: SchedulingQueue;
  /** Who granted it: the raylet of the worker's node. */
  readonly raylet: NodeId;
  /** Of another node: what was pushed cannot be had back. */
  readonly isFar: boolean;
  readonly gpuIds: readonly number[] | null;
  readonly grantedAtMs: number;
  idleSinceMs: number;
  /** A look at whether it is still idle is due: one at a time. */
  idleCheckIsDue = false;
  /** Its task waits in get: nothing else starts there before that task has ended. */
  blocked = false;
  /** The executor knows the function: a reply has come. */
  definitionKnown = false;

  constructor(fields: {
    leaseId: number;
    workerId: WorkerId;
    queue: SchedulingQueue;
    gpuIds: readonly number[];
    isFar: boolean;
    nowMs: number;
  }) {
    super(fields.leaseId, fields.workerId);
    this.queue = fields.queue;
    this.raylet = nodeIdOf(fields.workerId);
    this.isFar = fields.isFar;
    this.gpuIds = fields.gpuIds.length === 0 ? null : fields.gpuIds;
    this.grantedAtMs = fields.nowMs;
    this.idleSinceMs = fields.nowMs;
  }

  override removeRetracted(seq: number): TaskRecord | undefined {
    const task = super.removeRetracted(seq);
    if (task !== undefined) this.queue.inFlightCount -= 1;
    return task;
  }
}

export interface LeaseRequest {
  readonly raylet: NodeId;
  /** Why it waits; "" while there is no answer at all. */
  reason: string;
}

export class SchedulingQueue {
  readonly key: string;
  readonly template: TaskTemplate;
  readonly depth: number;
  readonly tasks = new TaskQueue();
  readonly leases: LeaseStream[] = [];
  /** Lease requests without a final answer, by id. */
  readonly requests = new Map<number, LeaseRequest>();
  /** Tasks on leases of this queue. */
  inFlightCount = 0;
  /** Unused, and gone: what comes next has a queue of its own. */
  isDropped = false;
  /** Moving average; negative until a task has been timed. */
  durationMs = -1;
  #lastDurationMs = Infinity;

  constructor(key: string, template: TaskTemplate, depth: number) {
    this.key = key;
    this.template = template;
    this.depth = depth;
  }

  get isUnused(): boolean {
    return this.tasks.size === 0 && this.leases.length === 0 && this.requests.size === 0;
  }

  /** A long one counts from the second in a row on: one alone was a pause of its thread. */
  addDuration(durationMs: number): void {
    const weight = 0.2;
    const counted = Math.min(durationMs, this.#lastDurationMs);
    this.#lastDurationMs = durationMs;
    this.durationMs =
      this.durationMs < 0 ? counted : this.durationMs + weight * (counted - this.durationMs);
  }

  /** Why its tasks wait, for a person; "" when nothing is known. */
  pendingReason(): string {
    for (const { reason } of this.requests.values()) if (reason !== "") return reason;
    return "";
  }
}
