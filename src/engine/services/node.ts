/**
 * A node: raylet with its object store, workers, on the head also the GCS; built and torn down as
 * one scope.
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import { assert } from "#engine/common/assert.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import type { OwnedLauncher } from "./owned-launcher.ts";
import type { Gcs } from "#engine/gcs/gcs.ts";
import type { Raylet, RayletOptions } from "#engine/raylet/raylet.ts";
import { GcsService } from "./gcs.ts";
import type { Host } from "./host.ts";
import type { MemoryWords } from "./memory-words.ts";
import { NodeHost, WorkerLauncher } from "./ports.ts";
import type { OverflowPort } from "./overflow-port.ts";
import type { SpillPort } from "./spill-port.ts";
import { Scheduler } from "./scheduler.ts";

export interface NodeOptions {
  readonly host: Host;
  readonly launcher: OwnedLauncher;
  readonly raylet: RayletOptions;
  /** The node's memory: chunks of objects are copied into it. */
  readonly arena: ArenaBytes;
  /** Where its threads see what is free in it. */
  readonly memoryWords: MemoryWords;
  /** Its disk. */
  readonly spilling: SpillPort;
  /** What of memory it takes beyond the arena. */
  readonly overflow: OverflowPort;
  /** A driver that lives on this node, if any. */
  readonly driverId: WorkerId | null;
  /** The head hosts the GCS. */
  readonly isHead: boolean;
  /** The cluster takes this node for dead: everything of it must end. Called at most once. */
  readonly onExit: (reason: string) => void;
  /** Scheduler, Clock and Random that its services run on; Effect's own when there is none. */
  readonly runtime?: Context.Context<never>;
}

export interface RunningNode {
  /** Null on every node but the head. */
  readonly gcs: Gcs | null;
  readonly raylet: Raylet;
  /** Ends the workers, then what they were served by. */
  close(): Promise<void>;
}

/** At once: nothing of it waits, so that a simulated node is there within one step of its world. */
export function startNode(options: NodeOptions): RunningNode {
  const { runtime = Context.empty() } = options;
  const scope = Scope.makeUnsafe();
  const building = Effect.runForkWith(runtime)(Layer.buildWithScope(layerOf(options), scope));
  const exit = building.pollUnsafe();
  assert(exit !== undefined, "no layer of a node waits");
  const services = Effect.runSync(exit);
  return {
    gcs: Option.getOrNull(Context.getOption(services, GcsService))?.machine ?? null,
    raylet: Context.get(services, Scheduler).machine,
    close: () => Effect.runPromiseWith(runtime)(Scope.close(scope, Exit.void)),
  };
}

function layerOf(options: NodeOptions): Layer.Layer<Scheduler> {
  const { host, launcher, raylet, driverId, isHead, onExit } = options;
  const ports = Layer.merge(Layer.succeed(NodeHost, host), Layer.succeed(WorkerLauncher, launcher));
  const scheduler = Scheduler.layer(raylet, options, driverId, onExit);
  // The head's raylet registers at the GCS as its first act: that is there before it.
  const gcs = GcsService.layer(raylet.config);
  const services = isHead ? scheduler.pipe(Layer.provideMerge(gcs)) : scheduler;
  return services.pipe(Layer.provide(ports));
}
