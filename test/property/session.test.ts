/**
 * Two ends of a session on a network that drops, duplicates, reorders, replays and cuts: whatever
 * it does, what is taken is a prefix of what was sent, in order, each once; once it behaves, all
 * arrives and nothing is kept.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { roomOf } from "#transports/session/send-window.ts";
import { type Arrival, type Packet, Session, type Told } from "#transports/session/session.ts";

type Wire =
  | ({ readonly type: "frame" } & Packet<number>)
  | { readonly type: "ack"; readonly link: number; readonly told: Told };

const windowBytes = 1_500;
const bytesOf = (frame: number): number => (frame * 137) % 500;
const roomIn = (frames: readonly number[]): number =>
  frames.reduce((sum, frame) => sum + roomOf(bytesOf(frame)), 0);

/** One direction: what is under way, and all that ever was. */
interface Way {
  underWay: Wire[];
  readonly history: Wire[];
}

class Side {
  readonly way: Way = { underWay: [], history: [] };
  readonly sent: number[] = [];
  readonly taken: number[] = [];
  /** In any order, as tasks are read later than what came behind them. */
  readonly read: number[] = [];
  readonly session: Session<number>;
  /** Was told that there is no room, and not yet that there is. */
  awaitsRoom = false;
  roomCount = 0;
  #unread: number[] = [];
  /** What it answers to a frame that it takes. */
  readonly #echoes: boolean;

  constructor(echoes: boolean) {
    this.#echoes = echoes;
    const port = {
      transmit: (packet: Packet<number>): void => this.#put({ type: "frame", ...packet }),
      acknowledge: (link: number, told: Told): void => this.#put({ type: "ack", link, told }),
      take: (frame: number): void => {
        this.taken.push(frame);
        this.#unread.push(frame);
        if (this.#echoes && frame % 3 === 0) this.send();
      },
      onRoom: (): void => {
        expect(this.awaitsRoom, "room is told to those that wait").toBe(true);
        this.awaitsRoom = false;
        this.roomCount += 1;
        this.offer();
      },
    };
    this.session = new Session<number>(port, windowBytes);
  }

  get underWayBytes(): number {
    return roomIn(this.sent) - this.readByPeer();
  }

  readByPeer: () => number = () => 0;

  /** As what is optional: only with room. */
  offer(): boolean {
    if (this.session.isCongested()) {
      this.awaitsRoom = true;
      return false;
    }
    expect(this.underWayBytes).toBeLessThan(windowBytes);
    this.send();
    return true;
  }

  readOne(at: number): void {
    const [frame] = this.#unread.splice(at % Math.max(1, this.#unread.length), 1);
    if (frame === undefined) return;
    this.read.push(frame);
    this.session.onRead(bytesOf(frame));
    if (this.session.owesRoom) this.session.acknowledge();
  }

  readAll(): void {
    while (this.#unread.length > 0) this.readOne(0);
  }

  send(): void {
    const frame = this.sent.length;
    this.sent.push(frame);
    this.session.send(frame, bytesOf(frame));
  }

  receive(wire: Wire): Arrival {
    const { session } = this;
    if (wire.type === "ack") return session.onAcknowledgement(wire.link, wire.told);
    return session.onFrame(wire);
  }

  #put(wire: Wire): void {
    this.way.underWay.push(wire);
    this.way.history.push(wire);
  }
}

class ModelNetwork {
  readonly sides = [new Side(false), new Side(true)] as const;
  #link = 0;

  constructor() {
    const [a, b] = this.sides;
    a.readByPeer = () => roomIn(b.read);
    b.readByPeer = () => roomIn(a.read);
  }

