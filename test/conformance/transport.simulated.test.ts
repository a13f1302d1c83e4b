/**
 * The contract of transports, in the simulator: in the rings of a node, and in sessions between
 * nodes, whose links are cut all the time.
 */
import { type Endpoint, Network } from "#transports/simulated/network.ts";
import { HarmfulWorld } from "../property/harmful-world.ts";
import type { Station } from "./transport-station.ts";
import { describeTransport, type TransportWorld } from "./transport.suite.ts";

const windows = [600, 1_500, 4_000] as const;
const windowOf = (seed: number): number => windows[seed % windows.length] as number;

class SimulatedWorld implements TransportWorld {
  readonly #stations: readonly Station[];
  readonly #world: HarmfulWorld;
  readonly #network: Network;
  readonly #endpoints = new Map<Station, Endpoint>();

  constructor(stations: readonly Station[], seed: number, nodeOf: (index: number) => number) {
    this.#stations = stations;
    this.#world = new HarmfulWorld(seed, ["cut"], windowOf(seed));
    this.#network = new Network(this.#world);
    for (const [i, station] of stations.entries()) {
      const place = { name: `p${i}`, node: nodeOf(i) };
      const endpoint = this.#network.join(place, [station.address], station);
      station.connect(endpoint);
      this.#endpoints.set(station, endpoint);
    }
  }

  async some(): Promise<void> {
    this.#world.run(2);
  }

  async quiet(): Promise<void> {
    this.#world.heals = true;
    this.#world.run(30_000);
    this.#world.heals = false;
  }

  wake(station: Station): void {
    station.pump();
  }

  /** In the node the end of a process comes behind what it sent, on the same ring. */
  end(ended: Station): void {
    const from = this.#endpoints.get(ended);
    if (from === undefined) return;
    ended.hasEnded = true;
    for (const [station, to] of this.#endpoints) {
      if (station.hasEnded || from.node !== to.node) continue;
      this.#network.convey(from, to, "ended", () => station.onPeerEnded(ended.address));
    }
    this.#network.leave(from);
  }

  close(): void {
    for (const station of this.#stations)
      this.#network.leave(this.#endpoints.get(station) as Endpoint);
  }
}

describeTransport("simulated, in a node", {
  canRetract: true,
  tellsEnd: true,
  isEverCongested: true,
  windowBytes: windowOf,
  movesBuffers: true,
  endsInHandler: true,
  make: (stations, seed) => new SimulatedWorld(stations, seed, () => 0),
});

// Nobody knows what another node has taken; that a process there has ended is told by the GCS.
describeTransport("simulated, between nodes", {
  canRetract: false,
  tellsEnd: false,
  isEverCongested: true,
  windowBytes: windowOf,
  movesBuffers: false,
  endsInHandler: true,
  make: (stations, seed) => new SimulatedWorld(stations, seed, (index) => index),
});
