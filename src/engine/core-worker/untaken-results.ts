/**
 * Results that no task of this process takes: their bytes go, wherever they lie.
 *
 * State:  by executor on another node, the returns of attempts whose replies are not taken.
 * Bounds: the attempts given up, each until its executor has ended.
 */
import { nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import type { CopyName } from "#engine/protocol/copy.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { EndedPeers } from "./ended-peers.ts";
import type { TaskRecord } from "./object-entry.ts";
import type { ProcessContext } from "./process-context.ts";
import type { ReleaseBatch } from "./release-batch.ts";

export class UntakenResults {
  readonly #context: ProcessContext;
  readonly #batch: ReleaseBatch;
  readonly #ended: EndedPeers;
  readonly #givenUp = new Map<WorkerId, CopyName[]>();

  constructor(parts: { context: ProcessContext; batch: ReleaseBatch; ended: EndedPeers }) {
    this.#context = parts.context;
    this.#batch = parts.batch;
    this.#ended = parts.ended;
  }

  /** On another node its raylet is told by name: `giveUp`. */
  discard(outcome: Outcome): void {
    if (!(outcome instanceof StoredValue)) return;
    const { node } = outcome;
    if (node === null || node === this.#context.raylet) this.#batch.addBytesOf(outcome);
  }

  /** … of a task of ours, wherever it lies. No other version of the return goes with it. */
  discardReturn({ serial, index }: ObjectName, value: Outcome): void {
    this.discard(value);
    const node = value instanceof StoredValue ? value.node : null;
    if (node === null || node === this.#context.raylet || this.#ended.has(node)) return;
    const { version } = value as StoredValue;
    this.#batch.addFree(node, { serial, index, version });
  }

  /**
   * No reply of this attempt is taken any more. What the executor stored for us on its node is let
   * go of once its end is known: until then it may store more.
   */
  giveUp(task: TaskRecord, executor: WorkerId): void {
    if (nodeIdOf(executor) === this.#context.raylet) return;
    const { serial, attempt: version, moreReturns } = task;
    const names = this.#givenUp.get(executor) ?? [];
    const count = 1 + (moreReturns?.length ?? 0);
    for (let index = 1; index <= count; index++) names.push({ serial, index, version });
    this.#givenUp.set(executor, names);
    if (this.#ended.has(executor)) this.onExecutorDied(executor);
  }

  onExecutorDied(executor: WorkerId): void {
    const node = nodeIdOf(executor);
    for (const name of this.#givenUp.get(executor) ?? []) {
      if (!this.#ended.has(node)) this.#batch.addFree(node, name);
    }
    this.#givenUp.delete(executor);
  }
}
