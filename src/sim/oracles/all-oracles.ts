/** The oracles that are on in every run, by their numbers in docs/internals/simulation.md. */
import type { SimNode } from "#sim/cluster/sim-node.ts";
import { AgreementOracle } from "./agreement.ts";
import type { RareState } from "#sim/report/reached.ts";
import { CancelOracle } from "./cancel.ts";
import { CopyOracle } from "./copies.ts";
import { DeadlockOracle } from "./deadlocks.ts";
import { FarPushOracle } from "./far-pushes.ts";
import { HandleOracle } from "./handles.ts";
import { LineageOracle } from "./lineage.ts";
import { LivenessOracle } from "./liveness.ts";
import { LossOracle } from "./loss.ts";
import { MembershipOracle } from "./membership.ts";
import { ObjectOracle } from "./objects.ts";
import type { Fates, Oracle, Scope, Violate, WatchedProcess } from "./oracle.ts";
import { MovedBuffersOracle } from "./moved-buffers.ts";
import { type QueueBounds, QueueOracle } from "./queues.ts";
import { ReasonOracle } from "./reasons.ts";
import { ReferenceOracle } from "./references.ts";
import { ResourceOracle } from "./resources.ts";
import { TaskOracle } from "./tasks.ts";
import { RoomOracle } from "./room.ts";
import { type StandStill, TimeOracle } from "./time.ts";
import { TransportOracle } from "./transport.ts";

const wholeRun: Scope = { seesAll: true, rememberedMax: Infinity };

export interface RunFacts {
  /** Made after the oracles: asked for when something has happened in it. */
  fates(): Fates;
  /** Every one that there ever was. */
  processes(): readonly WatchedProcess[];
  /** By number: the newest life of each. */
  nodes(): readonly SimNode[];
  /** When a fault has last made the machine stand still; null if none has. */
  lastPause(node: number): StandStill | null;
  nowMs(): number;
  /** A rare state was reached. */
  mark(state: RareState): void;
  /** Of the engine. */
  readonly bounds: QueueBounds;
}

export function allOracles({
  fates,
  processes,
  nodes,
  lastPause,
  nowMs,
  mark,
  bounds,
}: RunFacts): readonly ((violate: Violate) => Oracle)[] {
  return [
    (violate) => new TaskOracle(violate, fates, wholeRun),
    (violate) => new MovedBuffersOracle(violate, mark),
    (violate) => new ObjectOracle(violate, wholeRun),
    (violate) => new LossOracle(violate, fates, wholeRun),
    (violate) => new ReasonOracle(violate, { fates, processes, nodes, lastPause, nowMs }),
    (violate) => new RoomOracle(violate, nodes),
    (violate) => new FarPushOracle(violate),
    (violate) => new ReferenceOracle(violate, fates, processes),
    (violate) => new HandleOracle(violate, { fates, processes, mark }),
    (violate) => new CopyOracle(violate, mark),
    (violate) => new LineageOracle(violate),
    (violate) => new ResourceOracle(violate),
    (violate) => new AgreementOracle(violate),
    (violate) => new MembershipOracle(violate),
    (violate) => new TimeOracle(violate, lastPause),
    (violate) => new CancelOracle(violate, processes, mark),
    (violate) => new LivenessOracle(violate),
    (violate) => new TransportOracle(violate),
    (violate) => new QueueOracle(violate, bounds),
    (violate) => new DeadlockOracle(violate, fates, processes),
  ];
}
