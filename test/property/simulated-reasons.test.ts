/** Reasons are true: what a chain claims, and who is told of one that was not so. */
import { describe, expect, test } from "vitest";
import { WaitReasons } from "#engine/core-worker/wait-reasons.ts";
import { get, put } from "#api/get.ts";
import { type ObjectRef } from "#api/object-ref.ts";
import { remote } from "#api/remote.ts";
import { claimsOf } from "#sim/oracles/claims.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { ReasonOracle } from "#sim/oracles/reasons.ts";
import type { Fates } from "#sim/oracles/oracle.ts";
import { simulate } from "#sim/simulate.ts";

const node = "a".repeat(32);
const worker = `${"b".repeat(32)}00000001`;
const oid = `${worker}0000000000010001`;

describe("the claims of a reason", () => {
  test("of a chain: what is named, where it is, what it waits for", () => {
    const text =
      `task f (g) (${oid}): it runs on worker ${worker} and waits in get for 2 of 3 objects, ` +
      `such as task h (${oid}): waits for its arguments: task i (${oid}): it waits for its turn ` +
      `on worker ${worker}, behind task j, which waits in wait for object ${oid} of worker ` +
      `${worker}: it has no value yet`;
    expect(claimsOf(text)).toEqual([
      { type: "names", name: "f (g)", oid },
      { type: "runs", worker },
      { type: "waits" },
      { type: "names", name: "h", oid },
      { type: "lacksArguments" },
      { type: "names", name: "i", oid },
      { type: "queued", worker, behind: "j" },
      { type: "waits" },
      { type: "names", name: null, oid },
    ]);
  });

  test("of the call before it, of deaths, of a cycle", () => {
    const behind = "waits behind task f of the same actor, which waits for its arguments";
    expect(
      claimsOf(`task g (${oid}): ${behind}: task h (${oid}): `).map(({ type }) => type),
    ).toEqual(["names", "needs", "names"]);
    const died = `runs again to make what was lost (node ${node} died: the GCS heard nothing)`;
    expect(claimsOf(`${died}: it was sent to worker ${worker}`)).toEqual([
      { type: "nodeDied", node },
      { type: "sent", worker },
    ]);
    expect(claimsOf(`worker thread ${worker} called process.exit(1)`)).toEqual([
      { type: "workerEnded", worker },
    ]);
    const taskId = oid.slice(0, 52);
    const line = `task f (${taskId}) on worker ${worker} waits for task g (${oid}): it runs on`;
    expect(claimsOf(line).map(({ type }) => type)).toEqual(["waitsAt", "names"]);
    expect(claimsOf("task f waits for task g (…)").map(({ type }) => type)).toEqual(["needs"]);
  });
});

const sleep = remote(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
});
const nested = remote(async (ms: number) => get(sleep.remote(ms)));
const after = remote((_: unknown) => 1);

/** What a get is told that waits for this in vain. */
async function toldOf(made: () => unknown): Promise<{ text: string; untrue: string[] }> {
  const report = await simulate({ seed: 5, nodes: 2 }, async (sim) => {
    await sim.sleep(50);
    return get(made() as ObjectRef<unknown>, { timeoutMs: 300 }).then(
      () => "",
      (error: unknown) => String(error),
    );
  });
  expect(report.error).toBeUndefined();
  const untrue = report.violations.map(({ oracle, message }) => `${oracle}: ${message}`);
  return { text: report.result ?? "", untrue };
}

describe("who waits in vain", () => {
  test.each([
    ["a task that runs", /it runs on worker/, () => sleep.remote(2_000)],
    ["one that waits itself", /and waits in get for task/, () => nested.remote(2_000)],
    [
      "one that lacks an argument",
      /waits for its arguments: task/,
      () => after.remote(sleep.remote(2_000)),
    ],
  ] as const)("is told the truth of %s", async (_, words, made) => {
    const { text, untrue } = await toldOf(made);
    expect(text).toMatch(words);
    expect(untrue).toEqual([]);
  });

  test("of one whose arguments are on their way, too: it does not run yet", async () => {
    const far = after.options({ resources: { far: 1 } });
    const slow = { kind: "slowLink", delayMs: 0, bytesPerMs: 100, forMs: 60_000 } as const;
    const faults: Fault[] = [{ at: 40, from: 0, to: 1, ...slow }];
    const nodes = [{}, { resources: { far: 1 } }];
    // A chunk at a time: the question need not wait for all of them.
    const init = { systemConfig: { pullChunkBytes: 4_000, pullBytesInFlightMax: 4_000 } };
    const report = await simulate({ seed: 5, nodes, faults, init }, async (sim) => {
      await sim.sleep(50);
      const ref = far.remote(put(new Uint8Array(400_000)));
      return get(ref, { timeoutMs: 1_000 }).then(String, String);
    });
    expect(report.check()).toMatch(/its arguments are on their way to worker [0-9a-f]{40}$/);
  });

  test.each([
    ["that it runs elsewhere", /it runs on worker [0-9a-f]{40}/, `it runs on worker ${worker}`],
    ["that it is another", /task sleep/, "task other"],
    ["of a death that was none", /it runs on/, `node ${node} died: it runs on`],
    ["that it waits", /it runs on worker [0-9a-f]{40}/, "$& and waits in get for"],
  ])("a lie is told: %s", async (_, words, lie) => {
    const { ask } = WaitReasons.prototype;
    WaitReasons.prototype.ask = function lying(...[entry, text, onTold, nowMs, out]): void {
      const told: typeof onTold = (said, isLast, to) =>
        onTold(said.replace(words, lie), isLast, to);
      ask.call(this, entry, text, told, nowMs, out);
    };
    try {
      const { untrue } = await toldOf(() => sleep.options({ name: "sleep" }).remote(2_000));
      expect(untrue).toHaveLength(1);
      expect(untrue[0]).toMatch(/^4 no loss: /);
    } finally {
      WaitReasons.prototype.ask = ask;
    }
  });
});

test("what is told of a world that stands still is looked at as well", () => {
  const told: string[] = [];
  const oracle = new ReasonOracle(({ message }) => void told.push(message), {
    fates: () => ({ hasBuried: () => false, isGone: () => false }) as unknown as Fates,
    processes: () => [],
    lastPause: () => null,
    nowMs: () => 0,
  });
  oracle.onStuck(`deadlock: …\n  the program waits for task ping (${oid}): it runs on worker0`);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`nobody has called task ${oid}`);
});
