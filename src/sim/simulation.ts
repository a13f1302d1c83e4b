/** What a program is given to act on its world: time, faults, machines that come back. */
import { checkFault } from "./faults/check-faults.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Fault } from "./faults/fault.ts";
import type { FaultDriver } from "./faults/fault-driver.ts";
import type { Simulation } from "./options.ts";
import type { World } from "./world/world.ts";

export interface SimulationParts {
  readonly world: World;
  readonly cluster: Cluster;
  readonly faults: FaultDriver;
  readonly isHostile: boolean;
  /** On the clock of the driver's machine. */
  sleep(ms: number): Promise<void>;
}

export function makeSimulation(parts: SimulationParts): Simulation {
  const { world, cluster, faults, isHostile } = parts;
  const act = (fault: Fault, carriedOut = fault): void => {
    checkFault(fault, `sim.${fault.kind}`, { nodeCount: cluster.nodes.length, isHostile });
    if (faults.hasHealed) {
      const when = "after the world has healed (sim.heal(), healAtMs)";
      throw new TypeError(`sim: ${fault.kind} ${when}: no fault acts then`);
    }
    faults.fireNow(carriedOut);
  };
  return new WorldSimulation(world, {
    sleep: (ms) => {
      if (ms >= 0 && ms < Infinity) return parts.sleep(ms);
      throw new RangeError(`sim.sleep takes finite virtual ms of at least 0, got ${String(ms)}`);
    },
    crash: (node) => act({ at: 0, kind: "crash", node }),
    crashDriver: () => act({ at: 0, kind: "crashDriver" }),
    restart: (node) => restart(cluster, node),
    partition: (from, to) => {
      const fault = { at: 0, kind: "partition", from, to, forMs: 0 } as const;
      act(fault, { ...fault, forMs: Infinity });
    },
    heal: () => faults.heal(),
  });
}

/** A getter of one object makes a hidden class of its own, which keeps the world it closes over. */
class WorldSimulation implements Simulation {
  readonly sleep: Simulation["sleep"];
  readonly crash: Simulation["crash"];
  readonly crashDriver: Simulation["crashDriver"];
  readonly restart: Simulation["restart"];
  readonly partition: Simulation["partition"];
  readonly heal: Simulation["heal"];
  readonly #world: World;

  constructor(world: World, acts: Omit<Simulation, "nowMs">) {
    this.#world = world;
    this.sleep = acts.sleep;
    this.crash = acts.crash;
    this.crashDriver = acts.crashDriver;
    this.restart = acts.restart;
    this.partition = acts.partition;
    this.heal = acts.heal;
  }

  get nowMs(): number {
    return this.#world.nowMs();
  }
}

function restart(cluster: Cluster, node: number): void {
  const { nodes } = cluster;
  const machine = Number.isInteger(node) ? nodes[node] : undefined;
  if (machine === undefined) {
    throw new RangeError(`sim.restart takes a node, 0 to ${nodes.length - 1}, got ${node}`);
  }
  if (machine.life.isAlive) throw new TypeError(`sim.restart: node ${node} is running`);
  cluster.restart(node);
}
