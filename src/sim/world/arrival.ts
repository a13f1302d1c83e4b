/**
 * The step that brings the first frame of a link to its receiver: an object without closures, since
 * most steps of a world are such.
 */
import type { Flight, Said } from "#transports/simulated/network-world.ts";
import type { Step } from "./schedule.ts";

export class Arrival implements Step {
  readonly kind: string;
  /** A link outlives its processes: what is under way to a dead one passes and is dropped. */
  readonly where: string;
  readonly from: string;
  readonly what: string | Said;
  readonly causeId: number;
  readonly isArrival = true;
  readonly isUpkeep: boolean | (() => boolean);
  readonly dueMs: (() => number) | undefined;
  atMs: number;
  readonly #flight: Flight;

  // oxlint-disable-next-line max-params -- made for every frame.
  constructor(
    flight: Flight,
    atMs: number,
    dueMs: (() => number) | undefined,
    isUpkeep: boolean | (() => boolean),
  ) {
    const { from, to } = flight;
    this.kind = to.isClosed ? "lost" : "deliver";
    this.where = to.name;
    this.from = from.name;
    this.what = flight.said;
    this.causeId = flight.causeId;
    this.isUpkeep = isUpkeep;
    this.dueMs = dueMs;
    this.atMs = atMs;
    this.#flight = flight;
  }

  isLive(): boolean {
    return !this.#flight.isDropped();
  }

  run(): void {
    this.#flight.arrive();
  }
}
