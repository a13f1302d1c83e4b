/**
 * Life of the way between two processes on different nodes: connect → carry → is cut → each end
 * notices in its own time → connect again, under the next number; until one of them ends.
 *
 * State:  an end each: its session, the lane of the present link, whether what it sends is lost.
 * In/out: frames of both ends → frames of their sessions; faults and partitions by the world.
 * Bounds: the world's `linkWindowBytes` of what is optional, the senders' credits of the rest; an
 *         acknowledgement in `owedMax` frames or `ackDelayMs`.
 * Errors: none that a machine sees; a process that has ended takes and sends nothing any more.
 * Source: protocols §2, §10.
 */
import { assert } from "#engine/common/assert.ts";
import { type Packet, Session, type Told } from "#transports/session/session.ts";
import type { Frame } from "./frame.ts";
import type { Inflow } from "./inflow.ts";
import { Lane } from "./lane.ts";
import type { Link } from "./network-watch.ts";
import type { NetworkWorld } from "./network-world.ts";
import type { Endpoint } from "./network.ts";

/** Longer than from one heartbeat to the next: where those travel, no step is needed for it. */
const ackDelayMs = 1_200;
const owedMax = 256;
/** In a world at rest: twice what is owed, since as much may be under way. */
export const keptAtRestMax = 2 * owedMax;
const ackBytes = 24;
const connectMs = { least: 0.4, spread: 4, most: 1_000 };
/** As a rule the other side says so; one end in some learns it by silence only. */
const noticeMs = { soon: 10, silentOneIn: 8 };
const strayMs = 30;

interface End {
  readonly endpoint: Endpoint;
  readonly session: Session<Frame>;
  lane: Lane | null;
  /** Number of the last frame that was put on a link, whatever became of it. */
  putThrough: number;
  /** The link was cut before what it sends now. */
  isLost: boolean;
  ackIsDue: boolean;
}

export interface KeptFrames {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

export class Channel {
  readonly #world: NetworkWorld;
  /** In the order of the ends that send. */
  readonly #links: readonly [Link, Link];
  readonly #ends: readonly [End, End];
  #link = 0;
  #isCut = true;
  #isClosed = false;
  #attempts = 0;
  /** Of links that were cut: they come once more, on the next one. One of each end. */
  #replayed: { readonly end: End; readonly packet: Packet<Frame> }[] = [];

  constructor(world: NetworkWorld, a: Endpoint, b: Endpoint) {
    this.#world = world;
    this.#links = [
      { from: a, to: b },
      { from: b, to: a },
    ];
    this.#ends = [this.#makeEnd(a, this.#links[1]), this.#makeEnd(b, this.#links[0])];
    this.#connectSoon();
  }

  joins(node: number): boolean {
    return this.#ends.some(({ endpoint }) => endpoint.node === node);
  }

