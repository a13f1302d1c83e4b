/** Reasons are true: what a chain claims, and who is told of one that was not so. */
import { describe, expect, test } from "vitest";
import { nodeIdOf, type WorkerId } from "#engine/common/ids.ts";
import { WaitReasons } from "#engine/core-worker/wait-reasons.ts";
import { ObjectManager } from "#engine/raylet/object-manager.ts";
import { get, put, wait } from "#api/get.ts";
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

describe("of bytes that are not here", () => {
  const length = 100_000;
  const count = 30;
  const makeText = remote((n: number) => `${n} `.repeat(length).slice(0, length));

  /** Read from a slow disk, in vain. */
  async function toldOfSpilled(): Promise<{ text: string; untrue: string[] }> {
    const faults: Fault[] = [{ at: 1_000, kind: "disk", node: 0, what: "slow", forMs: 60_000 }];
    const init = { objectStoreMemory: 1 << 20 };
    const report = await simulate({ seed: 1, nodes: 1, init, faults }, async (sim) => {
      const refs = Array.from({ length: count }, (_, n) => makeText.remote(n));
      await wait(refs, { numReturns: count });
      await sim.sleep(1_500 - sim.nowMs);
      for (const ref of refs) {
        const text = await get(ref, { timeoutMs: 4 }).then(() => "", String);
        if (text !== "") return text;
      }
      return "";
    });
    expect(report.error).toBeUndefined();
    const untrue = report.violations.map(({ oracle, message }) => `${oracle}: ${message}`);
    return { text: report.result ?? "", untrue };
  }

  test("the truth is told", async () => {
    const { text, untrue } = await toldOfSpilled();
    expect(text).toContain(": it is being restored from disk");
    expect(untrue).toEqual([]);
  });

  test.each([
    ["that they are here", "its bytes are here by now"],
    ["that their owner is asked", `its owner ${worker} is asked where it lies`],
    ["that they come from a node", `it is on its way from node ${node} (0 of 5 bytes are here)`],
    [
      "that there is no room",
      `waits for room in the store of node ${node} (1 of 1048576 bytes in use, it needs 5)`,
    ],
    [
      "that others lack room",
      `it lies in the store of node ${node}, and those that asked before it lack room`,
    ],
    ["that others come first", `waits until others are brought to node ${node}`],
    ["that it failed", "what has become of it is on its way"],
    ["what nobody says", "its bytes are nowhere"],
  ])("a raylet lies: %s", async (_, lie) => {
    const { onExplainPull } = ObjectManager.prototype;
    ObjectManager.prototype.onExplainPull = function lying({ from, requestId }, out): void {
      out.send(from, {
        type: "pullExplained",
        from: nodeIdOf(from as WorkerId),
        requestId,
        text: lie,
      });
    };
    try {
      const { untrue } = await toldOfSpilled();
      expect(untrue.length).toBeGreaterThan(0);
      expect(untrue[0]).toMatch(/^4 no loss: /);
      expect(untrue[0]).toContain(lie);
    } finally {
      ObjectManager.prototype.onExplainPull = onExplainPull;
    }
  });

  test("a process tells what no raylet has said", async () => {
    const { ask } = WaitReasons.prototype;
    WaitReasons.prototype.ask = function lying(...[entry, text, onTold, nowMs, out]): void {
      const told: typeof onTold = (said, isLast, to) =>
        onTold(
          said.replace("it is being restored from disk", "its bytes are here by now"),
          isLast,
          to,
        );
      ask.call(this, entry, text, told, nowMs, out);
    };
    try {
      const { untrue } = await toldOfSpilled();
      expect(untrue).toHaveLength(1);
      expect(untrue[0]).toMatch(
        /^4 no loss: no raylet has said so: object \w+: its bytes are here/,
      );
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
    nodes: () => [],
    lastPause: () => null,
    nowMs: () => 0,
  });
  oracle.onStuck(`deadlock: …\n  the program waits for task ping (${oid}): it runs on worker0`);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`nobody has called task ${oid}`);
});
