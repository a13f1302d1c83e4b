/**
 * What every transport must do (src/engine/protocol/transport.ts), whatever carries its frames:
 * three stations, of which each sends to the others, at random and in the cases that matter.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultConfig } from "#engine/common/config.ts";
import { type NodeId, workerIdOf } from "#engine/common/ids.ts";
import { Station } from "./transport-station.ts";

export interface TransportWorld {
  /** Something happens of what can, perhaps nothing. */
  some(): Promise<void>;
  /** All happens that can. */
  quiet(): Promise<void>;
  /** A station that did not read reads on, or wants tasks again. */
  wake(station: Station): void;
  /** The station's process ends. */
  end(station: Station): void;
  close(): void;
}

export interface TransportKind {
  /** Task frames that were not taken can be had back. */
  readonly canRetract: boolean;
  /** The end of a peer comes behind what it sent. */
  readonly tellsEnd: boolean;
  readonly isEverCongested: boolean;
  /** What one that reads nothing is sent by those who wait for room, but for one frame more. */
  windowBytes?(seed: number): number;
  /** To another node they are copied, which is not its business. */
  readonly movesBuffers: boolean;
  /** An endpoint can end inside of its own handler, and its thread goes on. */
  readonly endsInHandler: boolean;
  make(stations: readonly Station[], seed: number): TransportWorld;
}

type Three = readonly [Station, Station, Station];
type Play = (world: TransportWorld, stations: Three) => Promise<void>;

const addresses = ["a", "b", "c"].map((digit) => workerIdOf(digit.repeat(32) as NodeId, 1));
/** A world of many frames' room, where room has bounds. */
const roomySeed = 2;
const sizeMax = defaultConfig.inlineBytesMax;
/** No frame is smaller, on any wire. */
const frameBytesLeast = 20;
const sizes = fc.oneof(
  { weight: 5, arbitrary: fc.nat(40) },
  { weight: 3, arbitrary: fc.nat(400) },
  { weight: 1, arbitrary: fc.nat(4_000) },
);
const events = fc.array(
  fc.record({
    what: fc.constantFrom(
      ...(["send", "send", "send", "task", "task", "task", "retract", "retract"] as const),
      ...(["ask", "ask", "some", "some", "stop", "go", "wantNone", "want"] as const),
    ),
    from: fc.nat(2),
    to: fc.nat(2),
    size: sizes,
    which: fc.nat(5),
  }),
  { maxLength: 80, size: "max" },
);
type Event = typeof events extends fc.Arbitrary<(infer E)[]> ? E : never;

const given = fc.record({
  seed: fc.nat(),
  budget: fc.constantFrom(1, 3, 64),
  events,
  /** Before which of the events the last station ends; behind them all: it does not. */
  endsAt: fc.nat(120),
});

