/** The oracles that are on in every run, by their numbers in docs/internals/simulation.md. */
import { cpuName } from "#engine/common/resources.ts";
import type { Oracle } from "./oracle.ts";

/** Starts of a task: once, since nothing is retried yet. */
const startsMax = 1;

const tasks: Oracle = {
  name: "1 tasks",
  atQuiet(cluster, report) {
    const { core, workerId } = cluster.driver.client;
    const unfinished = core.tasks.unfinishedCount;
    if (unfinished > 0 && cluster.node.raylet.counts.infeasible === 0) {
      report({ entity: workerId, message: `${unfinished} tasks have no outcome and no reason` });
    }
    for (const { taskId, taskName, count } of cluster.starts.all()) {
      if (count <= startsMax) continue;
      report({ entity: taskId, message: `task ${taskName} was started ${count} times` });
    }
  },
};

const resources: Oracle = {
  name: "6 resources",
  atQuiet(cluster, report) {
    const { raylet } = cluster.node;
    const { leases, waiting, actors } = raylet.counts;
    const { nodeId, totals } = cluster;
    if (leases > 0 || waiting > 0) {
      report({ entity: nodeId, message: `${leases} leases and ${waiting} requests are left` });
    }
    const available = raylet.available(cpuName);
    const total = totals.get(cpuName) ?? 0;
    if (actors === 0 && available !== total) {
      report({ entity: nodeId, message: `CPU ${available} of ${total} (1/10000) came back` });
    }
  },
};

const agreement: Oracle = {
  name: "10 idempotency",
  atQuiet(cluster, report) {
    let held = cluster.driver.client.core.submitter.leaseCount;
    for (const worker of cluster.liveWorkers) held += worker.client.core.submitter.leaseCount;
    const granted = cluster.node.raylet.counts.leases;
    if (held === granted) return;
    const message = `owners hold ${held} leases, the raylet has granted ${granted}`;
    report({ entity: cluster.nodeId, message });
  },
};

const liveness: Oracle = {
  name: "16 liveness",
  atQuiet(cluster, report) {
    for (const { client, life } of cluster.liveWorkers) {
      const running = client.core.receiver.runningCount;
      if (running === 0) continue;
      report({ entity: client.workerId, message: `${running} tasks run on ${life.name} for ever` });
    }
  },
};

export const oracles: readonly Oracle[] = [tasks, resources, agreement, liveness];
