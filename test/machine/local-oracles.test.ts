/** Oracles of local mode: what they remember, how values are told apart, how violations show. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { GarbageCollection } from "#api/garbage-collection.ts";
import { nodeDiskNow } from "#api/node-disk-now.ts";
import { makeProcess, realClock } from "#api/process.ts";
import { defaultConfig } from "#engine/common/config.ts";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import { InlineValue, noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { MemoryWords } from "#engine/services/memory-words.ts";
import { LocalOracles } from "#sim/oracles/local-oracles.ts";
import { ObjectOracle } from "#sim/oracles/objects.ts";
import { Recent } from "#sim/oracles/recent.ts";
import { digestIn } from "#sim/oracles/value-digest.ts";
import { ViolationError } from "#sim/oracles/violation-error.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";

const nodeId = "0".repeat(32) as NodeId;
const nothing = (): void => {};

describe("what is remembered", () => {
  test("is bounded: what was used lately stays", () => {
    const recent = new Recent<number>(8);
    for (let i = 0; i < 4; i++) recent.set("a", i, i);
    expect(recent.hasForgotten).toBe(false);
    for (let i = 4; i < 100; i++) {
      expect(recent.get("a", 0)).toBe(0);
      recent.set(i % 2 === 0 ? "a" : "b", i, i);
    }
    expect(recent.hasForgotten).toBe(true);
    expect(recent.get("a", 0)).toBe(0);
    expect(recent.get("b", 99)).toBe(99);
    expect(recent.get("a", 99)).toBeUndefined();
    const left = Array.from({ length: 100 }, (_, i) => recent.get(i % 2 ? "b" : "a", i));
    expect(left.filter((value) => value !== undefined).length).toBeLessThanOrEqual(8);
  });

  test("without a bound is everything", () => {
    const recent = new Recent<number>(Infinity);
    for (let i = 0; i < 1_000; i++) recent.set("a", i, i);
    expect(recent.get("a", 0)).toBe(0);
    expect(recent.hasForgotten).toBe(false);
  });
});

test("an array with many holes is not looked through to its end", () => {
  let looks = 0;
  const count = (): number => (looks += 1);
  const handler: ProxyHandler<unknown[]> = {
    get: (target, name, receiver) => (count(), Reflect.get(target, name, receiver) as unknown),
    has: (target, name) => (count(), Reflect.has(target, name)),
  };
  const violations: unknown[] = [];
  const scope = { seesAll: false, rememberedMax: 8, isOneThread: true };
  const oracle = new ObjectOracle((violation) => violations.push(violation), scope);
  const value = new Proxy(Array.from({ length: 0 }), handler);
  value.length = 1_000_000;
  oracle.onGiven(value, null);
  expect(looks).toBeLessThan(10_000);
  oracle.onGiven([value], null);
  expect(violations).toHaveLength(1);
});

describe("digests", () => {
  const segment = new Uint8Array(256);
  const digest = digestIn(() => segment);
  const inline = (bytes: Uint8Array, start: number, length: number): string =>
    digest(new InlineValue(bytes, start, length, noSpecials));

  test("do not depend on where the bytes lie", () => {
    const value = Uint8Array.from({ length: 67 }, (_, i) => i * 7);
    for (let at = 0; at < 20; at++) {
      segment.fill(255);
      segment.set(value, at);
      expect(digest(new StoredValue(0, at, 67, noSpecials))).toBe(inline(value, 0, 67));
    }
  });

  test("tell every changed bit, whatever the length", () => {
    for (let length = 1; length < 40; length++) {
      const value = new Uint8Array(length).fill(3);
      const before = inline(value, 0, length);
      for (let bit = 0; bit < length * 8; bit++) {
        value[bit >> 3] = 3 ^ (1 << (bit & 7));
        expect(inline(value, 0, length)).not.toBe(before);
        value[bit >> 3] = 3;
      }
    }
  });
});

describe("what no call can tell", () => {
  afterEach(() => vi.restoreAllMocks());

  function watchedProcess() {
    const arena = new SharedArena([]);
    const process = makeProcess({
      workerId: workerIdOf(nodeId, 0),
      nodeId,
      clusterId: "local",
      config: defaultConfig,
      checkInvariants: true,
      clock: realClock,
      reclaimer: new GarbageCollection({ storeBytes: 1 << 20, handleCollectMs: 0 }),
      arena,
      memoryWords: MemoryWords.of({ storeBytes: 0, threads: 1 }),
      thread: 0,
      spilled: { disk: nodeDiskNow, prefix: "" },
      announceSegment: nothing,
      announceDrop: nothing,
      forgetPeer: nothing,
      keepAlive: nothing,
    });
    process.client.host.connect({
      send: nothing,
      sendTask: () => 0,
      retract: () => false,
      isCongested: () => false,
      moveBuffers: nothing,
      poll: () => false,
      pollTask: () => false,
    });
    const oracles = new LocalOracles(arena);
    oracles.watch(process, "driver");
    vi.spyOn(globalThis.process, "emitWarning").mockReturnValue();
    return { client: process.client, oracles };
  }

  test("is a warning at once, and thrown at the end", () => {
    const { client, oracles } = watchedProcess();
    const { serial } = client.putObject(1);
    oracles.verify();
    vi.spyOn(client.core.serials, "take").mockReturnValue(serial);
    client.putObject(2);
    expect(globalThis.process.emitWarning).toHaveBeenCalledOnce();
    const caught = caughtOf(() => oracles.verify());
    expect(caught).toBeInstanceOf(ViolationError);
    expect(caught).toMatchObject({ name: "AssertionError", oracle: "1 tasks" });
    expect(String(caught)).toContain("its id is not newer than the last");
    // Told once.
    oracles.verify();
  });

  test("all of it, if it is several", () => {
    const { client, oracles } = watchedProcess();
    const { serial } = client.putObject(1);
    vi.spyOn(client.core.serials, "take").mockReturnValue(serial);
    client.putObject(2);
    client.putObject(3);
    const caught = caughtOf(() => oracles.verify());
    expect(caught).toBeInstanceOf(AggregateError);
    expect((caught as AggregateError).errors).toHaveLength(2);
  });
});

function caughtOf(body: () => void): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}
