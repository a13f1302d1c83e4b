/**
 * The clocks of one simulated machine: monotonic with drift, wall clock with skew and jumps
 * besides.
 */
export class NodeClock {
  /** World time and own time at the last change of rate. */
  #sinceMs = 0;
  #ownMs = 0;
  #rate = 1;
  #wallOffsetMs: number;

  constructor(wallOffsetMs: number) {
    this.#wallOffsetMs = wallOffsetMs;
  }

  monotonicMs(worldMs: number): number {
    return this.#ownMs + (worldMs - this.#sinceMs) * this.#rate;
  }

  wallMs(worldMs: number): number {
    return Math.floor(this.monotonicMs(worldMs) + this.#wallOffsetMs);
  }

  /** World time at which the monotonic clock will show at least `ownMs`. */
  worldMsAt(ownMs: number): number {
    let worldMs = this.#sinceMs + (ownMs - this.#ownMs) / this.#rate;
    // Rounded down it would be just too early, and whoever waits would set the same alarm for ever.
    for (let stepMs = 1e-9; this.monotonicMs(worldMs) < ownMs; stepMs *= 2) worldMs += stepMs;
    return worldMs;
  }

  setDrift(ppm: number, worldMs: number): void {
    this.#ownMs = this.monotonicMs(worldMs);
    this.#sinceMs = worldMs;
    this.#rate = 1 + ppm / 1e6;
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}
