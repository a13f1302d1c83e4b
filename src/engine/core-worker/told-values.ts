/**
 * Values of refs inside of arguments that go with the push: who runs the task has them at once,
 * where it would have to ask the owner and wait for a thread that may be busy.
 *
 * A value is told by its owner only, which keeps it until the reply in any case, and where it lies
 * stays true until then: what was told is not offered to the raylet meanwhile (OfferedObjects), as
 * with direct arguments. At the executor the task counts a use, so that its outcome is here for as
 * long as it runs; what it goes on using it names in the reply, like any other ref that came.
 *
 * State:  by pushed task the places that were told with it, of direct arguments too. When the
 *         store was last too full: then places are not told, so that what is only named can be
 *         spilled.
 * In/out: tasks that are pushed, and that come → values beside their arguments, outcomes.
 * Bounds: `toldMax` values a push; those inside of messages within `inlineBytesMax`, with the
 *         arguments.
 * Errors: none; what is not told is asked for. Errors are not told: they would end the task.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import { InlineValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { specialsOf } from "./contained-refs.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";

/** A task that names more of them at once hardly reads one after another. */
const toldMax = 8;
/** How long a store that was too full is taken for one. */
const fullMs = 10_000;

const nothing: readonly ObjectEntry[] = [];

export class ToldValues {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #copies: LocalCopies;
  readonly #manager: Pick<TaskManager, "settle">;
  /** Of its last push, places only; it has none that is not listed. */
  readonly #places = new WeakMap<TaskRecord, readonly ObjectEntry[]>();
  #nowMs = 0;
  #fullUntilMs = -Infinity;

  constructor(parts: {
    context: ProcessContext;
    references: ReferenceCounter;
    copies: LocalCopies;
    manager: Pick<TaskManager, "settle">;
  }) {
    this.#context = parts.context;
    this.#references = parts.references;
    this.#copies = parts.copies;
    this.#manager = parts.manager;
  }

  /** Begins an event. */
  onEvent(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** The raylet looks for what it may move. */
  onStoreFull(): void {
    this.#fullUntilMs = this.#nowMs + fullMs;
  }

  // ------------------------------------------------------------ at the owner

  /**
   * The task goes to that process, or to one that nobody knows yet, with the values of its direct
   * arguments: adds others to those.
   */
  tell(task: TaskRecord, values: Outcome[], executor: WorkerId | null): void {
    const { refs } = task;
    if (refs === null) return;
    const direct = this.#placesAmong(refs, values);
    const isForAnother = executor !== null && executor !== this.#context.self;
    const named = isForAnother ? this.#tellNamed(task, refs, values, executor) : null;
    const places = direct === null || named === null ? (direct ?? named) : [...direct, ...named];
    if (places !== null) this.#places.set(task, places);
    else this.#places.delete(task);
  }

  /** Of values that are told as they lie; what is managed by then is told without a place. */
  #placesAmong(
    refs: readonly (ObjectEntry | null)[],
    values: readonly Outcome[],
  ): ObjectEntry[] | null {
    let places: ObjectEntry[] | null = null;
    for (let i = 0; i < values.length; i++) {
      const [entry, value] = [refs[i] ?? null, values[i]];
      if (entry === null || !(value instanceof StoredValue)) continue;
      if (this.#copies.isNear(entry.owner, value)) (places ??= []).push(entry);
    }
    return places;
  }

  /** Returns those whose places it has told. */
  // oxlint-disable-next-line max-params -- a call, its refs and values, and whom they go to.
  #tellNamed(
    { args }: TaskRecord,
    refs: readonly (ObjectEntry | null)[],
    values: Outcome[],
    executor: WorkerId,
  ): ObjectEntry[] | null {
    const mayBePlace = this.#mayTellPlaces(refs, values, executor);
    let bytesLeft = this.#context.config.inlineBytesMax;
    if (args instanceof InlineValue) bytesLeft -= args.length;
    let places: ObjectEntry[] | null = null;
    let toldCount = 0;
    for (let i = 0; i < refs.length && toldCount < toldMax; i++) {
      const entry = refs[i] ?? null;
      const special = args.specials[i];
      if (entry === null || special?.type !== "ref" || special.topLevel) continue;
      const { outcome } = entry;
      if (!this.#isTellable(entry)) continue;
      if (outcome instanceof StoredValue) {
        if (!mayBePlace || !this.#copies.isNear(entry.owner, outcome)) continue;
        (places ??= []).push(entry);
      } else {
        const bytes = inlineBytes(outcome);
        if (bytes > bytesLeft || entry.holders?.has(executor)) continue;
        bytesLeft -= bytes;
      }
      values[i] = outcome;
      toldCount += 1;
    }
    return places;
  }

  /** Whose places were told with its push, as far as it is not answered. */
  placesOf(task: TaskRecord): readonly ObjectEntry[] {
    return this.#places.get(task) ?? nothing;
  }

  /** What a value names in turn would need holds of its own. */
  #isTellable({ owner, state, outcome }: ObjectEntry): boolean {
    if (owner !== this.#context.self || state !== "AVAILABLE") return false;
    return specialsOf(outcome).length === 0;
  }

  /**
   * A task that stands in line for arguments keeps nothing in the store besides them, lest those
   * ahead of it wait for just that room.
   */
  #mayTellPlaces(
    refs: readonly (ObjectEntry | null)[],
    values: readonly Outcome[],
    executor: WorkerId,
  ): boolean {
    if (this.#nowMs < this.#fullUntilMs || !this.#references.isOfThisNode(executor)) return false;
    return values.every((value, i) => {
      const owner = refs[i]?.owner ?? this.#context.self;
      return !(value instanceof StoredValue) || this.#copies.isNear(owner, value);
    });
  }

  // ------------------------------------------------------------ at the executor

  /** A task has come: what was told is known here while it runs. Null if nothing was. */
  take({ from, args, values }: PushTask, out: Out): ObjectEntry[] | null {
    if (values === null || from === this.#context.self) return null;
    let told: ObjectEntry[] | null = null;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      const special = args.specials[i];
      if (value === undefined || special?.type !== "ref" || special.topLevel) continue;
      if (special.owner !== from) continue;
      const entry = this.#references.adopt(special.owner, special.serial, special.index);
      entry.uses += 1;
      (told ??= []).push(entry);
      this.#manager.settle(entry, value, out);
    }
    return told;
  }
}

/** About as many as it takes in a message. */
function inlineBytes(outcome: Outcome): number {
  if (outcome instanceof InlineValue) return outcome.length;
  return typeof outcome === "string" ? outcome.length : 0;
}
