/** When a thread that has got handles collects: soon, and for no large part of its time. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GarbageCollection } from "#api/garbage-collection.ts";

describe("collections for handles", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function bench(tookMs: number) {
    const atMs: number[] = [];
    const startMs = performance.now();
    const collect = (): void => {
      atMs.push(performance.now() - startMs);
      vi.advanceTimersByTime(tookMs);
    };
    const limits = { storeBytes: 2 ** 30, handleCollectMs: 1000 };
    return { atMs, collection: new GarbageCollection(limits, collect) };
  }
  const handle = {};
  const isDear = true;

  it("comes after the first wait, then after twice as long each time", () => {
    const { atMs, collection } = bench(0);
    vi.advanceTimersByTime(60_000);
    expect(atMs).toEqual([]);
    const startMs = 60_000;
    collection.watch(handle, () => {}, isDear);
    vi.advanceTimersByTime(16_000);
    expect(atMs.map((ms) => ms - startMs)).toEqual([1000, 3000, 7000, 15_000]);
  });

  it("waits for a hundred times as long as the last one took", () => {
    const { atMs, collection } = bench(50);
    collection.watch(handle, () => {}, isDear);
    vi.advanceTimersByTime(20_000);
    expect(atMs).toEqual([1000, 6050, 11_100, 19_150]);
  });

  it("waits no longer than ten times the first wait for that", () => {
    const { atMs, collection } = bench(500);
    collection.watch(handle, () => {}, isDear);
    vi.advanceTimersByTime(30_000);
    expect(atMs).toEqual([1000, 11_500, 22_000]);
  });

  it("does not come for what is not dear", () => {
    const { atMs, collection } = bench(0);
    collection.watch(handle, () => {});
    vi.advanceTimersByTime(60_000);
    expect(atMs).toEqual([]);
  });
});
