/**
 * The contract of transports, over rings in shared memory: the ends of three threads with their
 * pollers, in one thread, so that what has not arrived when all are parked never will. The rings
 * are tiny, and full most of the time.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { Address } from "#engine/common/ids.ts";
import type { PortMessage } from "#transports/threads/boot-data.ts";
import { type LinkSide, makeLinkMemory, openLinkMemory } from "#transports/threads/link-memory.ts";
import { Bell, makeParkedWords, Poller } from "#transports/threads/parking.ts";
import { ThreadTransport } from "#transports/threads/transport.ts";
import type { Station } from "./transport-station.ts";
import { describeTransport, type TransportWorld } from "./transport.suite.ts";

const wordsPerThread = 16;
const capacities = [128, 256, 1024] as const;

interface End {
  readonly index: number;
  readonly station: Station;
  readonly transport: ThreadTransport;
  readonly poller: Poller;
}

class ThreadsWorld implements TransportWorld {
  readonly #words = new Int32Array(makeParkedWords());
  readonly #capacity: number;
  readonly #ends: readonly End[];
  readonly #ports: MessagePort[] = [];
  readonly #linked = new Set<string>();
  readonly #asked: (() => void)[] = [];

  constructor(stations: readonly Station[], seed: number) {
    this.#capacity = capacities[seed % capacities.length] as number;
    this.#ends = stations.map((station, index) => this.#makeEnd(station, index));
    for (const { poller } of this.#ends) poller.kick();
  }

  async some(): Promise<void> {
    this.#asked.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * A thread that was nudged is not parked any more, so nothing is under way when all are, once
   * those that were kicked have had their turn.
   */
  async quiet(): Promise<void> {
    const isAwake = ({ index, station }: End): boolean =>
      !station.hasEnded && Atomics.load(this.#words, index * wordsPerThread) === 0;
    do await this.some();
    while (this.#asked.length > 0 || this.#ends.some(isAwake));
  }

  wake(station: Station): void {
    this.#endOf(station.address).poller.kick();
  }

  /** As the launcher does it. */
  end(ended: Station): void {
    ended.hasEnded = true;
    this.#endOf(ended.address).poller.stop();
    for (const { station, transport } of this.#ends) {
      if (station.hasEnded) continue;
      transport.onPeerExit(ended.address);
      station.onPeerEnded(ended.address);
    }
  }

  close(): void {
    for (const { poller } of this.#ends) poller.stop();
    for (const port of this.#ports) port.close();
  }

  #makeEnd(station: Station, index: number): End {
    const transport = new ThreadTransport({
      localSlots: [station.address],
      receiver: station,
      requestLink: (peer) => void this.#asked.push(() => this.#connect(station.address, peer)),
      onWork: () => poller.kick(),
    });
    const poller: Poller = new Poller({
      words: this.#words,
      threadIndex: index,
      idleTurnsMax: 1,
      spinLooksMax: 1,
      hasData: () => {
        if (!station.reads || station.hasEnded) return false;
        return transport.hasControlData() || (station.wantsTasks && transport.hasTask());
      },
      pump: () => station.pump(),
    });
    station.connect(transport);
    return { index, station, transport, poller };
  }

  /** Both ask for it as a rule: the second asks in vain. */
  #connect(from: Address, to: Address): void {
    const key = [from, to].sort().join();
    const [here, there] = [this.#endOf(from), this.#endOf(to)];
    if (this.#linked.has(key) || here.station.hasEnded || there.station.hasEnded) return;
    this.#linked.add(key);
    const memory = makeLinkMemory(this.#capacity, this.#capacity);
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port1, port2);
    const open = (self: End, peer: End, side: LinkSide, port: MessagePort): void => {
      port.on("message", (message: PortMessage) => {
        if (message?.type === "buffers") self.station.onBuffersMoved(message.to, message.moved);
        else self.poller.onNudge();
      });
      const bell = new Bell(this.#words, peer.index, port);
      self.transport.openLink([peer.station.address], openLinkMemory(memory, side), bell);
      self.poller.kick();
    };
    open(here, there, 0, port1);
    open(there, here, 1, port2);
  }

  #endOf(address: Address): End {
    const end = this.#ends.find(({ station }) => station.address === address);
    if (end === undefined) throw new Error(`no thread has the address ${address}`);
    return end;
  }
}

describeTransport("threads", {
  canRetract: true,
  tellsEnd: true,
  isEverCongested: true,
  windowBytes: (seed) => capacities[seed % capacities.length] as number,
  movesBuffers: true,
  endsInHandler: false,
  make: (stations, seed) => new ThreadsWorld(stations, seed),
});
