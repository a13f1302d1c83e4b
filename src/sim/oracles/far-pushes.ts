/**
 * 4 No loss, where nobody can tell what a worker of another node had begun when that ended: a task
 * that may not run again stands there behind no other, whose time would cost it its only attempt.
 */
import { type Address, nodeIdOf, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import { Oracle } from "./oracle.ts";

export class FarPushOracle extends Oracle {
  readonly name = "4 no loss";
  /** May not run again. */
  readonly #once = new Set<string>();
  /** By lease of another node: what was pushed there and has not come back. */
  readonly #underWay = new Map<string, Set<number>>();

  override onSubmitted(entries: readonly ObjectEntry[]): void {
    for (const entry of entries) {
      if (!(entry instanceof TaskRecord) || entry.actor !== null) continue;
      if (entry.template.retry.maxRetries !== 0) continue;
      this.#once.add(taskIdHex(entry.owner, entry.serial));
    }
  }

  override onSent(frame: Frame): void {
    if (frame.type !== "pushTask" || !isFar(frame)) return;
    const message = messageOf(frame);
    if (message.type !== "pushTask") return;
    const lease = leaseOf(frame.from, message.stream);
    const underWay = this.#underWay.get(lease) ?? new Set();
    this.#underWay.set(lease, underWay);
    const entity = taskIdHex(frame.from as WorkerId, message.serial);
    if (underWay.size > 0 && this.#once.has(entity)) {
      const behind = `behind ${underWay.size} others on a worker of another node`;
      this.violate({ entity, message: `a task that may not run again was pushed ${behind}` });
    }
    underWay.add(message.seq);
  }

  override onTaken(frame: Frame): void {
    if ((frame.type !== "taskReply" && frame.type !== "takenBack") || !isFar(frame)) return;
    const message = messageOf(frame);
    if (message.type !== "taskReply" && message.type !== "takenBack") return;
    const underWay = this.#underWay.get(leaseOf(frame.to, message.stream));
    const seqs = message.type === "taskReply" ? [message.seq] : message.seqs;
    for (const seq of seqs) underWay?.delete(seq);
  }
}

/** Streams are numbered by their owner. */
function leaseOf(owner: Address, stream: number): string {
  return `${owner} ${stream}`;
}

function isFar({ from, to }: Frame): boolean {
  return nodeIdOf(from as WorkerId) !== nodeIdOf(to as WorkerId);
}
