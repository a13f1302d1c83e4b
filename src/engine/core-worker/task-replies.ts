/**
 * The answer to a task that has ended: sent at once, or when what it names is held for its owner,
 * and its stored results are kept by the raylet for an owner on another node.
 *
 * State:  none of its own; a reply that waits is a HoldWait.
 * In/out: tasks that ended → TaskReply, ArenaGiven, ObjectSealed, holds asked for.
 * Bounds: as many as tasks that have ended and are not answered.
 * Errors: a result that is for nobody, since its task was cancelled or its owner has died, goes.
 * Source: protocols §3 taskReply, §5, §6.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { SealedObject } from "#engine/protocol/copy.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName, PushTask } from "#engine/protocol/task.ts";
import type { ActorHandles } from "./actor-handles.ts";
import type { TaskFinished } from "./calls.ts";
import { type CountedSpecial, specialsOf } from "./contained-refs.ts";
import type { HoldMaker } from "./hold-maker.ts";
import { heldRefs, HoldWait } from "./hold-wait.ts";
import { isUsed, type ObjectEntry } from "./object-entry.ts";
import type { ObjectSeals } from "./object-seals.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { IncomingTask } from "./incoming-task.ts";

/** What a reply is made of: of a task that has ended, or never ran. */
interface Ended extends Pick<TaskFinished, "durationMs" | "outcome" | "outcomes"> {
  readonly task: Pick<IncomingTask, "owner" | "stream" | "seq">;
}

const noOutcomes: readonly Outcome[] = [];

