/**
 * A process or a node has died: everything here that counted on it is settled, once, and whatever
 * of it is still under way is refused.
 *
 * State:  none of its own: the dead are listed in EndedPeers.
 * In/out: workerDied, nodeDied, queryHolds → what each part does about it; HoldsQueried, and
 *         ForgetPeer.
 * Bounds: what the parts keep of one peer.
 * Errors: what the dead process owned fails with OWNER_DIED, for those who wait.
 * Source: protocols §5; §6 rules 5 and 7.
 */
import { everyArrival } from "#engine/protocol/copy.ts";
import { type EngineError, engineError } from "#engine/common/error-type.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { NodeDied } from "#engine/protocol/gcs.ts";
import type { QueryHolds } from "#engine/protocol/hold.ts";
import type { WorkerDied } from "#engine/protocol/lease.ts";
import type { ActorSubmitter } from "./actor-submitter.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import type { Cancellation } from "./cancellation.ts";
import type { CopyArrivals } from "./copy-arrivals.ts";
import type { HoldGrants } from "./hold-grants.ts";
import type { HoldMaker } from "./hold-maker.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";
import type { TaskReceiver } from "./task-receiver.ts";
import type { TaskRetries } from "./task-retries.ts";
import type { TaskSubmitter } from "./task-submitter.ts";

interface Parts {
  readonly context: ProcessContext;
  readonly references: ReferenceCounter;
  readonly holds: HoldMaker;
  readonly grants: HoldGrants;
  readonly arrivals: CopyArrivals;
  readonly manager: TaskManager;
  readonly retries: TaskRetries;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorSubmitter;
  readonly receiver: TaskReceiver;
  readonly cancellation: Cancellation;
}

export class PeerDeaths {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** True for what a dead process sent, whichever way it took: it counts for nothing. */
  refuses(event: CoreWorkerEvent): boolean {
    const { references, retries } = this.#parts;
    const { ended } = references;
    if (ended.size === 0 || !("from" in event) || !ended.has(event.from)) return false;
    // What it stored for us goes.
    if (event.type === "taskReply") retries.refuse(event);
    return true;
  }

  /** False for what tells of no death. */
  route(event: CoreWorkerEvent, nowMs: number, out: Out): boolean {
    switch (event.type) {
      case "workerDied":
        this.onWorkerDied(event, nowMs, out);
        return true;
      case "nodeDied":
        this.onNodeDied(event, nowMs, out);
        return true;
      case "copyGone":
        // Another node may hear of a death first: what is made anew must not go there.
        if (event.lastArrival === everyArrival) {
          this.onNodeDied({ nodeId: event.nodeId, reason: event.cause }, nowMs, out);
        }
        return false;
      case "queryHolds":
        this.onQueryHolds(event, nowMs, out);
        return true;
      default:
        return false;
    }
  }

  onWorkerDied({ workerId, error }: WorkerDied, nowMs: number, out: Out): void {
    if (!this.#parts.references.ended.has(workerId)) this.#end(workerId, error, nowMs, out);
  }

  onNodeDied(
    { nodeId, reason }: Pick<NodeDied, "nodeId" | "reason">,
    nowMs: number,
    out: Out,
  ): void {
    const { references, actors, submitter } = this.#parts;
    if (!references.ended.addNode(nodeId, reason)) return;
    const error = engineError("NODE_DIED", reason, nodeId);
    for (const peer of references.peersOn(nodeId)) this.#end(peer, error, nowMs, out);
    references.directory.onNodeDied(nodeId, reason, out);
    actors.onNodeDied(nodeId);
    submitter.onNodeDied(nodeId, error, nowMs, out);
  }

  /** Whatever the dead maker still has under way to us we do not take. */
  onQueryHolds({ from, maker, error }: QueryHolds, nowMs: number, out: Out): void {
    const { references, context } = this.#parts;
    if (!references.ended.has(maker)) this.#end(maker, error, nowMs, out);
    out.send(from, { type: "holdsQueried", from: context.self, maker });
  }

  #end(workerId: WorkerId, error: EngineError, nowMs: number, out: Out): void {
    const { references, holds, grants, arrivals, manager } = this.#parts;
    const { receiver, submitter, actors, cancellation } = this.#parts;
    const lost = references.onWorkerDied(workerId, error);
    holds.onWorkerDied(workerId);
    grants.onWorkerDied(workerId, error, out);
    for (const entry of lost) {
      arrivals.onSettled(entry, out);
      manager.wakeWaiters(entry, out);
    }
    receiver.onWorkerDied(workerId);
    submitter.onWorkerDied(workerId);
    actors.onWorkerDied(workerId);
    cancellation.onWorkerDied(workerId, nowMs, out);
    out.instruct({ type: "forgetPeer", workerId });
  }
}
