/**
 * 17 Hygiene: what is kept for a peer is bounded. At quiet a session keeps no more frames than its
 * peer may owe acknowledgements for.
 */
import type { Cluster } from "#sim/cluster.ts";
import { keptAtRestMax } from "#transports/simulated/channel.ts";
import { Oracle } from "./oracle.ts";

export class QueueOracle extends Oracle {
  readonly name = "17 hygiene";

  override atQuiet({ network }: Cluster): void {
    for (const { from, to, count } of network.keptFrames()) {
      if (count <= keptAtRestMax) continue;
      const message = `${from} keeps ${count} frames for ${to}, at most ${keptAtRestMax}`;
      this.violate({ entity: from, message });
    }
  }
}
