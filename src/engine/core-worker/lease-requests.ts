/**
 * Requests for leases: asked → granted, spilled to another node, refused, or cancelled.
 *
 * State:  the open requests by id, each of one scheduling key.
 * In/out: what the submitter wants and hears → RequestWorkerLease, ReleaseLease.
 * Bounds: as many as the submitter asks for.
 * Errors: a request at a raylet whose node died is made anew at our own.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address, NodeId } from "#engine/common/ids.ts";
import type { Out, ProcessContext, SerialCounter } from "./process-context.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";

export class LeaseRequests {
  readonly #context: ProcessContext;
  readonly #streamNumbers: SerialCounter;
  readonly #queues = new Map<number, SchedulingQueue>();

  constructor(context: ProcessContext, streamNumbers: SerialCounter) {
    this.#context = context;
    this.#streamNumbers = streamNumbers;
  }

  /** Of an open request; undefined for one that is over. */
  queueOf(leaseId: number): SchedulingQueue | undefined {
    return this.#queues.get(leaseId);
  }

  ask(queue: SchedulingQueue, raylet: NodeId, out: Out): void {
    const leaseId = this.#streamNumbers.take();
    queue.requests.set(leaseId, { raylet, reason: "" });
    this.#queues.set(leaseId, queue);
    const { definition, strategy, retry } = queue.template;
    out.send(raylet, {
      type: "requestWorkerLease",
      from: this.#context.self,
      leaseId,
      taskName: definition.taskName,
      resources: definition.resources,
      strategy,
      depth: queue.depth,
      noSpill: raylet !== this.#context.raylet,
      isRetriable: retry.maxRetries !== 0,
    });
  }

  /** It has its answer. */
  close(leaseId: number, queue: SchedulingQueue): void {
    this.#queues.delete(leaseId);
    queue.requests.delete(leaseId);
  }

  cancelAll(queue: SchedulingQueue, out: Out): void {
    for (const [leaseId, { raylet }] of queue.requests) {
      this.#queues.delete(leaseId);
      this.release(leaseId, raylet, out);
    }
    queue.requests.clear();
  }

  /** Nobody will answer there any more. */
  moveFrom(nodeId: NodeId, queue: SchedulingQueue, out: Out): void {
    for (const [leaseId, { raylet }] of [...queue.requests]) {
      if (raylet !== nodeId) continue;
      this.close(leaseId, queue);
      this.ask(queue, this.#context.raylet, out);
    }
  }

  release(leaseId: number, raylet: Address, out: Out): void {
    out.send(raylet, { type: "releaseLease", from: this.#context.self, leaseId });
  }

  checkInvariants(queues: Iterable<SchedulingQueue>): void {
    let count = 0;
    for (const { requests } of queues) count += requests.size;
    assert(count === this.#queues.size, "each request belongs to one queue");
  }
}
