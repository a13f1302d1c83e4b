/** The contract of transports, in one thread without bytes: local mode. */
import { InProcessNetwork, type InProcessTransport } from "#transports/in-process/network.ts";
import type { Station } from "./transport-station.ts";
import { describeTransport, type TransportWorld } from "./transport.suite.ts";

class InProcessWorld implements TransportWorld {
  readonly #stations: readonly Station[];
  readonly #turns: (() => void)[] = [];
  readonly #network = new InProcessNetwork((turn) => void this.#turns.push(turn));
  readonly #transports = new Map<Station, InProcessTransport>();

  constructor(stations: readonly Station[]) {
    this.#stations = stations;
    for (const station of stations) {
      const transport = this.#network.join([station.address], station);
      station.connect(transport);
      this.#transports.set(station, transport);
    }
  }

  async some(): Promise<void> {
    this.#turns.shift()?.();
  }

  async quiet(): Promise<void> {
    while (this.#turns.length > 0) await this.some();
  }

  wake(station: Station): void {
    const transport = this.#transports.get(station);
    if (transport !== undefined && !station.hasEnded) this.#network.schedule(transport);
  }

  end(ended: Station): void {
    const transport = this.#transports.get(ended);
    if (transport === undefined) return;
    ended.hasEnded = true;
    this.#network.leave(transport);
    this.#turns.push(() => {
      for (const station of this.#stations)
        if (!station.hasEnded) station.onPeerEnded(ended.address);
    });
  }

  close(): void {}
}

describeTransport("in-process", {
  canRetract: true,
  tellsEnd: true,
  isEverCongested: false,
  movesBuffers: true,
  endsInHandler: true,
  make: (stations) => new InProcessWorld(stations),
});