export function describeTransport(name: string, kind: TransportKind): void {
  const inWorld = async (play: Play, seed = 0, budget = 64): Promise<void> => {
    const stations = addresses.map((address) => new Station(address, budget));
    const world = kind.make(stations, seed);
    try {
      await play(world, stations as unknown as Three);
    } finally {
      world.close();
    }
  };

  describe(`transport: ${name}`, () => {
    test("whatever is sent, taken back, held up: all else arrives, once, in order", async () => {
      const reached = new Set<string>();
      const property = fc.asyncProperty(given, ({ seed, budget, events: list, endsAt }) =>
        inWorld(
          async (world, stations) => {
            for (const station of stations) station.onControl = answers(station);
            for (const [i, event] of list.entries()) {
              if (i === endsAt) world.end(stations[2]);
              if (event.what === "some") await world.some();
              else act(world, stations, event, kind, reached);
            }
            for (const station of stations) goOn(world, station);
            await world.quiet();
            checkAll(stations, kind);
          },
          seed,
          budget,
        ),
      );
      await fc.assert(property, { numRuns: 150 });
      const expected = ["kept", ...(kind.canRetract ? ["retracted"] : [])];
      if (kind.isEverCongested) expected.push("congested");
      expect([...reached].sort()).toEqual(expected.sort());
    });

    test.each([0, 1, 2])("frames of no bytes, and of as many as there may be (%i)", (seed) =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        for (const size of [0, sizeMax, 1, sizeMax - 1, 0]) {
          a.send(b.address, size);
          a.sendTask(b.address, size);
          b.send(a.address, size);
        }
        await world.quiet();
        checkAll(stations, kind);
        expect(b.tasksFrom(a.address)).toEqual([1, 2, 3, 4, 5]);
      }, seed),
    );

    test("a frame that is taken back never arrives; one that was taken is not had back", () =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        const first = a.sendTask(b.address, 10);
        await world.quiet();
        expect(b.tasksFrom(a.address)).toEqual([1]);
        expect(a.retract(b.address, first)).toBe(false);
        b.wantsTasks = false;
        const second = a.sendTask(b.address, 10);
        const third = a.sendTask(b.address, 10);
        await world.quiet();
        expect(a.retract(b.address, second)).toBe(kind.canRetract);
        expect(a.transport.retract(b.address, second.position)).toBe(false);
        goOn(world, b);
        await world.quiet();
        expect(a.retract(b.address, third)).toBe(false);
        expect(b.tasksFrom(a.address)).toEqual(kind.canRetract ? [1, 3] : [1, 2, 3]);
      }));

    test.each([0, 1, 2])("a large frame can be taken back while it is under way (%i)", (seed) =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        const sizesOf = [3_000, 20, 3_000, 20];
        b.wantsTasks = false;
        a.sendTask(b.address, 0);
        await world.quiet();
        const tasks = sizesOf.map((size) => a.sendTask(b.address, size));
        await world.quiet();
        for (const task of tasks) {
          expect(a.retract(b.address, task)).toBe(kind.canRetract);
          expect(a.transport.retract(b.address, task.position)).toBe(false);
        }
        const last = a.sendTask(b.address, 3_000);
        goOn(world, b);
        await world.quiet();
        expect(a.retract(b.address, last)).toBe(false);
        checkAll(stations, kind);
      }, seed),
    );

    test.each(["control", "tasks"])("room is told once, however it came about: %s", (stream) =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        const send = (): void => {
          if (stream === "tasks") a.sendTask(b.address, 300);
          else a.send(b.address, 300);
        };
        send();
        await world.quiet();
        b.reads = false;
        for (let i = 0; i < 8; i++) send();
        await world.quiet();
        expect(a.asksForRoom(b.address)).toBe(!kind.isEverCongested);
        expect(a.asksForRoom(b.address)).toBe(!kind.isEverCongested);
        await world.quiet();
        expect(a.writableCount).toBe(0);
        b.reads = true;
        // All is taken, and what is sent next finds the room before anybody else has looked.
        for (let i = 0; i < 100; i++) {
          b.pump();
          send();
        }
        goOn(world, b);
        await world.quiet();
        expect(a.writableCount).toBe(kind.isEverCongested ? 1 : 0);
        checkAll(stations, kind);
      }),
    );

    test("room is told when the frames that waited are taken back", () =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        a.sendTask(b.address, 0);
        await world.quiet();
        b.wantsTasks = false;
        const tasks = Array.from({ length: 40 }, () => a.sendTask(b.address, 30));
        await world.quiet();
        a.asksForRoom(b.address);
        for (const task of tasks) expect(a.retract(b.address, task)).toBe(kind.canRetract);
        await world.quiet();
        if (kind.canRetract) expect([...a.waitsFor]).toEqual([]);
        goOn(world, b);
        await world.quiet();
        checkAll(stations, kind);
      }, roomySeed));

    const { windowBytes } = kind;
    const boundCases = [0, 1, 2].flatMap((seed) => [
      { seed, stream: "control" },
      { seed, stream: "tasks" },
    ]);
    test.runIf(windowBytes !== undefined).each(boundCases)(
      "who waits for room has no more under way than that, and loses nothing: $stream ($seed)",
      ({ seed, stream }) =>
        inWorld(async (world, stations) => {
          const [a, b] = stations;
          const frameSizes = [0, 120, 7, 300, 0, 0];
          let [count, bytes] = [0, 0];
          const sendSome = async (most: number): Promise<void> => {
            for (let i = 0; i < most && a.asksForRoom(b.address); i++) {
              const size = frameSizes[count % frameSizes.length] ?? 0;
              count += 1;
              bytes += size + frameBytesLeast;
              if (stream === "tasks") a.sendTask(b.address, size);
              else a.send(b.address, size);
              if (i % 5 === 0) await world.some();
            }
            await world.quiet();
          };
          await sendSome(1);
          b.reads = stream === "tasks";
          b.wantsTasks = false;
          for (let round = 0; round < 4; round++) await sendSome(4_000);
          // Ever so small, they are counted as well.
          expect(bytes).toBeLessThanOrEqual((windowBytes?.(seed) ?? 0) + 300 + frameBytesLeast);
          expect(a.writableCount).toBe(0);
          for (let round = 0; round < 20; round++) {
            const before = count;
            goOn(world, b);
            await world.quiet();
            expect([...a.waitsFor]).toEqual([]);
            b.reads = round % 2 === 0 && stream === "tasks";
            b.wantsTasks = false;
            await sendSome(50);
            expect(count).toBeGreaterThan(before);
          }
          goOn(world, b);
          await world.quiet();
          expect(a.writableCount).toBeGreaterThan(0);
          checkAll(stations, kind);
        }, seed),
    );

    test("a peer that does not read, and one that sends without end, disturb nobody else", () =>
      inWorld(async (world, stations) => {
        const [a, b, c] = stations;
        for (const peer of [b, c]) a.sendTask(peer.address, 1);
        await world.quiet();
        b.reads = false;
        for (let i = 0; i < 50; i++) {
          a.send(b.address, 100);
          a.sendTask(b.address, 100);
          a.send(c.address, 100);
          a.sendTask(c.address, 100);
        }
        await world.quiet();
        expect(b.controlFrom(a.address)).toEqual([]);
        expect(c.controlFrom(a.address)).toEqual(a.sentControlTo(c.address));
        expect(c.tasksFrom(a.address)).toEqual(a.sentTasksTo(c.address));
        goOn(world, b);
        await world.quiet();
        checkAll(stations, kind);
      }));

    test("control frames pass by tasks that nobody wants yet", () =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        b.wantsTasks = false;
        for (let i = 0; i < 20; i++) {
          a.sendTask(b.address, 100);
          a.send(b.address, 100);
        }
        await world.quiet();
        expect(b.controlFrom(a.address)).toEqual(a.sentControlTo(b.address));
        expect(b.tasksFrom(a.address)).toEqual([]);
        goOn(world, b);
        await world.quiet();
        checkAll(stations, kind);
      }));

    test("a sender of tasks without end does not hold back the tasks of another", () =>
      inWorld(async (world, stations) => {
        const [a, b, c] = stations;
        for (const peer of [a, b]) peer.sendTask(c.address, 1);
        await world.quiet();
        c.wantsTasks = false;
        for (const peer of [a, b, a, b]) peer.sendTask(c.address, 1);
        await world.quiet();
        const senders: string[] = [];
        c.onTask = (from) => {
          senders.push(from);
          if (senders.length < 40) (from === a.address ? a : b).sendTask(c.address, 1);
        };
        goOn(world, c);
        await world.quiet();
        expect(new Set(senders.slice(0, 20)).size).toBe(2);
        checkAll(stations, kind);
      }, roomySeed));

    test.runIf(kind.movesBuffers)("buffers are moved, each once, to a living process only", () =>
      inWorld(async (world, stations) => {
        const [a, b, c] = stations;
        const lists = [[[1, 2, 3], []], [[4]]] as const;
        for (const from of [a, c]) from.send(b.address, 10);
        await world.quiet();
        const given = [
          ...a.moveBuffers(b.address, 1, lists[0]),
          ...c.moveBuffers(b.address, 2, lists[1]),
        ];
        for (const buffer of given) expect(() => new Uint8Array(buffer)).toThrow(TypeError);
        for (let i = 0; i < 100 && b.moved.length < 3; i++) await world.some();
        await world.quiet();
        const ofA = b.moved.filter(({ from }) => from === a.address);
        expect(ofA.map(({ seq, bytes }) => [seq, bytes])).toEqual(lists[0].map((one) => [1, one]));
        const ofC = b.moved.filter(({ from }) => from === c.address);
        expect(ofC).toEqual([{ from: c.address, seq: 2, bytes: [4] }]);
        world.end(b);
        await world.quiet();
        a.moveBuffers(b.address, 3, [[5]]);
        await world.quiet();
        expect(b.moved).toHaveLength(3);
        checkAll(stations, kind);
      }),
    );

    test.runIf(kind.endsInHandler)("one that ends inside of its handler takes nothing more", () =>
      inWorld(async (world, stations) => {
        const [a, b] = stations;
        b.reads = false;
        for (let i = 0; i < 3; i++) a.send(b.address, 1);
        const task = a.sendTask(b.address, 1);
        await world.quiet();
        b.onControl = () => world.end(b);
        goOn(world, b);
        await world.quiet();
        expect(b.controlFrom(a.address)).toEqual([1]);
        expect(b.transport.poll(64)).toBe(false);
        expect(b.transport.pollTask()).toBe(false);
        expect(a.retract(b.address, task)).toBe(kind.canRetract);
      }),
    );

    test("an end is told once, behind what was sent; what is sent to it after is dropped", () =>
      inWorld(async (world, stations) => {
        const [a, b, c] = stations;
        for (const peer of [b, c]) {
          peer.send(a.address, 1);
          a.send(peer.address, 1);
        }
        await world.quiet();
        a.wantsTasks = false;
        c.wantsTasks = false;
        const untaken = a.sendTask(c.address, 1);
        await world.quiet();
        c.sendTask(a.address, 8);
        await world.quiet();
        for (let i = 0; i < 3; i++) c.send(a.address, 8);
        world.end(c);
        const late = a.sendTask(c.address, 1);
        for (let i = 0; i < 30; i++) a.send(c.address, 100);
        goOn(world, a);
        await world.quiet();
        a.send(c.address, 1);
        b.send(c.address, 1);
        b.send(a.address, 1);
        await world.quiet();
        const told = kind.tellsEnd ? [{ peer: c.address, controlCount: 4 }] : [];
        expect(a.ends).toEqual(told);
        if (kind.tellsEnd) expect(a.controlFrom(c.address)).toEqual([1, 2, 3, 4]);
        expect(b.ends.length).toBe(kind.tellsEnd ? 1 : 0);
        expect(c.controlFrom(a.address)).toEqual([1]);
        // What never came is as good as taken back; of what another node took nobody knows.
        expect(a.retract(c.address, late)).toBe(true);
        expect(a.retract(c.address, untaken)).toBe(kind.canRetract);
        expect(a.transport.retract(c.address, untaken.position)).toBe(false);
        checkAll(stations, kind);
      }, roomySeed));
  });
}

