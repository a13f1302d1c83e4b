/** Ports and hosts as services of Effect: what layers are built on. */
import * as Context from "effect/Context";
import type { OwnedLauncher } from "./owned-launcher.ts";
import type { Host } from "./host.ts";

/** The pump of the thread that a node lives in. */
export class NodeHost extends Context.Service<NodeHost, Host>()("mobula/engine/NodeHost") {}

/** Starts and stops the node's workers; closing it ends them all. */
export class WorkerLauncher extends Context.Service<WorkerLauncher, OwnedLauncher>()(
  "mobula/engine/WorkerLauncher",
) {}
