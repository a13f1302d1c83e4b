/**
 * Two threads' ends of one link with their pollers, in one thread: rings so small that they are
 * full most of the time, and ends that park as soon as they find nothing. Everything arrives.
 */
import * as fc from "fast-check";
import { MessageChannel } from "node:worker_threads";
import { expect, test } from "vitest";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import { makeLinkMemory, openLinkMemory } from "#transports/threads/link-memory.ts";
import { Bell, makeParkedWords, Poller } from "#transports/threads/parking.ts";
import { ThreadTransport } from "#transports/threads/transport.ts";

const nodeId = "ab".repeat(16) as NodeId;
const addresses = [workerIdOf(nodeId, 1), workerIdOf(nodeId, 2)] as const;

/** Its size grows with the number of objects. */
function frameOf(from: 0 | 1, number: number, objects: number): Message {
  const list = Array.from({ length: objects + 1 }, () => ({ serial: number, index: 1 }));
  return { type: "releaseHolds", from: addresses[from], objects: list };
}

class End {
  readonly received: number[] = [];
  readonly transport: ThreadTransport;
  readonly poller: Poller;
  #onReceived: () => void = () => {};

  constructor(self: 0 | 1, words: Int32Array, budget: number) {
    this.transport = new ThreadTransport({
      localSlots: [addresses[self]],
      receiver: {
        onMessage: (_, message) => {
          if (message.type === "releaseHolds") this.received.push(message.objects[0]?.serial ?? -1);
          this.#onReceived();
        },
        onBuffersMoved: () => {},
        onWritable: () => {},
        onWork: () => {},
      },
      requestLink: () => {},
      onWork: () => this.poller.kick(),
    });
    this.poller = new Poller({
      words,
      threadIndex: self,
      idleTurnsMax: 1,
      spinLooksMax: 1,
      hasData: () => this.transport.hasControlData() || this.transport.hasTask(),
      pump: () => this.transport.poll(budget),
    });
  }

  async all(count: number): Promise<void> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => (this.#onReceived = resolve));
    }
  }
}

test("whatever is sent arrives, in order, though both ends park", { timeout: 60_000 }, async () => {
  const sizes = fc.array(fc.oneof(fc.nat(3), fc.nat(40), fc.nat(400)), { maxLength: 60 });
  const given = fc.tuple(sizes, sizes, fc.constantFrom(128, 256, 1024), fc.constantFrom(1, 3, 64));
  const property = fc.asyncProperty(given, async ([there, back, capacity, budget]) => {
    const words = new Int32Array(makeParkedWords());
    const memory = makeLinkMemory(capacity, capacity);
    const { port1, port2 } = new MessageChannel();
    const ends = [new End(0, words, budget), new End(1, words, budget)] as const;
    for (const [i, port] of [port1, port2].entries()) {
      const [self, peer] = i === 0 ? [0 as const, 1 as const] : [1 as const, 0 as const];
      port.on("message", () => ends[self].poller.onNudge());
      const bell = new Bell(words, peer, port);
      ends[self].transport.openLink([addresses[peer]], openLinkMemory(memory, self), bell);
      ends[self].poller.kick();
    }
    for (let i = 0; i < Math.max(there.length, back.length); i++) {
      for (const [self, list] of [there, back].entries()) {
        const objects = list[i];
        const from = self as 0 | 1;
        const to = addresses[1 - from] as (typeof addresses)[0];
        if (objects !== undefined) ends[from].transport.send(to, frameOf(from, i, objects));
      }
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([ends[0].all(back.length), ends[1].all(there.length)]);
    for (const end of ends) end.poller.stop();
    port1.close();
    expect(ends[0].received).toEqual(back.map((_, i) => i));
    expect(ends[1].received).toEqual(there.map((_, i) => i));
  });
  await fc.assert(property, { numRuns: 150, timeout: 5_000 });
});

test("room that was told after the last look keeps a thread from parking", () => {
  const words = new Int32Array(makeParkedWords());
  const memory = makeLinkMemory(256, 256);
  const { port1, port2 } = new MessageChannel();
  const [writer, reader] = [new End(0, words, 64), new End(1, words, 64)];
  for (const { poller } of [writer, reader]) poller.stop();
  writer.transport.openLink([addresses[1]], openLinkMemory(memory, 0), new Bell(words, 1, port1));
  reader.transport.openLink([addresses[0]], openLinkMemory(memory, 1), new Bell(words, 0, port2));
  for (let i = 0; i < 20; i++) writer.transport.send(addresses[1], frameOf(0, i, 1));
  writer.transport.poll(1);
  expect(writer.transport.hasControlData()).toBe(false);
  // The writer has not parked yet, so the reader's bell does not nudge it.
  reader.transport.poll(64);
  expect(writer.transport.hasControlData()).toBe(true);
  port1.close();
});