  /** Both tell each other how far they took, before either goes on: so a hello is. */
  connect(firstUp: 0 | 1): void {
    const [a, b] = this.sides;
    if (a.session.isUp || b.session.isUp) return;
    this.#link += 1;
    const hello = [b.session.told, a.session.told] as const;
    for (const i of [firstUp, 1 - firstUp] as (0 | 1)[]) {
      expect(this.sides[i].session.onLinkUp(this.#link, hello[i])).toBe(true);
    }
  }

  /** What is under way is lost, or may arrive later, when it must not be believed. */
  cut(): void {
    for (const { session, way } of this.sides) {
      session.onLinkDown();
      way.underWay = [];
    }
  }

  /** Hands over what is at `index` of what goes to this side. */
  deliver(to: 0 | 1, index: number): void {
    const { way } = this.sides[1 - to] as Side;
    const [wire] = way.underWay.splice(index % Math.max(1, way.underWay.length), 1);
    if (wire !== undefined) this.hand(to, wire);
  }

  hand(to: 0 | 1, wire: Wire): void {
    if (this.sides[to].receive(wire) === "cut") this.cut();
    this.check();
  }

  drain(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const to of [0, 1] as const) {
        this.sides[to].readAll();
        if (this.sides[1 - to]?.way.underWay.length === 0)
          this.sides[1 - to]?.session.acknowledge();
        if (this.sides[1 - to]?.way.underWay.length === 0) continue;
        busy = true;
        this.deliver(to, 0);
      }
    }
  }

  check(): void {
    const [a, b] = this.sides;
    expect(b.taken).toEqual(a.sent.slice(0, b.taken.length));
    expect(a.taken).toEqual(b.sent.slice(0, a.taken.length));
    for (const [side, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const { acknowledgedThrough, unacknowledgedCount } = side.session;
      expect(acknowledgedThrough).toBeLessThanOrEqual(peer.taken.length);
      expect(acknowledgedThrough + unacknowledgedCount).toBe(side.sent.length);
    }
  }
}

const side = fc.constantFrom<(0 | 1)[]>(0, 1);
const index = fc.nat(20);
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), side, index }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver" as const), side, index }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "reorder" as const,
        "drop" as const,
        "duplicate" as const,
        "replay" as const,
        "cut" as const,
        "acknowledge" as const,
        "offer" as const,
        "read" as const,
      ),
      side,
      index,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("connect" as const), side, index }) },
);

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

function act(network: ModelNetwork, { do: what, side: to, index: at }: Action): void {
  const { way } = network.sides[1 - to] as Side;
  const here = way.underWay[at % Math.max(1, way.underWay.length)];
  switch (what) {
    case "send":
      return network.sides[to].send();
    case "deliver":
      return network.deliver(to, 0);
    case "reorder":
      return network.deliver(to, at);
    case "drop":
      way.underWay = way.underWay.filter((wire) => wire !== here);
      return;
    case "duplicate":
      if (here !== undefined) network.hand(to, here);
      return;
    case "replay": {
      const old = way.history[at % Math.max(1, way.history.length)];
      if (old !== undefined) network.hand(to, old);
      return;
    }
    case "cut":
      return network.cut();
    case "acknowledge":
      return network.sides[to].session.acknowledge();
    case "offer":
      return void network.sides[to].offer();
    case "read":
      return network.sides[to].readOne(at);
    case "connect":
      return network.connect(to);
  }
}

describe("on any network", () => {
  test("each frame is taken once, in order; after the last cut all arrive", () => {
    const reached = new Set<string>();
    const property = fc.property(fc.array(action, { maxLength: 120, size: "max" }), (actions) => {
      const network = new ModelNetwork();
      for (const one of actions) act(network, one);
      network.check();
      network.cut();
      network.connect(0);
      network.drain();
      const [a, b] = network.sides;
      expect(b.taken).toEqual(a.sent);
      expect(a.taken).toEqual(b.sent);
      for (const { session, awaitsRoom, roomCount } of network.sides) {
        expect(session.unacknowledgedCount).toBe(0);
        expect(session.owedCount).toBe(0);
        expect(awaitsRoom).toBe(false);
        expect(session.isCongested()).toBe(false);
        if (roomCount > 0) reached.add("room");
        if (session.resentCount > 0) reached.add("resent");
        if (session.duplicateCount > 0) reached.add("duplicate");
      }
    });
    fc.assert(property, { numRuns: 1_000 });
    expect([...reached].sort()).toEqual(["duplicate", "resent", "room"]);
  });
});