/** Some frames are answered inside of their handler, and that answer is not answered. */
function answers(station: Station): (from: Station["address"], number: number) => void {
  return (from, number) => {
    if (number % 4 === 0) station.send(from, number);
    if (number % 8 === 0) station.sendTask(from, number * 9);
  };
}

// oxlint-disable-next-line max-params -- an event, where it happens, and what it must come to.
function act(
  world: TransportWorld,
  stations: Three,
  { what, from, to, size, which }: Event,
  kind: TransportKind,
  reached: Set<string>,
): void {
  const [sender, receiver] = [stations[from], stations[to]] as [Station, Station];
  if (sender.hasEnded || sender === receiver) return;
  switch (what) {
    case "send":
      return sender.send(receiver.address, size);
    case "task":
      return void sender.sendTask(receiver.address, size);
    case "retract": {
      const task = sender.sentTasks.get(receiver.address)?.at(-1 - which);
      if (task === undefined) return;
      const isTaken = receiver.tasksFrom(sender.address).includes(task.number);
      const canRetract = kind.canRetract && !isTaken && !task.isRetracted;
      // Whatever was sent to one that has ended was dropped: that may be said twice.
      if (!receiver.hasEnded) {
        expect(sender.retract(receiver.address, task)).toBe(canRetract);
      } else if (canRetract) expect(sender.retract(receiver.address, task)).toBe(true);
      else if (isTaken) expect(sender.retract(receiver.address, task)).toBe(false);
      return void reached.add(canRetract ? "retracted" : "kept");
    }
    case "ask":
      if (receiver.hasEnded || sender.asksForRoom(receiver.address)) return;
      return void reached.add("congested");
    case "stop":
      sender.reads = false;
      return;
    case "wantNone":
      sender.wantsTasks = false;
      return;
    case "go":
    case "want":
      return goOn(world, sender);
    case "some":
      return;
  }
}

