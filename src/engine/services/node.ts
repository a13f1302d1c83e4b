/** A head node: GCS, raylet with its object store, workers; built and torn down as one scope. */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import type { WorkerId } from "#engine/common/ids.ts";
import type { OwnedLauncher } from "./owned-launcher.ts";
import type { Gcs } from "#engine/gcs/gcs.ts";
import type { Raylet, RayletOptions } from "#engine/raylet/raylet.ts";
import { GcsService } from "./gcs.ts";
import type { Host } from "./host.ts";
import { NodeHost, WorkerLauncher } from "./ports.ts";
import { Scheduler } from "./scheduler.ts";

export interface HeadNodeOptions {
  readonly host: Host;
  readonly launcher: OwnedLauncher;
  readonly raylet: RayletOptions;
  readonly driverId: WorkerId;
}

export interface RunningNode {
  readonly gcs: Gcs;
  readonly raylet: Raylet;
  /** Ends the workers, then what they were served by. */
  close(): Promise<void>;
}

export const layerHeadNode = (options: HeadNodeOptions): Layer.Layer<GcsService | Scheduler> => {
  const { host, launcher, raylet, driverId } = options;
  const ports = Layer.merge(Layer.succeed(NodeHost, host), Layer.succeed(WorkerLauncher, launcher));
  // The raylet registers at the GCS as its first act: that is there before it.
  const scheduler = Scheduler.layer(raylet, driverId).pipe(Layer.provideMerge(GcsService.layer));
  return scheduler.pipe(Layer.provide(ports));
};

export async function startHeadNode(options: HeadNodeOptions): Promise<RunningNode> {
  const scope = await Effect.runPromise(Scope.make());
  const services = await Effect.runPromise(Layer.buildWithScope(layerHeadNode(options), scope));
  return {
    gcs: Context.get(services, GcsService).machine,
    raylet: Context.get(services, Scheduler).machine,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  };
}