export class TaskReplies {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #holds: HoldMaker;
  readonly #handles: ActorHandles;
  readonly #seals: ObjectSeals;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    holds: HoldMaker;
    handles: ActorHandles;
    seals: ObjectSeals;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#holds = parts.holds;
    this.#handles = parts.handles;
    this.#seals = parts.seals;
  }

  onFinished(event: TaskFinished, out: Out): void {
    const { task } = event;
    const isForNobody = task.isCancelled || this.#references.ended.has(task.owner);
    if (isForNobody) this.#answer(this.#withoutResult(event), out);
    else this.#answer(task.attempt === 0 ? event : madeBy(event), out);
  }

  /** It was cancelled before it came: for its owner it is over, whatever the answer. */
  refuse({ from, stream, seq, holds }: PushTask, out: Out): void {
    const owner = from as WorkerId;
    if (holds !== null) this.#references.onReceivedHeld(holds, owner, out);
    const task = { owner, stream, seq };
    this.#send({ task, durationMs: 0, outcome: undefined, outcomes: null }, null, null, out);
  }

  /** What the reply names is held, and what it stored is kept: its owner may let go. */
  onHeld(wait: HoldWait, finished: TaskFinished, out: Out): void {
    const { owner } = finished.task;
    if (this.#references.ended.has(owner)) this.#holds.abandon(wait);
    this.#references.unpin(wait.pins);
    this.#reply(finished, heldRefs(wait), out);
  }

  /** What is used on must be ours before the cover may go. */
  unpin(pins: readonly ObjectEntry[], wait: HoldWait): void {
    this.#references.unpin(pins);
    for (const entry of pins) {
      if (isUsed(entry) && !entry.held) this.#holds.awaitOwn(entry, wait);
    }
  }

  /** At once, or when what the reply names and the task goes on using is held. */
  #answer(finished: TaskFinished, out: Out): void {
    const { task, outcome, outcomes } = finished;
    const { owner } = task;
    this.#references.exportContained(outcome, owner);
    for (const value of outcomes ?? noOutcomes) this.#references.exportContained(value, owner);
    const sealed = this.#farResults(finished);
    const isPlain = outcomes === null && sealed === null && specialsOf(outcome).length === 0;
    if (task.pins === null && isPlain && !this.#handles.namesSelf) {
      this.#reply(finished, null, out);
      return;
    }
    const wait = new HoldWait({ type: "reply", finished });
    const values = outcomes === null ? [outcome] : [outcome, ...outcomes];
    if (!this.#references.ended.has(owner)) {
      for (const value of values) this.#holds.askInside(value, owner, wait);
    }
    if (sealed !== null) {
      wait.missingCount += 1;
      this.#seals.seal(sealed, () => this.#holds.oneLess(wait), out);
    }
    const { pins } = task;
    task.pins = null;
    if (pins !== null) this.unpin(pins, wait);
    this.#handles.awaitSelf(wait);
    if (wait.missingCount === 0) this.#reply(finished, null, out);
    else wait.pins = this.#references.pinInside(values, owner);
  }

  #withoutResult(finished: TaskFinished): TaskFinished {
    this.#discard(finished);
    return { ...finished, outcome: undefined, outcomes: null };
  }

  #reply(finished: TaskFinished, holds: readonly HeldRef[] | null, out: Out): void {
    const { task } = finished;
    if (this.#references.ended.has(task.owner)) {
      // What the raylet keeps for an owner elsewhere goes with that one.
      if (this.#references.isOfThisNode(task.owner)) this.#discard(finished);
      return;
    }
    const keptRefs = task.covered === null ? null : this.#keep(task.covered);
    this.#giveResults(finished, out);
    this.#send(finished, keptRefs, holds, out);
    this.#handles.letGoOfSelf();
  }

  #send(
    { task, durationMs, outcome, outcomes }: Ended,
    keptRefs: readonly ObjectName[] | null,
    holds: readonly HeldRef[] | null,
    out: Out,
  ): void {
    const { owner, stream, seq } = task;
    out.send(owner, {
      type: "taskReply",
      from: this.#context.self,
      stream,
      seq,
      durationMs,
      outcome,
      outcomes,
      keptRefs,
      holds,
    });
  }

  /** Results in this node's arena for an owner on another: whoever hears of them finds them. */
  #farResults({ task, outcome, outcomes }: TaskFinished): SealedObject[] | null {
    const mayBeStored = outcome instanceof StoredValue || outcomes !== null;
    if (!mayBeStored || this.#references.isOfThisNode(task.owner)) return null;
    const { owner, serial } = task;
    const sealed = [outcome, ...(outcomes ?? noOutcomes)].flatMap((value, i): SealedObject[] => {
      if (!(value instanceof StoredValue)) return [];
      const { segment, offset, size, version } = value;
      return [{ owner, serial, index: i + 1, version, extent: { segment, offset, size } }];
    });
    return sealed.length === 0 ? null : sealed;
  }

  /** Results are their owner's, also in the books of the raylet: from ahead of the reply on. */
  #giveResults({ task, outcome, outcomes }: TaskFinished, out: Out): void {
    if (!(outcome instanceof StoredValue) && outcomes === null) return;
    const { self: from, raylet } = this.#context;
    const { owner: to } = task;
    if (to === from || !this.#references.isOfThisNode(to)) return;
    const extents = [outcome, ...(outcomes ?? noOutcomes)].flatMap((value) => {
      if (!(value instanceof StoredValue)) return [];
      const { segment, offset, size } = value;
      return [{ segment, offset, size }];
    });
    if (extents.length > 0) out.send(raylet, { type: "arenaGiven", from, to, extents });
  }

  /** What user code goes on using, though the owner's cover for it ends with the reply. */
  #keep(covered: readonly CountedSpecial[]): ObjectName[] | null {
    let kept: ObjectName[] | null = null;
    for (const { owner, serial, index } of covered) {
      const entry = this.#references.find(owner, { serial, index });
      if (entry === undefined || !this.#references.keepCovered(entry)) continue;
      (kept ??= []).push({ serial, index });
    }
    return kept;
  }

  #discard({ outcome, outcomes }: TaskFinished): void {
    this.#references.untaken.discard(outcome);
    for (const value of outcomes ?? noOutcomes) this.#references.untaken.discard(value);
  }
}

/** Attempts are told apart by the version of what they stored. */
function madeBy(event: TaskFinished): TaskFinished {
  const { attempt } = event.task;
  const versioned = (outcome: Outcome): Outcome => {
    if (!(outcome instanceof StoredValue)) return outcome;
    const { segment, offset, size, specials, node } = outcome;
    return new StoredValue(segment, offset, size, specials, node, attempt);
  };
  const outcomes = event.outcomes?.map(versioned) ?? null;
  return { ...event, outcome: versioned(event.outcome), outcomes };
}
