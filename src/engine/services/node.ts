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
import type { WorkerId } from "#engine/common/ids.ts";
import type { OwnedLauncher } from "./owned-launcher.ts";
import type { Gcs } from "#engine/gcs/gcs.ts";
import type { Raylet, RayletOptions } from "#engine/raylet/raylet.ts";
import { GcsService } from "./gcs.ts";
import type { Host } from "./host.ts";
import { NodeHost, WorkerLauncher } from "./ports.ts";
import { Scheduler } from "./scheduler.ts";

export interface NodeOptions {
  readonly host: Host;
  readonly launcher: OwnedLauncher;
  readonly raylet: RayletOptions;
  /** A driver that lives on this node, if any. */
  readonly driverId: WorkerId | null;
  /** The head hosts the GCS. */
  readonly isHead: boolean;
  /** The cluster takes this node for dead: everything of it must end. Called at most once. */
  readonly onExit: (reason: string) => void;
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
  const scope = Effect.runSync(Scope.make());
  const services = Effect.runSync(Layer.buildWithScope(layerOf(options), scope));
  return {
    gcs: Option.getOrNull(Context.getOption(services, GcsService))?.machine ?? null,
    raylet: Context.get(services, Scheduler).machine,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  };
}

function layerOf(options: NodeOptions): Layer.Layer<Scheduler> {
  const { host, launcher, raylet, driverId, isHead, onExit } = options;
  const ports = Layer.merge(Layer.succeed(NodeHost, host), Layer.succeed(WorkerLauncher, launcher));
  const scheduler = Scheduler.layer(raylet, driverId, onExit);
  // The head's raylet registers at the GCS as its first act: that is there before it.
  const gcs = GcsService.layer(raylet.config);
  const services = isHead ? scheduler.pipe(Layer.provideMerge(gcs)) : scheduler;
  return services.pipe(Layer.provide(ports));
}
