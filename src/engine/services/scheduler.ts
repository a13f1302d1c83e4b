/**
 * The raylet as a service: its machine on the node's host, its instructions carried out by the
 * launcher.
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type { WorkerId } from "#engine/common/ids.ts";
import type { ArenaBytes } from "#engine/protocol/arena.ts";
import { Raylet, type RayletInstruction, type RayletOptions } from "#engine/raylet/raylet.ts";
import type { MemoryWords } from "./memory-words.ts";
import type { OverflowPort } from "./overflow-port.ts";
import { tellingFreeBytes } from "./own-segments.ts";
import type { SpillPort } from "./spill-port.ts";
import { storeChunk } from "./store-chunk.ts";
import { NodeHost, WorkerLauncher } from "./ports.ts";

export interface SchedulerParts {
  readonly arena: ArenaBytes;
  readonly memoryWords: MemoryWords;
  readonly spilling: SpillPort;
  readonly overflow: OverflowPort;
}

export class Scheduler extends Context.Service<Scheduler, { readonly machine: Raylet }>()(
  "mobula/engine/Scheduler",
) {
  /** Registers the node and its driver, starts the first workers; ends them all with the scope. */
  static layer(
    options: RayletOptions,
    parts: SchedulerParts,
    driverId: WorkerId | null,
    onExit: (reason: string) => void,
  ): Layer.Layer<Scheduler, never, NodeHost | WorkerLauncher> {
    return Layer.effect(Scheduler, build(options, parts, driverId, onExit));
  }
}

// One generator for all nodes: V8 keeps what each one closes over for longer than the node lives.
const build = Effect.fnUntraced(function* (
  options: RayletOptions,
  { arena, memoryWords, spilling, overflow }: SchedulerParts,
  driverId: WorkerId | null,
  onExit: (reason: string) => void,
) {
  const host = yield* NodeHost;
  const launcher = yield* WorkerLauncher;
  yield* Effect.addFinalizer(() => Effect.promise(() => spilling.close()));
  yield* Effect.addFinalizer(() => Effect.promise(() => launcher.close()));
  const machine = new Raylet(options);
  const { nodeId } = options;
  const { store } = machine.objects;
  const freeBytes = (): number => Math.max(0, store.freeBytes - store.overflowBytes);
  const telling = tellingFreeBytes(machine, memoryWords, freeBytes);
  host.attach(nodeId, telling, (instruction: RayletInstruction) => {
    if (instruction.type === "startWorker") launcher.start(instruction.workerId);
    else if (instruction.type === "stopWorker") launcher.stop(instruction.workerId);
    else if (instruction.type === "dropSegments") launcher.dropSegments(instruction);
    else if (instruction.type === "storeChunk") storeChunk(arena, instruction);
    else if (instruction.type === "makeOverflow") {
      const { segment, size } = instruction;
      const isMade = overflow.make(segment, size);
      host.dispatch(nodeId, { type: "overflowMade", segment, isMade });
    } else if (instruction.type === "dropOverflow") overflow.drop(instruction.segment);
    else if (instruction.type === "exitNode") onExit(instruction.reason);
    else spilling.perform(instruction, (event) => host.dispatch(nodeId, event));
  });
  if (driverId !== null) {
    host.dispatch(nodeId, { type: "attachDriver", workerId: driverId });
  }
  host.dispatch(nodeId, { type: "start" });
  return Scheduler.of({ machine });
});
