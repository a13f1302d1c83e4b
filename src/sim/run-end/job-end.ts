/**
 * The end of a job. A program that returns has ended, and what it has left running ends with it, as
 * where a driver exits: its process goes, the tasks it owns are doomed, its actors are killed. Then
 * so do tasks of tasks, whose owners are workers of the job. A call in a detached actor goes on.
 *
 * Only user code that waits for nothing of the engine is left running like that: a task that waits
 * for an object that never comes is the engine's fault, and stays for the oracles.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { WaitingCall } from "#api/waiting-call.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { WatchedProcess } from "#sim/oracles/oracle.ts";
import type { Oracles } from "#sim/oracles/oracles.ts";
import type { Life, World } from "#sim/world/world.ts";

export class JobEnd {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #life: Life = { name: "job", node: -1, hasUserCode: false, isAlive: true };

  readonly #oracles: Oracles;

  constructor(world: World, cluster: Cluster, oracles: Oracles) {
    this.#oracles = oracles;
    this.#world = world;
    this.#cluster = cluster;
    world.addLife(this.#life);
  }

  /**
   * Ends the driver, or once it has ended, the workers whose tasks are left. False when that
   * would end nothing. What follows from it is still to come. `isAtRest`: nothing is under way.
   */
  endWhatIsLeft(isAtRest: boolean): boolean {
    const { driver, liveWorkers } = this.#cluster;
    const left = liveWorkers.flatMap((process) => [...inUserCode(process)]);
    if (left.length === 0 && !liveWorkers.some(constructs)) return false;
    if (driver.life.isAlive) {
      if (isAtRest) this.#oracles.atJobEnd(this.#cluster);
      const names = [...new Set(left.map(({ definition }) => definition.taskName))];
      const what = names.length === 0 ? "a constructor" : names.join(", ");
      this.#end(`the job ends: it has left running: ${what}`, () => {
        this.#cluster.exitDriver();
      });
      return true;
    }
    const living = new Map(liveWorkers.map(({ client }) => [client.workerId, client]));
    const owners = new Set<WorkerId>();
    for (const { owner } of left) if (living.has(owner)) owners.add(owner);
    for (const owner of owners) {
      this.#end(`the job ends: ${owner} owns what is left running`, () => {
        this.#cluster.endWorker(owner, { type: "stopped" });
      });
    }
    return owners.size > 0;
  }

  #end(what: string, run: () => void): void {
    this.#world.next(this.#life, { kind: "exit", what, run });
  }
}

/** Running tasks that wait for nothing of the engine: neither for arguments nor in get or wait. */
export function inUserCode({ client }: WatchedProcess): Set<IncomingTask> {
  const { receiver, waitingRequests } = client.core;
  const left = new Set(receiver.running);
  for (const task of left) if (task.awaitsArguments) left.delete(task);
  for (const request of waitingRequests) {
    const task = request instanceof WaitingCall ? request.task : null;
    if (task !== null) left.delete(task);
  }
  return left;
}

function constructs({ client }: WatchedProcess): boolean {
  return client.core.receiver.actor?.maxConcurrency === 0;
}
