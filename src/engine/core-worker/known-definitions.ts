/** Functions that a worker has run for this owner: it remembers them, so only numbers are sent. */
import { type NodeId, nodeIdOf, type WorkerId } from "#engine/common/ids.ts";

export class KnownDefinitions {
  readonly #byWorker = new Map<WorkerId, Set<number>>();

  has(workerId: WorkerId, functionNumber: number): boolean {
    return this.#byWorker.get(workerId)?.has(functionNumber) ?? false;
  }

  add(workerId: WorkerId, functionNumber: number): void {
    const known = this.#byWorker.get(workerId);
    if (known === undefined) this.#byWorker.set(workerId, new Set([functionNumber]));
    else known.add(functionNumber);
  }

  forget(workerId: WorkerId): void {
    this.#byWorker.delete(workerId);
  }

  forgetNode(nodeId: NodeId): void {
    for (const workerId of this.#byWorker.keys()) {
      if (nodeIdOf(workerId) === nodeId) this.#byWorker.delete(workerId);
    }
  }
}
