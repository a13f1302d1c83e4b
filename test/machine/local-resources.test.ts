import { describe, expect, it } from "vitest";
import { LocalResources } from "#engine/raylet/local-resources.ts";
import { resources } from "./raylet-harness.ts";

describe("LocalResources", () => {
  it("counts fractions exactly", () => {
    const ledger = new LocalResources(resources({ CPU: 1 }));
    const taken = Array.from({ length: 10 }, () => ledger.take(resources({ CPU: 0.1 }), false));
    expect(ledger.available("CPU")).toBe(0);
    expect(ledger.fits(resources({ CPU: 0.0001 }), null)).toBe(false);
    for (const allocation of taken) ledger.give(allocation);
    expect(ledger.available("CPU")).toBe(10_000);
    ledger.checkInvariants(new Set(), 0);
  });

  it("says what the node can never have", () => {
    const ledger = new LocalResources(resources({ CPU: 2, GPU: 2 }));
    expect(ledger.whyNever(resources({ CPU: 1, GPU: 8, tpu: 1 }))).toBe(
      "no node has {GPU: 8, tpu: 1}; this node has {CPU: 2, GPU: 2}",
    );
    expect(ledger.whyNever(resources({ GPU: 1.5 }))).toMatch(/must be a whole number/);
    expect(ledger.whyNever(resources({ CPU: 2, GPU: 2 }))).toBe("");
    expect(ledger.whyNever(resources({}))).toBe("");
  });

  it("gives whole GPUs alone and lets fractions share the fullest", () => {
    const ledger = new LocalResources(resources({ GPU: 3 }));
    const half = ledger.take(resources({ GPU: 0.5 }), false);
    const third = ledger.take(resources({ GPU: 0.3 }), false);
    const two = ledger.take(resources({ GPU: 2 }), false);
    expect([half.gpuIds, third.gpuIds, two.gpuIds]).toEqual([[0], [0], [1, 2]]);
    expect(ledger.fits(resources({ GPU: 0.3 }), null)).toBe(false);
    expect(ledger.fits(resources({ GPU: 0.2 }), null)).toBe(true);
    ledger.give(two);
    const large = ledger.take(resources({ GPU: 0.6 }), false);
    expect(large.gpuIds).toEqual([1]);
    ledger.checkInvariants(new Set([half, third, large]), 0);
    ledger.give(half);
    ledger.give(third);
    expect(ledger.take(resources({ GPU: 2 }), false).gpuIds).toEqual([0, 2]);
  });

  it("needs one GPU with room, not room in total", () => {
    const ledger = new LocalResources(resources({ GPU: 2 }));
    ledger.take(resources({ GPU: 0.5 }), false);
    ledger.take(resources({ GPU: 0.6 }), false);
    expect(ledger.available("GPU")).toBe(9_000);
    expect(ledger.fits(resources({ GPU: 0.8 }), null)).toBe(false);
    expect(ledger.describeUse(resources({ GPU: 0.8 }))).toBe(
      "in use: {GPU: 1.1} of {GPU: 2}, in parts of a GPU",
    );
  });

  it("lends CPU only, and may be overdrawn when it is taken back", () => {
    const ledger = new LocalResources(resources({ CPU: 1, GPU: 1, memory: 100, disk: 1 }));
    const all = resources({ CPU: 1, GPU: 1, memory: 60, disk: 1 });
    const first = ledger.take(all, false);
    ledger.lend(first);
    expect(ledger.available("CPU")).toBe(10_000);
    expect([ledger.available("GPU"), ledger.available("disk")]).toEqual([0, 0]);
    expect(ledger.available("memory")).toBe(400_000);
    const second = ledger.take(resources({ CPU: 1 }), false);
    ledger.retake(first);
    expect(ledger.available("CPU")).toBe(-10_000);
    expect(ledger.fits(resources({}), null)).toBe(true);
    expect(ledger.fits(resources({ CPU: 0.1 }), null)).toBe(false);
    ledger.checkInvariants(new Set([first, second]), 10_000);
    expect(() => ledger.checkInvariants(new Set([first, second]), 0)).toThrow(/more than there is/);
    expect(() => ledger.checkInvariants(new Set([first]), 0)).toThrow(/is not the sum/);
    ledger.give(first);
    ledger.give(second);
    expect(ledger.available("CPU")).toBe(10_000);
    expect(() => ledger.give(second)).toThrow(/twice/);
  });

  it("gives back what is lent only once", () => {
    const ledger = new LocalResources(resources({ CPU: 1, memory: 1 }));
    const lent = ledger.take(resources({ CPU: 1, memory: 1 }), false);
    ledger.lend(lent);
    ledger.give(lent);
    expect([ledger.available("CPU"), ledger.available("memory")]).toEqual([10_000, 10_000]);
    ledger.checkInvariants(new Set(), 0);
  });

  it("shrinks an actor to what it keeps", () => {
    const ledger = new LocalResources(resources({ CPU: 2, GPU: 2 }));
    const allocation = ledger.take(resources({ CPU: 1, GPU: 2 }), true);
    expect(ledger.fitsOnceLeasesEnd(resources({ GPU: 1 }))).toBe(false);
    ledger.shrink(allocation, resources({ GPU: 1 }));
    expect(allocation.gpuIds).toEqual([0]);
    expect([ledger.available("CPU"), ledger.available("GPU")]).toEqual([20_000, 10_000]);
    expect(ledger.fitsOnceLeasesEnd(resources({ GPU: 1, CPU: 2 }))).toBe(true);
    expect(() => ledger.shrink(allocation, resources({ CPU: 1 }))).toThrow(/adds CPU/);
    ledger.checkInvariants(new Set([allocation]), 0);
  });

  it("sets aside what is free of a request", () => {
    const ledger = new LocalResources(resources({ CPU: 4, GPU: 1 }));
    ledger.take(resources({ CPU: 3, GPU: 1 }), false);
    const aside = ledger.freePartOf(resources({ CPU: 2, GPU: 1 }));
    expect(aside).toEqual(
      new Map([
        ["CPU", 10_000],
        ["GPU", 0],
      ]),
    );
    expect(ledger.fits(resources({ CPU: 1 }), null)).toBe(true);
    expect(ledger.fits(resources({ CPU: 1 }), aside)).toBe(false);
  });
});