describe("what no honest peer sends", () => {
  const made = (): { session: Session<string>; taken: string[] } => {
    const taken: string[] = [];
    const port = {
      transmit: () => {},
      acknowledge: () => {},
      take: (frame: string) => void taken.push(frame),
      onRoom: () => {},
    };
    const session = new Session<string>(port, windowBytes);
    session.onLinkUp(1, told(0));
    return { session, taken };
  };
  const told = (ack: number, readBytes = 0): Told => ({ ack, readBytes });
  const packet = (at: [link: number, number: number], ack: number, frame: string) => {
    const [link, number] = at;
    return { link, number, told: told(ack), frame };
  };

  test("a gap, an older link, an acknowledgement of nothing cut the link", () => {
    const { session, taken } = made();
    expect(session.onFrame(packet([1, 2], 0, "second"))).toBe("cut");
    expect(session.onFrame(packet([0, 1], 0, "of an older link"))).toBe("cut");
    expect(session.onFrame(packet([2, 1], 0, "of a link to come"))).toBe("cut");
    expect(session.onFrame(packet([1, 1], 7, "acknowledges what was not sent"))).toBe("cut");
    expect(taken).toEqual([]);
    expect(session.onAcknowledgement(1, told(0, 1))).toBe("cut");
    expect(session.onFrame(packet([1, 1], 0, "first"))).toBe("taken");
    expect(session.onFrame(packet([1, 1], 0, "first"))).toBe("duplicate");
    session.onLinkDown();
    expect(session.onFrame(packet([1, 2], 0, "second"))).toBe("late");
    expect(taken).toEqual(["first"]);
  });

  test("a peer that has lost what it took, or took what was never sent, is refused", () => {
    const { session } = made();
    session.send("a", 1);
    session.send("b", 1);
    expect(session.onAcknowledgement(1, told(1, roomOf(1)))).toBe("taken");
    session.onLinkDown();
    expect(session.onLinkUp(2, told(0, roomOf(1)))).toBe(false);
    expect(session.onLinkUp(2, told(1, 0))).toBe(false);
    expect(session.onLinkUp(2, told(3, roomOf(1)))).toBe(false);
    expect(session.onLinkUp(2, told(1, 3 * roomOf(1)))).toBe(false);
    expect(session.isUp).toBe(false);
    expect(session.onLinkUp(2, told(1, roomOf(1)))).toBe(true);
    expect(session.unacknowledgedCount).toBe(1);
  });

  test("what was told is not told again, what is sent meanwhile tells it", () => {
    const acks: number[] = [];
    const port = {
      transmit: (sent: Packet<string>) => void acks.push(sent.told.ack),
      acknowledge: (_: number, { ack }: Told) => void acks.push(ack),
      take: (frame: string) => {
        if (frame === "ask") session.send("answer", 6);
      },
      onRoom: () => {},
    };
    const session: Session<string> = new Session<string>(port, windowBytes);
    session.onLinkUp(1, told(0));
    session.onFrame(packet([1, 1], 0, "ask"));
    expect(acks).toEqual([1]);
    session.acknowledge();
    session.onFrame(packet([1, 2], 0, "news"));
    expect(session.owedCount).toBe(1);
    session.onLinkDown();
    session.acknowledge();
    expect(acks).toEqual([1]);
    // Both ends tell it when a link begins.
    session.onLinkUp(2, told(1));
    expect(session.owedCount).toBe(0);
  });

  test("the numbers of links rise, one link at a time", () => {
    const { session } = made();
    expect(() => session.onLinkUp(2, told(0))).toThrow(/after the end of the last/);
    session.onLinkDown();
    expect(() => session.onLinkUp(1, told(0))).toThrow(/rise/);
  });
});
