/** 16 Liveness: at quiet nothing runs any more. */
import type { Cluster } from "#sim/cluster.ts";
import { Oracle } from "./oracle.ts";

export class LivenessOracle extends Oracle {
  readonly name = "16 liveness";

  override atQuiet({ liveWorkers }: Cluster): void {
    for (const { client, life } of liveWorkers) {
      const running = client.core.receiver.runningCount;
      if (running === 0) continue;
      const message = `${running} tasks run on ${life.name} for ever`;
      this.violate({ entity: client.workerId, message });
    }
  }
}
