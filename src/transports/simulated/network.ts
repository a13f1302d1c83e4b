/**
 * Frames between simulated processes: encoded as on a real wire, delayed by the world, lost with
 * the process they go to. Inside a node they travel in rings, between nodes in sessions.
 *
 * State:  endpoints by address; per endpoint what has arrived and waits, its rings and channels.
 * Bounds: the world's `linkWindowBytes` to each peer of what is optional, the senders' credits of
 *         the rest.
 * Errors: none; a frame to a process that has ended is dropped, as by a dead thread.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import type { Address } from "#engine/common/ids.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { Message, MessageType } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { MovedBuffers, Transport, TransportReceiver } from "#engine/protocol/transport.ts";
import { Channel, type KeptFrames } from "./channel.ts";
import { type Frame, frameOf, messageOf } from "./frame.ts";
import type { Inflow } from "./inflow.ts";
import { Lane, type Load } from "./lane.ts";
import { BuffersUnderWay } from "./moved-buffers.ts";
import type { NetworkWatch } from "./network-watch.ts";
import type { NetworkWorld, Place, Said } from "./network-world.ts";
import { Ring } from "./ring.ts";

const unwatched: NetworkWatch = {
  onSent: () => {},
  onTaken: () => {},
  onRetracted: () => {},
  onMoved: () => {},
};

/** A frame on its way into an endpoint, and there until it is taken. */
class Incoming implements Load {
  readonly frame: Frame;
  readonly inflow: Inflow;
  readonly #to: Endpoint;
  /** Of a task that may be taken back; -1 for all others. */
  readonly position: number;
  state: "underWay" | "waiting" | "retracted" | "taken" = "underWay";

  // oxlint-disable-next-line max-params -- made for every frame.
  constructor(frame: Frame, inflow: Inflow, to: Endpoint, position = -1) {
    this.frame = frame;
    this.inflow = inflow;
    this.position = position;
    this.#to = to;
  }

  get said(): Said {
    return this.frame.said;
  }

  get type(): MessageType {
    return this.frame.type;
  }

  get sizeBytes(): number {
    return this.frame.sizeBytes;
  }

  deliver(): void {
    this.#to.accept(this);
  }
}

export class Network {
  readonly watch: NetworkWatch;
  readonly #world: NetworkWorld;
  readonly #endpoints = new Map<Address, Endpoint>();
  /** Rings outlive the thread that read them: what it had not taken can still be told. */
  readonly #ended = new Map<Address, Endpoint>();
  readonly #channels = new Set<Channel>();

  constructor(world: NetworkWorld, watch: NetworkWatch = unwatched) {
    this.#world = world;
    this.watch = watch;
  }

  /** `arena`: of a raylet, which sends chunks out of it. */
  join(
    place: Omit<Place, "isClosed">,
    addresses: readonly Address[],
    to: TransportReceiver,
    arena: ArenaBytes | null = null,
  ): Endpoint {
    const [address] = addresses;
    assert(address !== undefined, "an endpoint answers for an address");
    const endpoint = new Endpoint(this, { ...place, address }, to, arena);
    for (const address of addresses) this.#endpoints.set(address, endpoint);
    return endpoint;
  }

  leave(endpoint: Endpoint): void {
    if (endpoint.isClosed) return;
    endpoint.close();
    for (const [address, known] of this.#endpoints) {
      if (known !== endpoint) continue;
      this.#endpoints.delete(address);
      this.#ended.set(address, endpoint);
    }
    for (const [peer, channel] of endpoint.channels) {
      channel.onEnded(endpoint);
      this.#channels.delete(channel);
      peer.channels.delete(endpoint);
    }
    endpoint.channels.clear();
  }

  /** The endpoint that answers for an address now, or did until its process ended. */
  lastOf(address: Address): Endpoint | undefined {
    return this.#endpoints.get(address) ?? this.#ended.get(address);
  }

  endpointOf(address: Address): Endpoint | undefined {
    return this.#endpoints.get(address);
  }

