/** 16 Liveness: at quiet nothing runs any more, but user code of detached actors. */
import type { Cluster } from "#sim/cluster/cluster.ts";
import { inUserCode } from "#sim/run-end/job-end.ts";
import { Oracle } from "./oracle.ts";

export class LivenessOracle extends Oracle {
  readonly name = "16 liveness";

  override atQuiet({ liveWorkers }: Cluster): void {
    for (const worker of liveWorkers) {
      const { client, life } = worker;
      const { actor, runningCount } = client.core.receiver;
      const isDetached = actor?.spec.detached === true;
      const running = runningCount - (isDetached ? inUserCode(worker).size : 0);
      if (running === 0) continue;
      const message = `${running} tasks run on ${life.name} for ever`;
      this.violate({ entity: client.workerId, message });
    }
  }
}
