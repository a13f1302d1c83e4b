/**
 * Found by random programs: a world was taken for quiet while a message was held up on a link. Only
 * the first frame of a link has a step of its own, and that was a report which nobody waits for.
 */
import { expect, test } from "vitest";
import { World } from "#sim/world/world.ts";
import { Lane } from "#transports/simulated/lane.ts";

test("what is held up is still to come", async () => {
  const world = new World({ seed: 1, nodeCount: 2, choices: [], choicesOnly: false });
  const place = (node: number) => ({ name: `raylet${node}`, node, isClosed: false });
  const lane = new Lane(world, place(0), place(1));
  const times = { delayMs: Infinity, bytesPerMs: Infinity, untilMs: 10_000 };
  let heldCount = 0;
  const hold = { ...times, onTouch: () => void (heldCount += 1) };
  world.links.delay({ from: 0, to: 1, ...hold });
  const arrived: string[] = [];
  for (const type of ["heartbeat", "requestWorkerLease"] as const) {
    lane.put({ said: type, type, sizeBytes: 10, deliver: () => void arrived.push(type) });
  }
  expect(await world.run(() => false, 60_000, 3_000)).toBe("idle");
  expect(arrived).toEqual(["heartbeat", "requestWorkerLease"]);
  expect(world.nowMs()).toBeGreaterThanOrEqual(10_000);
  expect(heldCount).toBe(2);
});
