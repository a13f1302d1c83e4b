/**
 * 4 No loss, where nobody can tell what a worker of another node had begun when that ended: a task
 * that may not run again stands there behind no other, whose time would cost it its only attempt.
 */
import { type Address, taskIdHex, type WorkerId } from "#engine/common/ids.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { TakenBack } from "#engine/protocol/task.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import type { Link } from "#transports/simulated/network-watch.ts";
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

  override onSent(frame: Frame, link: Link): void {
    if (frame.type !== "pushTask" || !isFar(link)) return;
    const lease = leaseOf(frame.from, frame.stream);
    const underWay = this.#underWay.get(lease) ?? new Set();
    this.#underWay.set(lease, underWay);
    if (underWay.size > 0) this.#lookBehind(frame, underWay.size);
    underWay.add(frame.seq);
  }

  override onTaken(frame: Frame, link: Link): void {
    if ((frame.type !== "taskReply" && frame.type !== "takenBack") || !isFar(link)) return;
    if (frame.type === "taskReply") {
      this.#underWay.get(leaseOf(frame.to, frame.stream))?.delete(frame.seq);
      return;
    }
    const { stream, seqs } = messageOf(frame) as TakenBack;
    for (const seq of seqs) this.#underWay.get(leaseOf(frame.to, stream))?.delete(seq);
  }

  #lookBehind(frame: Frame, count: number): void {
    const entity = taskIdHex(frame.from as WorkerId, frame.serial);
    if (!this.#once.has(entity)) return;
    const behind = `behind ${count} others on a worker of another node`;
    this.violate({ entity, message: `a task that may not run again was pushed ${behind}` });
  }
}

/** Streams are numbered by their owner. */
export function leaseOf(owner: Address, stream: number): string {
  return `${owner} ${stream}`;
}

/** Between machines. */
export function isFar({ from, to }: Link): boolean {
  return from.node !== to.node;
}
