/**
 * Whose values may be moved: a process reads what lies on its node where it lies, so only its owner
 * can tell what nobody reads at this moment. Each is asked for some, and answers also with none.
 *
 * State:  by process, whether it is asked, and when again after an answer with nothing.
 * In/out: a store that is too full → offerObjects; objectsOffered, ends of processes.
 * Bounds: one question a process at a time; one that has nothing is asked ever less often.
 * Errors: none; a process that does not answer is not asked twice.
 */
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { RayletOut } from "./placement-queue.ts";

const retryMs = { first: 10, most: 1_000 };

interface Asked {
  isAsked: boolean;
  /** After an answer with nothing. */
  notBeforeMs: number;
  waitMs: number;
}

export class SpillOffers {
  readonly #self: NodeId;
  readonly #processes: () => Iterable<WorkerId>;
  readonly #asked = new Map<WorkerId, Asked>();

  constructor(self: NodeId, processes: () => Iterable<WorkerId>) {
    this.#self = self;
    this.#processes = processes;
  }

  ask(bytes: number, nowMs: number, out: RayletOut): void {
    for (const process of this.#processes()) {
      let asked = this.#asked.get(process);
      if (asked === undefined) {
        asked = { isAsked: false, notBeforeMs: 0, waitMs: retryMs.first };
        this.#asked.set(process, asked);
      }
      if (asked.isAsked || asked.notBeforeMs > nowMs) continue;
      asked.isAsked = true;
      out.send(process, { type: "offerObjects", from: this.#self, bytes });
    }
  }

  /** … those too that had nothing a moment ago. */
  askAnew(): void {
    for (const asked of this.#asked.values()) asked.notBeforeMs = 0;
  }

  onAnswer(process: WorkerId, isEmpty: boolean, nowMs: number): void {
    const asked = this.#asked.get(process);
    if (asked === undefined) return;
    asked.isAsked = false;
    asked.notBeforeMs = isEmpty ? nowMs + asked.waitMs : 0;
    asked.waitMs = isEmpty ? Math.min(retryMs.most, asked.waitMs * 2) : retryMs.first;
  }

  onProcessEnded(process: WorkerId): void {
    this.#asked.delete(process);
  }

  /** When one that had nothing may be asked again, after now; Infinity if there is none. */
  nextMs(nowMs: number): number {
    let nextMs = Infinity;
    for (const { isAsked, notBeforeMs } of this.#asked.values()) {
      if (!isAsked && notBeforeMs > nowMs) nextMs = Math.min(nextMs, notBeforeMs);
    }
    return nextMs;
  }
}