  /** Frames that either end keeps until the other has acknowledged them. */
  keptFrames(): KeptFrames[] {
    return this.#ends.map((end) => ({
      from: end.endpoint.name,
      to: this.#otherOf(end).endpoint.name,
      count: end.session.unacknowledgedCount,
    }));
  }

  send(from: Endpoint, frame: Frame): void {
    this.#endOf(from).session.send(frame, frame.sizeBytes);
  }

  linkFrom(from: Endpoint): Link {
    return this.#links[this.#ends[0].endpoint === from ? 0 : 1];
  }

  isCongested(from: Endpoint): boolean {
    return this.#endOf(from).session.isCongested();
  }

  /** The link breaks for both ends, though none may know yet. */
  cut(): void {
    for (const end of this.#ends) end.isLost = true;
    this.#breakLink(0);
  }

  /** What the process had put on the link still arrives; to it nothing does. */
  onEnded(endpoint: Endpoint): void {
    this.#isClosed = true;
    this.#otherOf(this.#endOf(endpoint)).lane?.close();
  }

  // ------------------------------------------------------------ frames

  /** `link`: from the other. */
  #makeEnd(endpoint: Endpoint, link: Link): End {
    const onRead = (frameBytes: number): void => this.#onRead(end, frameBytes);
    const inflow: Inflow = { link, onRead };
    const port = {
      transmit: (packet: Packet<Frame>): void => this.#transmit(end, packet),
      acknowledge: (link: number, told: Told): void => this.#putAck(end, link, told),
      take: (frame: Frame): void => endpoint.receive(frame, inflow),
      onRoom: (): void => this.#onRoom(end),
    };
    const session = new Session<Frame>(port, this.#world.linkWindowBytes);
    const isNew = { lane: null, putThrough: 0, isLost: false, ackIsDue: false };
    const end: End = { endpoint, session, ...isNew };
    return end;
  }

  #transmit(end: End, packet: Packet<Frame>): void {
    const { frame, number } = packet;
    if (number <= end.putThrough) this.#world.onResent(frame.type);
    end.putThrough = Math.max(end.putThrough, number);
    if (end.isLost) return;
    const from = end.endpoint;
    const to = this.#otherOf(end).endpoint;
    const fate = this.#world.fateOf(from, to, frame.type);
    if (fate === "cut") {
      end.isLost = true;
      this.#breakLink(0);
      return;
    }
    if (fate === "lose") {
      this.#watchLoss(end, number);
      return;
    }
    if (fate !== "reorder") this.#put(end, packet);
    if (fate === "replay") {
      this.#replayed.push({ end, packet });
      end.isLost = true;
      this.#breakLink(0);
    } else if (fate !== "pass") {
      this.#stray(end, packet);
    }
  }

  #put(end: End, packet: Packet<Frame>): void {
    const { said, type, sizeBytes } = packet.frame;
    const deliver = (): void => this.#onFrame(this.#otherOf(end), packet);
    end.lane?.put({ said, type, sizeBytes, deliver });
  }

  #putAck(end: End, link: number, told: Told): void {
    if (end.isLost) return;
    const other = this.#otherOf(end);
    const deliver = (): void => {
      if (other.session.onAcknowledgement(link, told) === "cut") this.#refuse(other);
    };
    end.lane?.put({ said: `ack ${told.ack}`, type: null, sizeBytes: ackBytes, deliver });
  }

  #onRead(end: End, frameBytes: number): void {
    end.session.onRead(frameBytes);
    if (end.session.owesRoom && !this.#isClosed) end.session.acknowledge();
  }

  #onRoom(end: End): void {
    if (!this.#isClosed) end.endpoint.onRoom(this.#otherOf(end).endpoint);
  }

  #onFrame(end: End, packet: Packet<Frame>): void {
    const { frame } = packet;
    const arrival = end.session.onFrame(packet);
    if (arrival === "cut") {
      this.#refuse(end);
      return;
    }
    if (arrival !== "taken" || this.#isClosed) return;
    const from = this.#otherOf(end).endpoint;
    if (this.#world.cutsBehind(from, end.endpoint, frame.type)) this.cut();
    if (end.session.owedCount >= owedMax) end.session.acknowledge();
    else if (end.session.owedCount > 0) this.#ackSoon(end);
  }

  /** What arrived makes no sense on this link: the end that sees it closes the link. */
  #refuse(end: End): void {
    this.#otherOf(end).isLost = true;
    this.#breakLink(0);
  }

  #ackSoon(end: End): void {
    if (end.ackIsDue) return;
    end.ackIsDue = true;
    const run = (): void => {
      end.ackIsDue = false;
      end.session.acknowledge();
    };
    this.#world.linkStep(end.endpoint, ackDelayMs, { what: "ack is due", isUpkeep: true, run });
  }

  /** Silently lost: its sender sees that it is not acknowledged in time. */
  #watchLoss(end: End, number: number): void {
    const link = this.#link;
    const run = (): void => {
      if (this.#link !== link || end.session.acknowledgedThrough >= number) return;
      end.isLost = true;
      this.#breakLink(0);
    };
    const what = "acknowledgement is overdue";
    this.#world.linkStep(end.endpoint, this.#world.linkTimeoutMs, { what, isUpkeep: false, run });
  }

  /** On its own, past all others; perhaps only when the link under it is another one. */
  #stray(end: End, packet: Packet<Frame>): void {
    const { endpoint: to } = this.#otherOf(end);
    const from = end.endpoint;
    const { said, type, sizeBytes } = packet.frame;
    const lane = new Lane(this.#world, from, to);
    const deliver = (): void => this.#onFrame(this.#otherOf(end), packet);
    const run = (): void => lane.put({ said, type, sizeBytes, deliver });
    const delayMs = this.#world.draw(from, to) * strayMs;
    this.#world.linkStep(from, delayMs, { what: `astray: ${said.text}`, isUpkeep: false, run });
  }

  // ------------------------------------------------------------ links

  #breakLink(noticeFromMs: number): void {
    if (this.#isCut || this.#isClosed) return;
    this.#isCut = true;
    const link = this.#link;
    for (const end of this.#ends) {
      const draw = this.#draw(end);
      const isSilent = noticeFromMs === 0 && this.#draw(end) * noticeMs.silentOneIn < 1;
      const delayMs = noticeFromMs + draw * (isSilent ? this.#world.linkTimeoutMs : noticeMs.soon);
      this.#step(end, delayMs, { what: `link ${link} is down`, run: () => this.#onDown(end) });
    }
  }

  #onDown(end: End): void {
    if (this.#isClosed) return;
    const other = this.#otherOf(end);
    end.session.onLinkDown();
    other.lane?.close();
    if (!other.session.isUp) this.#connectSoon();
  }

  #connectSoon(): void {
    const [first] = this.#ends;
    const spread = connectMs.spread * 2 ** this.#attempts;
    const delayMs = Math.min(connectMs.most, connectMs.least + this.#draw(first) * spread);
    this.#step(first, delayMs, { what: "connects", run: () => this.#connect() });
  }

  #connect(): void {
    if (this.#isClosed) return;
    const [first, second] = this.#ends;
    const here = first.endpoint.node;
    const there = second.endpoint.node;
    const world = this.#world;
    const untilMs = Math.max(world.blockedUntilMs(here, there), world.blockedUntilMs(there, here));
    const areStrangers =
      first.endpoint.isStrangerTo(second.endpoint) || second.endpoint.isStrangerTo(first.endpoint);
    if (untilMs > world.nowMs() || world.isPaused(there) || areStrangers) {
      this.#attempts += 1;
      this.#connectSoon();
      return;
    }
    this.#attempts = 0;
    this.#isCut = false;
    this.#link += 1;
    const told = [second.session.told, first.session.told] as const;
    for (const end of this.#ends) {
      end.isLost = false;
      end.lane = new Lane(world, end.endpoint, this.#otherOf(end).endpoint, () => this.#stall(end));
    }
    if (this.#link > 1) world.onSessionResumed();
    assert(first.session.onLinkUp(this.#link, told[0]), "the first end goes on");
    assert(second.session.onLinkUp(this.#link, told[1]), "the second end goes on");
    const replayed = this.#replayed;
    this.#replayed = [];
    for (const { end, packet } of replayed) {
      if (packet.link < this.#link) this.#stray(end, packet);
      else this.#replayed.push({ end, packet });
    }
  }

  /** Of what this end sent: it waits for the end of a partition, or the link gives up. */
  #stall(end: End): number {
    const world = this.#world;
    const from = end.endpoint.node;
    const untilMs = world.blockedUntilMs(from, this.#otherOf(end).endpoint.node);
    if (untilMs - world.nowMs() <= world.linkTimeoutMs) return untilMs;
    end.isLost = true;
    this.#breakLink(world.linkTimeoutMs);
    return Infinity;
  }

  #step(end: End, delayMs: number, { what, run }: { what: string; run: () => void }): void {
    const named = `${what}: ${this.#otherOf(end).endpoint.name}`;
    this.#world.linkStep(end.endpoint, delayMs, { what: named, isUpkeep: false, run });
  }

  #draw(end: End): number {
    return this.#world.draw(end.endpoint, this.#otherOf(end).endpoint);
  }

  #endOf(endpoint: Endpoint): End {
    const [first, second] = this.#ends;
    return first.endpoint === endpoint ? first : second;
  }

  #otherOf(end: End): End {
    const [first, second] = this.#ends;
    return first === end ? second : first;
  }
}
