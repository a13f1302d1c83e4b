/**
 * A task or an actor at the process that runs it, as it came: for TaskReceiver, and for whoever
 * runs it, waits for it or ends it.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { Linked } from "#engine/common/linked-list.ts";
import type { FunctionDefinition } from "#engine/common/task-spec.ts";
import type { ActorSpec, ConstructActor } from "#engine/protocol/gcs.ts";
import type { Encoded, Outcome, Special } from "#engine/protocol/outcome.ts";
import { ownActorSpec } from "#engine/protocol/own-value.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { ArgumentPull } from "./argument-pulls.ts";
import type { ChildTasks } from "./child-tasks.ts";
import { IncomingBuffers } from "./incoming-buffers.ts";
import { type CountedSpecial, isCounted, specialsOf } from "./contained-refs.ts";
import type { ObjectEntry } from "./object-entry.ts";

const noOutcomes: readonly Outcome[] = [];

export class IncomingTask implements Linked<IncomingTask> {
  readonly owner: WorkerId;
  readonly stream: number;
  readonly seq: number;
  readonly serial: number;
  readonly attempt: number;
  readonly depth: number;
  readonly definition: FunctionDefinition;
  args: Encoded;
  values: readonly Outcome[] | null;
  readonly gpuIds: readonly number[] | null;
  /** Refs of its owner that came with it: the owner keeps them until the reply. Null if none. */
  readonly covered: readonly CountedSpecial[] | null;
  /** Other refs that came with it, a use each while it runs. Null if none. */
  pins: readonly ObjectEntry[] | null = null;
  /** Covered ones whose values came with it, a use each while it runs. Null if none. */
  told: readonly ObjectEntry[] | null = null;
  waiting = false;
  /** Its owner knows that it waits, and is not told again before the reply. */
  hasToldWaiting = false;
  /** Set when its arguments had to be brought here. */
  pull: ArgumentPull | null = null;
  /** Null if none were transferred with it. */
  readonly buffers: IncomingBuffers | null;
  /** Its refs have ended at the owner: its result is for nobody. */
  isCancelled = false;
  /** Its calls are cancelled with it, also those to come. */
  refusesCalls = false;
  /** Its unfinished calls; null until the first. */
  children: ChildTasks | null = null;
  /** Set by the api when the body asks for its signal. */
  onAbort: (() => void) | null = null;
  /** Neighbours among the tasks that run. */
  newer: IncomingTask | null = null;
  older: IncomingTask | null = null;

  constructor(message: PushTask, definition: FunctionDefinition) {
    this.owner = message.from as WorkerId;
    this.stream = message.stream;
    this.seq = message.seq;
    this.serial = message.serial;
    this.attempt = message.attempt;
    this.depth = message.depth;
    this.definition = definition;
    this.args = message.args;
    this.values = message.values;
    this.gpuIds = message.gpuIds;
    this.buffers = message.hasBuffers ? new IncomingBuffers() : null;
    this.covered = coveredRefs(message);
  }

  /** Something that it was given must come first: its body has not begun. */
  get awaitsArguments(): boolean {
    return this.pull?.hasStarted === false || this.buffers?.state === "asked";
  }
}

/** The actor that this worker hosts for the rest of its life. */
export class IncomingActor {
  spec: ActorSpec;
  readonly incarnation: number;
  readonly gpuIds: readonly number[];
  pull: ArgumentPull | null = null;
  /** Refs that the constructor was given, a use each while it runs. Null if none. */
  pins: readonly ObjectEntry[] | null = null;
  /** Its constructor has, well or not. */
  hasEnded = false;
  /** 0 until it is constructed. */
  maxConcurrency = 0;

  constructor(message: ConstructActor) {
    // The constructor runs in a later turn, and the bytes are only lent.
    this.spec = ownActorSpec(message.spec);
    this.incarnation = message.incarnation;
    this.gpuIds = message.gpuIds;
  }
}

/**
 * Of the arguments and of the values that came for them; what others own is covered by its sender.
 */
function coveredRefs({ from, args, values }: PushTask): CountedSpecial[] | null {
  if (args.specials.length === 0) return null;
  const covered: CountedSpecial[] = [];
  addRefsOf(from, args.specials, covered);
  for (const value of values ?? noOutcomes) addRefsOf(from, specialsOf(value), covered);
  return covered.length === 0 ? null : covered;
}

function addRefsOf(owner: Address, specials: readonly Special[], refs: CountedSpecial[]): void {
  for (const special of specials) {
    if (isCounted(special) && special.owner === owner) refs.push(special);
  }
}
