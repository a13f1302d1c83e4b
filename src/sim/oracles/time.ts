/**
 * 13 Time: a get or wait with a time-out ends when its time is up by the clock of its machine, and
 * not before. While the machine stands still no time can be kept.
 */
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { idOf } from "./tasks.ts";

/** When a machine stood still, by its own clock. */
export interface StandStill {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A clock whose rate changes while a wait goes on makes it this much longer at most. */
const driftMax = 0.003;
/** Steps that are due at the same time come one after the other, as time stands still. */
const lateMaxMs = 0.01;

export class TimeOracle extends Oracle {
  readonly name = "13 time";
  readonly #lastPause: (node: number) => StandStill | null;
  readonly #beganMs = new WeakMap<GetRequest, number>();

  constructor(violate: Violate, lastPause: (node: number) => StandStill | null) {
    super(violate);
    this.#lastPause = lastPause;
  }

  override onAwaited(request: GetRequest, { client }: WatchedProcess): void {
    if (request.deadlineMs !== Infinity) this.#beganMs.set(request, client.host.nowMs);
  }

  override onSettled(request: GetRequest, { client, life }: WatchedProcess): void {
    const beganMs = this.#beganMs.get(request);
    if (beganMs === undefined) return;
    const { deadlineMs, entries, timedOut } = request;
    const endedMs = client.host.nowMs;
    const entity = entries[0] === undefined ? client.workerId : idOf(entries[0]);
    if (timedOut && endedMs < deadlineMs) {
      const message = `a time-out came ${deadlineMs - endedMs} ms early`;
      this.violate({ entity, message });
    }
    const allowedMs = lateMaxMs + (deadlineMs - beganMs) * driftMax;
    const pause = this.#lastPause(life.node);
    // Only one in which its time was up makes it late, and only until that is over.
    const isExcused = pause !== null && pause.fromMs <= deadlineMs + allowedMs;
    const dueMs = isExcused ? Math.max(deadlineMs, pause.untilMs) : deadlineMs;
    if (endedMs <= dueMs + allowedMs) return;
    const message = `a call ended ${endedMs - deadlineMs} ms after its time was up`;
    this.violate({ entity, message });
  }

  override atQuiet(cluster: Cluster): void {
    for (const { client, life } of [cluster.driver, ...cluster.liveWorkers]) {
      if (!life.isAlive) continue;
      for (const { deadlineMs } of client.core.waitingRequests) {
        if (deadlineMs >= client.host.nowMs) continue;
        const message = `${life.name} waits though its time is up`;
        this.violate({ entity: client.workerId, message });
      }
    }
  }
}
