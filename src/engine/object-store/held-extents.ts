/**
 * Which process each part of the arena was granted to, so that what a dead one had is found.
 *
 * State:  per segment the extents that are held, by rising start, never overlapping; neighbours of
 *         one holder are one.
 * In/out: add, move, remove → the extents of a holder.
 * Bounds: what is allocated; each call O(log n) and the move of what lies behind.
 * Errors: none: what nobody holds is the raylet's own.
 */
import { assert } from "#engine/common/assert.ts";
import type { Address } from "#engine/common/ids.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";

interface Held {
  start: number;
  end: number;
  readonly holder: Address;
}

export class HeldExtents {
  /** None of them empty. */
  readonly #segments = new Map<number, Held[]>();

  add(holder: Address, { segment, offset, size }: ArenaExtent): void {
    let held = this.#segments.get(segment);
    if (held === undefined) this.#segments.set(segment, (held = []));
    const at = positionOf(held, offset);
    const [before, next] = [held[at - 1], held[at]];
    const end = offset + size;
    assert(before === undefined || before.end <= offset, "room is granted to one process");
    assert(next === undefined || next.start >= end, "room is granted to one process");
    const joinsBefore = before?.holder === holder && before.end === offset;
    const joinsNext = next?.holder === holder && next.start === end;
    if (joinsBefore && joinsNext) {
      before.end = next.end;
      held.splice(at, 1);
    } else if (joinsBefore) before.end = end;
    else if (joinsNext) next.start = offset;
    else held.splice(at, 0, { start: offset, end, holder });
  }

  /** Undefined for the raylet itself. */
  holderOf({ segment, offset }: ArenaExtent): Address | undefined {
    const held = this.#segments.get(segment) ?? [];
    const found = held[positionOf(held, offset + 1) - 1];
    return found !== undefined && found.end > offset ? found.holder : undefined;
  }

  remove(extent: ArenaExtent): void {
    const held = this.#segments.get(extent.segment);
    if (held === undefined) return;
    cut(held, extent);
    if (held.length === 0) this.#segments.delete(extent.segment);
  }

  move(to: Address, extent: ArenaExtent): void {
    this.remove(extent);
    this.add(to, extent);
  }

  /** What the holder has, without `kept`. */
  of(holder: Address, kept: readonly ArenaExtent[]): ArenaExtent[] {
    return [...this.#segments].flatMap(([segment, held]) => {
      const stays = kept.filter((one) => one.segment === segment);
      stays.sort((a, b) => a.offset - b.offset);
      return held
        .filter((one) => one.holder === holder)
        .flatMap(({ start, end }) => gapsIn(start, end, stays))
        .map(([start, end]) => ({ segment, offset: start, size: end - start }));
    });
  }

  checkInvariants(): void {
    for (const held of this.#segments.values()) {
      assert(held.length > 0, "a segment where nothing is held is not listed");
      let last: Held | undefined;
      for (const one of held) {
        assert(one.start < one.end, "a held extent has bytes");
        assert(last === undefined || last.end <= one.start, "held extents do not overlap");
        const isSplit = last?.end === one.start && last.holder === one.holder;
        assert(!isSplit, "neighbours of one holder are one");
        last = one;
      }
    }
  }
}

function cut(held: Held[], { offset, size }: ArenaExtent): void {
  const end = offset + size;
  let at = positionOf(held, offset);
  const before = held[at - 1];
  if (before !== undefined && before.end > offset) {
    const tail = { start: end, end: before.end, holder: before.holder };
    before.end = offset;
    if (tail.end > end) held.splice(at, 0, tail);
    if (before.start === before.end) held.splice((at -= 1), 1);
  }
  for (let next = held[at]; next !== undefined && next.start < end; next = held[at]) {
    if (next.end > end) next.start = end;
    else held.splice(at, 1);
    if (next.start === end) return;
  }
}

/** Position of the first that begins at `offset` or behind it. */
function positionOf(held: readonly Held[], offset: number): number {
  let low = 0;
  let high = held.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((held[middle] as Held).start < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What of [start, end) lies in none of `stays`, which are by rising offset and may overlap. */
function gapsIn(start: number, end: number, stays: readonly ArenaExtent[]): [number, number][] {
  const gaps: [number, number][] = [];
  let from = start;
  for (const { offset, size } of stays) {
    if (offset + size <= from) continue;
    if (offset >= end) break;
    if (offset > from) gaps.push([from, offset]);
    from = offset + size;
  }
  if (from < end) gaps.push([from, end]);
  return gaps;
}