  /** By session between living processes. */
  keptFrames(): KeptFrames[] {
    return [...this.#channels].flatMap((channel) => channel.keptFrames());
  }

  /** Every link between nodes breaks. */
  cutAll(): void {
    for (const channel of this.#channels) channel.cut();
  }

  /** … of one node: it was silent for too long. */
  cutNode(node: number): void {
    for (const channel of this.#channels) if (channel.joins(node)) channel.cut();
  }

  /** Inside a node: what is no frame, in order of sending with those. */
  convey(from: Endpoint, to: Endpoint, text: string, deliver: () => void): void {
    this.ringOf(from, to).convey({ said: text, type: null, sizeBytes: 0, deliver });
  }

  /** Inside a node: beside the frames, in no order with those. */
  move(from: Endpoint, to: Endpoint, load: Load): void {
    let lane = from.ports.get(to);
    if (lane === undefined) {
      lane = new Lane(this.#world, from, to);
      from.ports.set(to, lane);
    }
    lane.put(load);
  }

  /** Frames to one process stay in order, whatever they carry. */
  carry(from: Endpoint, to: Endpoint, frame: Frame): void {
    if (from.node === to.node) {
      const ring = this.ringOf(from, to);
      this.watch.onSent(frame, ring.link);
      ring.put(new Incoming(frame, ring, to));
    } else {
      const channel = this.#channelOf(from, to);
      this.watch.onSent(frame, channel.linkFrom(from));
      channel.send(from, frame);
    }
  }

  isCongested(from: Endpoint, to: Endpoint): boolean {
    if (from.node === to.node) return from.rings.get(to)?.isCongested() ?? false;
    return from.channels.get(to)?.isCongested(from) ?? false;
  }

  onRoomTold(): void {
    this.#world.onRoomTold();
  }

  ringOf(from: Endpoint, to: Endpoint): Ring {
    let ring = from.rings.get(to);
    if (ring === undefined) {
      ring = new Ring(this.#world, from, to);
      from.rings.set(to, ring);
    }
    return ring;
  }

  #channelOf(from: Endpoint, to: Endpoint): Channel {
    let channel = from.channels.get(to);
    if (channel === undefined) {
      channel = new Channel(this.#world, from, to);
      from.channels.set(to, channel);
      to.channels.set(from, channel);
      this.#channels.add(channel);
    }
    return channel;
  }
}

export class Endpoint implements Transport, Place {
  readonly name: string;
  readonly node: number;
  /** The first of those that it answers for. */
  readonly address: Address;
  readonly rings = new Map<Endpoint, Ring>();
  readonly ports = new Map<Endpoint, Lane>();
  /** With processes of other nodes. */
  readonly channels = new Map<Endpoint, Channel>();
  readonly #network: Network;
  readonly #receiver: TransportReceiver;
  readonly #arena: ArenaBytes | null;
  readonly #control = new Deque<Incoming>();
  readonly #tasks = new Deque<Incoming>();
  /** Task frames in rings to us that have not been taken, by position. */
  readonly #untaken = new Map<number, Incoming>();
  #nextPosition = 0;
  isClosed = false;
  /**
   * It calls itself as one whose sessions it does not have: who keeps those, and has not heard of
   * that one's end, connects with no other.
   */
  isStrangerTo: (peer: Endpoint) => boolean = () => false;

  constructor(
    network: Network,
    { name, node, address }: Omit<Place, "isClosed"> & { readonly address: Address },
    to: TransportReceiver,
    arena: ArenaBytes | null,
  ) {
    this.#network = network;
    this.#arena = arena;
    this.name = name;
    this.node = node;
    this.address = address;
    this.#receiver = to;
  }

  get hasTask(): boolean {
    return this.#tasks.size > 0;
  }

  close(): void {
    this.isClosed = true;
  }

  send(to: Address, message: Message): void {
    const target = this.#network.endpointOf(to);
    if (target === undefined || this.isClosed) return;
    this.#network.carry(this, target, frameOf(to, message, this.#arena));
  }

  sendTask(to: Address, message: PushTask): number {
    const target = this.#network.endpointOf(to);
    if (target === undefined || this.isClosed) return -1;
    const frame = frameOf(to, message, null);
    const position = target.#nextPosition++;
    if (target.node === this.node) {
      const inflow = this.#network.ringOf(this, target);
      this.#network.watch.onSent(frame, inflow.link);
      const incoming = new Incoming(frame, inflow, target, position);
      target.#untaken.set(position, incoming);
      inflow.put(incoming);
    } else {
      this.#network.carry(this, target, frame);
    }
    return position;
  }

  /** Only from a ring: nobody here knows what another node has taken. */
  retract(to: Address, framePosition: number): boolean {
    // It was never sent: whom it was for had ended.
    if (framePosition === -1) return true;
    const target = this.#network.lastOf(to);
    if (target === undefined || target.node !== this.node) return false;
    const task = target.#untaken.get(framePosition);
    if (task === undefined) return false;
    task.state = "retracted";
    target.#untaken.delete(framePosition);
    this.#network.watch.onRetracted(task.frame, task.inflow.link);
    task.inflow.onRead(task.frame.sizeBytes);
    return true;
  }

  isCongested(to: Address): boolean {
    const target = this.#network.endpointOf(to);
    return target !== undefined && !this.isClosed && this.#network.isCongested(this, target);
  }

  /** The sender has them no more, whatever becomes of them. */
  moveBuffers(to: Address, moved: MovedBuffers): void {
    if (this.isClosed) return;
    this.#network.watch.onMoved(moved);
    const target = this.#network.endpointOf(to);
    if (target === undefined) return;
    assert(target.node === this.node, "buffers are moved inside a node");
    this.#network.move(this, target, new BuffersUnderWay(to, moved, target.#receiver));
  }

  /** A peer has read so much of what was sent to it that more may come. */
  onRoom(peer: Endpoint): void {
    if (this.isClosed) return;
    this.#network.onRoomTold();
    this.#receiver.onWritable(peer.address);
  }

  /** A frame has arrived, by session. */
  receive(frame: Frame, inflow: Inflow): void {
    this.accept(new Incoming(frame, inflow, this));
  }

  accept(incoming: Incoming): void {
    // Retracted on its way.
    if (incoming.state !== "underWay") return;
    incoming.state = "waiting";
    if (incoming.type === "pushTask") this.#tasks.push(incoming);
    else this.#control.push(incoming);
    this.#receiver.onWork();
  }

  poll(frameBudget: number): boolean {
    let taken = 0;
    // A handler may end the process.
    for (; taken < frameBudget && !this.isClosed; taken++) {
      const arrived = this.#control.shift();
      if (arrived === undefined) break;
      const { frame, inflow } = arrived;
      this.#network.watch.onTaken(frame, inflow.link);
      inflow.onRead(frame.sizeBytes);
      this.#receiver.onMessage(frame.to, messageOf(frame));
    }
    return taken > 0;
  }

  pollTask(): boolean {
    // What an ended process has not taken can still be retracted.
    while (!this.isClosed) {
      const task = this.#tasks.shift();
      if (task === undefined) return false;
      if (task.state !== "waiting") continue;
      task.state = "taken";
      this.#untaken.delete(task.position);
      this.#network.watch.onTaken(task.frame, task.inflow.link);
      task.inflow.onRead(task.frame.sizeBytes);
      this.#receiver.onMessage(task.frame.to, messageOf(task.frame));
      return true;
    }
    return false;
  }
}
