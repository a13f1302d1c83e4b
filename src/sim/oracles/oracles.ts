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
    const infeasible = cluster.liveNodes.some(
      ({ running }) => running.raylet.counts.infeasible > 0,
    );
    if (unfinished > 0 && cluster.driver.life.isAlive && !infeasible) {
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
    for (const { nodeId, totals, running } of cluster.liveNodes) {
      const { leases, waiting, actors } = running.raylet.counts;
      if (leases > 0 || waiting > 0) {
        report({ entity: nodeId, message: `${leases} leases and ${waiting} requests are left` });
      }
      const available = running.raylet.available(cpuName);
      const total = totals.get(cpuName) ?? 0;
      if (actors === 0 && available !== total) {
        report({ entity: nodeId, message: `CPU ${available} of ${total} (1/10000) came back` });
      }
    }
  },
};

const agreement: Oracle = {
  name: "10 idempotency",
  atQuiet(cluster, report) {
    let held = 0;
    for (const { client, life } of [cluster.driver, ...cluster.liveWorkers]) {
      if (life.isAlive) held += client.core.submitter.leaseCount;
    }
    let granted = 0;
    for (const { running } of cluster.liveNodes) granted += running.raylet.counts.leases;
    if (held === granted) return;
    const message = `owners hold ${held} leases, the raylets have granted ${granted}`;
    report({ entity: cluster.head.nodeId, message });
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
