/**
 * Files of spilled objects: each goes when the last object in it does.
 *
 * State:  by number, how many objects in it are still needed.
 * In/out: files written, places given up, files that the dead have left → DeleteSpillFile.
 * Bounds: one entry a file, as many as there are on the disk.
 * Errors: none; what becomes of a deletion nobody needs to know.
 */
import { assert } from "#engine/common/assert.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { RayletOut } from "./placement-queue.ts";
import type { FileLeft } from "./spill-io.ts";

export class SpillFiles {
  readonly #liveCounts = new Map<number, number>();
  #nextFile = 1;

  get count(): number {
    return this.#liveCounts.size;
  }

  takeNumber(): number {
    return this.#nextFile++;
  }

  onWritten(file: number, objectCount: number): void {
    assert(objectCount > 0, "a spill file has objects");
    this.#liveCounts.set(file, objectCount);
  }

  /** One that we know of goes with its object; to remove what is gone already does no harm. */
  onLeft({ file }: FileLeft, out: RayletOut): void {
    if (!this.#liveCounts.has(file)) out.instruct({ type: "deleteSpillFile", file });
  }

  release({ file }: SpilledPlace, out: RayletOut): void {
    const left = (this.#liveCounts.get(file) ?? 0) - 1;
    assert(left >= 0, "a place on the disk is given up once");
    if (left > 0) {
      this.#liveCounts.set(file, left);
      return;
    }
    this.#liveCounts.delete(file);
    out.instruct({ type: "deleteSpillFile", file });
  }

  checkInvariants(copies: Iterable<{ readonly spilled: SpilledPlace | null }>): void {
    let counts: Map<number, number> | null = null;
    for (const { spilled } of copies) {
      if (spilled === null) continue;
      counts ??= new Map();
      counts.set(spilled.file, (counts.get(spilled.file) ?? 0) + 1);
    }
    const fileCount = counts?.size ?? 0;
    assert(fileCount === this.#liveCounts.size, "a spill file without objects is gone");
    for (const [file, count] of counts ?? []) {
      assert(this.#liveCounts.get(file) === count, "objects of a spill file are counted");
    }
  }
}
