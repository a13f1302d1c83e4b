/**
 * What is to happen in a world, and in which order: one list of steps for all processes.
 *
 * State:  steps that are due, in the order they came; later ones in a heap by virtual time.
 * Bounds: none of its own; a world ends at its virtual time limit.
 * Where several steps are due, the choice among them is the world's: 0 is first come, first served.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import type { Said } from "#transports/simulated/network-world.ts";

export interface Step {
  /** For the trace: what kind of thing happens, where, and to what. */
  readonly kind: string;
  readonly where: string;
  readonly what: string | Said;
  /** Who has sent it; of a frame only. */
  readonly from?: string;
  /** Virtual time before which it does not happen. */
  atMs: number;
  /**
   * That time as things are now: for a step that waits for a clock whose rate may change, or that a
   * fault holds back.
   */
  readonly dueMs?: (() => number) | undefined;
  /** The step that led to this one; 0 for those from outside. */
  readonly causeId: number;
  /**
   * Heartbeats and the like: they never end, so a world in which nothing else happens is at rest.
   * A function where it may change until then.
   */
  readonly isUpkeep?: boolean | (() => boolean);
  /**
   * The first frame of a link: those of other links may come before it. So may nothing else, which
   * has a clock that tells when it is due.
   */
  readonly isArrival?: boolean;
  /** False when what it belongs to has ended meanwhile: then it does not happen at all. */
  isLive(): boolean;
  run(): void;
}

/** Of steps at one time the first that came is the first. */
interface Later {
  readonly order: number;
  readonly step: Step;
}

/** More than a list of choices tells apart as a rule. */
const arrivalsMax = 16;

export class Schedule {
  readonly #later = new DeadlineQueue<Later>();
  #due: Step[] = [];
  #order = 0;

  add(step: Step, nowMs: number): void {
    if (step.atMs <= nowMs) this.#due.push(step);
    else this.#later.add(step.atMs, { order: this.#order++, step });
  }

  /** A clock goes at another rate, or faults hold nothing back any more. O(n). */
  retime(nowMs: number): void {
    const later = [...this.#later.values()];
    this.#later.retain(() => false);
    for (const { order, step } of later) {
      const { dueMs } = step;
      if (dueMs !== undefined) step.atMs = dueMs();
      this.#later.add(step.atMs, { order, step });
    }
    this.advance(nowMs);
  }

  /** Steps that could happen now. */
  dueCount(): number {
    return this.#due.length;
  }

  /** Whether anything but upkeep is to come. O(n): asked when only upkeep is due. */
  hasForeground(): boolean {
    if (this.#due.some((step) => !isUpkeep(step) && step.isLive())) return true;
    for (const { step } of this.#later.values()) {
      if (!isUpkeep(step) && step.isLive()) return true;
    }
    return false;
  }

  /** Virtual time of the next step; Infinity when there is none. */
  nextMs(): number {
    return this.#due.length > 0 ? -Infinity : this.#later.nextMs();
  }

  /**
   * Frames of several links that come next, earliest first: each of them could be the first. None
   * where something else comes before a second one does.
   */
  arrivals(untilMs: number): Step[] {
    const next: Later[] = [];
    while (next.length < arrivalsMax) {
      const later = this.#later.takeDue(untilMs);
      if (later === undefined) break;
      next.push(later);
    }
    for (const later of next) this.#later.add(later.step.atMs, later);
    const steps = next.sort(inOrder).map(({ step }) => step);
    const end = steps.findIndex(({ isArrival }) => isArrival !== true);
    return end < 0 ? steps : steps.slice(0, end);
  }

  indexOf(step: Step): number {
    return this.#due.indexOf(step);
  }

  /** Time has come to `nowMs`: what is due by then joins the others, earliest first. */
  advance(nowMs: number): void {
    const first = this.#later.takeDue(nowMs);
    if (first === undefined) return;
    const due = [first];
    for (let next = this.#later.takeDue(nowMs); next; next = this.#later.takeDue(nowMs)) {
      due.push(next);
    }
    if (due.length > 1) due.sort(inOrder);
    for (const { step } of due) this.#due.push(step);
  }

  take(index: number): Step | undefined {
    // As a rule only one is due, or the last: then nothing moves.
    if (index === this.#due.length - 1) return this.#due.pop();
    return this.#due.splice(index, 1)[0];
  }
}

function inOrder(a: Later, b: Later): number {
  return a.step.atMs - b.step.atMs || a.order - b.order;
}

export function isUpkeep({ isUpkeep: answer = false }: Step): boolean {
  return typeof answer === "function" ? answer() : answer;
}
