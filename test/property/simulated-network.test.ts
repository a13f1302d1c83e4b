/**
 * The simulated network against a world that cuts, loses, doubles, turns round and separates: what
 * a process takes from another is a prefix of what that sent, in order, each once; when the world
 * behaves again, all of it.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type NodeId, type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { Fate } from "#transports/simulated/network-world.ts";
import { type Endpoint, Network } from "#transports/simulated/network.ts";
import { HarmfulWorld } from "./harmful-world.ts";

const addresses = ["a", "b", "c"].map((digit) => workerIdOf(digit.repeat(32) as NodeId, 1));

class Peer {
  readonly endpoint: Endpoint;
  readonly #address: WorkerId;
  readonly #sent = new Map<WorkerId, number>();
  readonly #taken = new Map<WorkerId, number[]>();

  constructor(network: Network, node: number) {
    this.#address = addresses[node] as WorkerId;
    const onMessage = (_: unknown, message: Message): void => {
      expect(message.type).toBe("releaseLease");
      if (message.type !== "releaseLease") return;
      this.takenFrom(message.from as WorkerId).push(message.leaseId);
    };
    this.endpoint = network.join({ name: `p${node}`, node }, [this.#address], {
      onMessage,
      onBuffersMoved: () => {},
      onWritable: () => {},
      onWork: () => void this.endpoint.poll(100),
    });
  }

  send(to: WorkerId): void {
    const leaseId = this.sentTo(to) + 1;
    this.#sent.set(to, leaseId);
    this.endpoint.send(to, { type: "releaseLease", from: this.#address, leaseId });
  }

  sentTo(to: WorkerId): number {
    return this.#sent.get(to) ?? 0;
  }

  takenFrom(from: WorkerId): number[] {
    const taken = this.#taken.get(from) ?? [];
    this.#taken.set(from, taken);
    return taken;
  }
}

const events = fc.array(
  fc.record({
    from: fc.nat(2),
    to: fc.nat(2),
    what: fc.constantFrom("send", "send", "send", "run", "separate", "cutAll", "cutNode"),
    ms: fc.nat(400),
  }),
  { maxLength: 120, size: "max" },
);

function play(
  seed: number,
  harms: readonly Fate[],
  plan: (typeof events extends fc.Arbitrary<infer E> ? E : never) & object,
): HarmfulWorld {
  const world = new HarmfulWorld(seed, harms);
  const network = new Network(world);
  const peers = addresses.map((_, node) => new Peer(network, node));
  const check = (isAll: boolean): void => {
    for (const [i, peer] of peers.entries()) {
      for (const [j, other] of peers.entries()) {
        if (i === j) continue;
        const sent = other.sentTo(addresses[i] as WorkerId);
        const taken = peer.takenFrom(addresses[j] as WorkerId);
        expect(taken).toEqual(Array.from(taken, (_, at) => at + 1));
        if (isAll) expect(taken.length).toBe(sent);
        else expect(taken.length).toBeLessThanOrEqual(sent);
      }
    }
  };
  for (const { from, to, what, ms } of plan) {
    if (what === "run") world.run(ms / 10);
    else if (what === "cutAll") network.cutAll();
    else if (what === "cutNode") network.cutNode(from);
    else if (from === to) continue;
    else if (what === "separate") world.separate(from, to, ms % 3 === 0 ? 20_000 : ms);
    else peers[from]?.send(addresses[to] as WorkerId);
    check(false);
  }
  world.heals = true;
  network.cutAll();
  world.run(60_000);
  check(true);
  return world;
}

describe("whatever the world does", () => {
  test.each<[string, readonly Fate[]]>([
    ["legal: links are cut", ["cut"]],
    [
      "hostile: frames are lost, doubled, turned round, replayed",
      ["cut", "lose", "duplicate", "reorder", "replay"],
    ],
  ])("%s", (_, harms) => {
    const fates = new Set<Fate>();
    let resumedCount = 0;
    const property = fc.property(fc.nat(), events, (seed, plan) => {
      const world = play(seed, harms, plan);
      for (const fate of world.fates) fates.add(fate);
      resumedCount += world.resumedCount;
    });
    fc.assert(property, { numRuns: 300 });
    expect([...fates].sort()).toEqual([...harms].sort());
    expect(resumedCount).toBeGreaterThan(100);
  });
});

test("a process that ends takes nothing more; what it had put on the link arrives", () => {
  const world = new HarmfulWorld(1, []);
  world.heals = true;
  const network = new Network(world);
  const [a, b] = [new Peer(network, 0), new Peer(network, 1)];
  const [toA, toB] = addresses as [WorkerId, WorkerId];
  a.send(toB);
  world.run(50);
  b.send(toA);
  a.send(toB);
  network.leave(b.endpoint);
  a.send(toB);
  b.send(toA);
  world.run(60_000);
  expect(a.takenFrom(toB)).toEqual([1]);
  expect(b.takenFrom(toA)).toEqual([1]);
});

describe("a link that is cut", () => {
  const [toA, toB] = addresses as [WorkerId, WorkerId];
  const connected = (): { world: HarmfulWorld; network: Network; a: Peer; b: Peer } => {
    const world = new HarmfulWorld(7, []);
    world.nextFate = "pass";
    world.fixedDelayMs = 20_000;
    const network = new Network(world);
    const [a, b] = [new Peer(network, 0), new Peer(network, 1)];
    a.send(toB);
    world.run(30_000);
    expect(b.takenFrom(toA)).toEqual([1]);
    return { world, network, a, b };
  };

  test("carries nothing more: neither what was under way nor what is sent behind", () => {
    const { world, network, a, b } = connected();
    a.send(toB);
    network.cutAll();
    world.fixedDelayMs = 1;
    a.send(toB);
    // Both ends know of it now, and are on the next link.
    world.run(15_000);
    expect(b.takenFrom(toA)).toEqual([1, 2, 3]);
    expect(world.resumedCount).toBe(1);
    // What was under way then would have come by now: it does not break the new link.
    world.run(60_000);
    expect(world.resumedCount).toBe(1);
  });

  test("is not believed though it still carries for the end that knows nothing", () => {
    const { world, network, a, b } = connected();
    world.fixedDelayMs = 0.001;
    network.cutAll();
    a.send(toB);
    world.run(0.01);
    expect(b.takenFrom(toA)).toEqual([1]);
    world.run(15_000);
    expect(b.takenFrom(toA)).toEqual([1, 2]);
  });

  test("a frame that is lost in silence is missed in time, though nothing follows it", () => {
    const { world, a, b } = connected();
    world.fixedDelayMs = 1;
    world.nextFate = "lose";
    a.send(toB);
    world.run(4_000);
    expect(b.takenFrom(toA)).toEqual([1]);
    world.run(15_000);
    expect(b.takenFrom(toA)).toEqual([1, 2]);
  });

  test("a frame of it that comes once more on the next one is not believed", () => {
    const { world, a, b } = connected();
    world.fixedDelayMs = 1;
    world.nextFate = "replay";
    a.send(toB);
    world.run(8_000);
    b.send(toA);
    a.send(toB);
    world.run(30_000);
    expect(b.takenFrom(toA)).toEqual([1, 2, 3]);
    expect(a.takenFrom(toB)).toEqual([1]);
    // Once for the cut, once for the frame with the number of a link that is over.
    expect(world.resumedCount).toBe(2);
  });
});