function goOn(world: TransportWorld, station: Station): void {
  station.reads = true;
  station.wantsTasks = true;
  if (!station.hasEnded) world.wake(station);
}

/** When all is quiet: between two that live all has arrived, else what arrived is a prefix. */
function checkAll(stations: Three, kind: TransportKind): void {
  for (const receiver of stations) {
    receiver.checkKept();
    for (const sender of stations) if (sender !== receiver) checkLink(sender, receiver, kind);
  }
}

function checkLink(sender: Station, receiver: Station, kind: TransportKind): void {
  const { address } = receiver;
  const control = receiver.controlFrom(sender.address);
  const tasks = receiver.tasksFrom(sender.address);
  if (sender.hasEnded || receiver.hasEnded) {
    expect(sender.sentControlTo(address).slice(0, control.length)).toEqual(control);
    expect(sender.sentTasksTo(address).slice(0, tasks.length)).toEqual(tasks);
    if (sender.hasEnded) return;
    for (const task of sender.sentTasks.get(address) ?? []) {
      if (!kind.canRetract || task.isRetracted) continue;
      const isTaken = tasks.includes(task.number);
      expect(sender.retract(address, task), `task ${task.number} is taken`).toBe(!isTaken);
    }
    return;
  }
  expect(control).toEqual(sender.sentControlTo(address));
  expect(tasks).toEqual(sender.sentTasksTo(address));
  expect([...sender.waitsFor].filter((peer) => peer === address)).toEqual([]);
  expect(sender.transport.isCongested(address)).toBe(false);
}
