/**
 * Specs of finished tasks that may be needed again: a stored return can be lost with its node, and
 * is then made anew.
 *
 * State:  kept specs by serial, oldest first: one while a return is in scope, or while a kept spec
 *         needs one as its argument.
 * In/out: finished tasks, freed entries → arguments kept, and let go of.
 * Holds:  an argument that is itself a return that can be made anew is kept as lineage only: its
 *         value may go. All other refs in the spec (puts, borrowed ones, those inside values, and
 *         values that travel inside the spec) are used for as long as the spec is kept.
 * Bounds: `maxLineageBytes` for arguments and what they hold; beyond it the oldest half is evicted,
 *         and what it made cannot be made anew. Letting go is a loop, for chains of a million.
 * Source: Ray task_manager (lineage), reference_counter (lineage_ref_count); protocols §6.8.
 */
import { assert } from "#engine/common/assert.ts";
import { InlineValue, noArguments, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { isTopLevel } from "./dependency-resolver.ts";
import type { ObjectEntry, TaskRecord } from "./object-entry.ts";
import type { ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import { freeArguments } from "./stored-arguments.ts";
import { hasLostBuffers } from "./transferred-buffers.ts";

/** What a kept spec costs beside its bytes, about. */
const specBytes = 256;

export class KeptSpec {
  readonly task: TaskRecord;
  /** Kept specs that need one of the returns as an argument. */
  dependents = 0;
  bytes = 0;
  /** Its arguments are gone: nothing of it can be made anew. */
  isEvicted = false;
  /** It runs again, and why. */
  isRunning = false;
  why = "";
  /** By position of `task.refs`: kept as lineage only. */
  lineageOnly: boolean[] = [];

  constructor(task: TaskRecord) {
    this.task = task;
  }
}

export class TaskLineage {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #kept = new Map<number, KeptSpec>();
  /** May be needed by nobody any more. */
  readonly #doubtful: KeptSpec[] = [];
  #bytes = 0;
  /** Bytes in the arena of this node go with this process only. */
  mayBeLost: (value: StoredValue) => boolean = ({ node }) =>
    node !== null && node !== this.#context.raylet;

  constructor(context: ProcessContext, references: ReferenceCounter) {
    this.#context = context;
    this.#references = references;
    references.lineage = this;
  }

  get size(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** For status and tests. */
  all(): IterableIterator<KeptSpec> {
    return this.#kept.values();
  }

  /** Of the task that made the object; undefined for what is not kept. */
  find({ owner, serial, index }: ObjectEntry): KeptSpec | undefined {
    if (owner !== this.#context.self || index === 0) return undefined;
    return this.#kept.get(serial);
  }

  /** The task has ended. False when its spec is of no further use. */
  keep(task: TaskRecord): boolean {
    const known = this.#kept.size === 0 ? undefined : this.#kept.get(task.serial);
    const isLosable = this.#canBeMadeAnew(task);
    if (known === undefined && !isLosable) return false;
    const spec = known ?? new KeptSpec(task);
    spec.isRunning = false;
    if (spec.dependents === 0 && !(isLosable && isInScope(task))) {
      this.#kept.delete(task.serial);
      return false;
    }
    this.#kept.set(task.serial, spec);
    this.#holdArguments(spec);
    this.#bytes += spec.bytes;
    if (this.#bytes > this.#context.config.maxLineageBytes) this.#evictOldest();
    return true;
  }

  /**
   * Its task runs again: what was kept as lineage is used, and made anew by `revive` where it is
   * gone.
   */
  run(spec: KeptSpec, revive: (entry: ObjectEntry) => void): void {
    const { task, lineageOnly } = spec;
    this.#bytes -= spec.bytes;
    spec.bytes = 0;
    for (const [i, entry] of (task.refs ?? []).entries()) {
      if (entry === null || !lineageOnly[i]) continue;
      entry.uses += 1;
      if (entry.state === "FREED") revive(entry);
      this.#dropDependent(entry);
    }
    spec.lineageOnly = [];
  }

  onFreed(entry: ObjectEntry): void {
    const spec = this.#kept.size === 0 ? undefined : this.find(entry);
    if (spec !== undefined) this.#doubtful.push(spec);
  }

  /** Lets go of what nobody needs. True if there was anything, which may have freed more. */
  sweep(): boolean {
    if (this.#doubtful.length === 0) return false;
    let worked = false;
    for (let spec = this.#doubtful.pop(); spec !== undefined; spec = this.#doubtful.pop()) {
      const { task, dependents, isRunning } = spec;
      if (isRunning || dependents > 0 || isInScope(task)) continue;
      if (this.#kept.get(task.serial) !== spec) continue;
      this.#kept.delete(task.serial);
      this.#letGo(spec);
      worked = true;
    }
    return worked;
  }

  checkInvariants(): void {
    assert(this.#doubtful.length === 0, "an event ended before its lineage was settled");
    let bytes = 0;
    for (const [serial, spec] of this.#kept) {
      assert(serial === spec.task.serial, "a spec is kept under its serial");
      assert(spec.dependents >= 0, "a spec is needed by less than nobody");
      bytes += spec.bytes;
    }
    assert(bytes === this.#bytes, "bytes of lineage are counted");
  }

  /** Only stored bytes are ever lost, and only a task that may run again makes them anew. */
  #canBeMadeAnew(task: TaskRecord): boolean {
    const { actor, template, outcome, moreReturns } = task;
    if (!(outcome instanceof StoredValue) && moreReturns === null) return false;
    if (actor !== null || template.retry.maxRetries === 0 || hasLostBuffers(task)) return false;
    const outcomes = [outcome, ...(moreReturns ?? []).map((one) => one.outcome)];
    if (outcomes.some((one) => this.#isLosable(one))) return true;
    return outcomes.some((one) => one instanceof StoredValue) && this.#isCheap(task);
  }

  /**
   * Bytes of this node are lost only if they were spilled and the disk has spoilt them: for that no
   * object is kept that would have gone, nor any room in the store.
   */
  #isCheap({ args, refs, transferred }: TaskRecord): boolean {
    if (args instanceof StoredValue || transferred !== null) return false;
    return (refs ?? []).every((entry, i) => {
      if (entry === null) return true;
      return (
        isTopLevel(args.specials[i]) && entry.outcome instanceof StoredValue && this.#canGo(entry)
      );
    });
  }

  /** It could be made anew in its turn. */
  #canGo(entry: ObjectEntry): boolean {
    const made = this.find(entry);
    return made !== undefined && !made.isEvicted;
  }

  #isLosable(outcome: Outcome): boolean {
    return outcome instanceof StoredValue && this.mayBeLost(outcome);
  }

  #holdArguments(spec: KeptSpec): void {
    const { task } = spec;
    spec.bytes = specBytes + bytesOf(task.args) + bytesOf(task.transferred?.copy?.outcome);
    const refs = task.refs ?? [];
    spec.lineageOnly = refs.map((entry, i) => {
      if (entry === null) return false;
      const made = isTopLevel(task.args.specials[i]) ? this.find(entry) : undefined;
      if (made !== undefined && !made.isEvicted && entry.outcome instanceof StoredValue) {
        made.dependents += 1;
        return true;
      }
      spec.bytes += bytesOf(entry.outcome);
      return false;
    });
    // Last: the value of an argument may go with this use.
    for (const [i, entry] of refs.entries()) {
      if (entry !== null && spec.lineageOnly[i]) this.#references.dropUse(entry);
    }
  }

  #evictOldest(): void {
    for (const spec of this.#kept.values()) {
      if (this.#bytes * 2 <= this.#context.config.maxLineageBytes) return;
      if (spec.isEvicted || spec.isRunning) continue;
      spec.isEvicted = true;
      this.#letGo(spec);
    }
  }

  #letGo(spec: KeptSpec): void {
    const { task, lineageOnly } = spec;
    this.#bytes -= spec.bytes;
    spec.bytes = 0;
    const refs = task.refs ?? [];
    task.refs = null;
    freeArguments(task, this.#references);
    task.args = noArguments;
    for (const [i, entry] of refs.entries()) {
      if (entry === null) continue;
      if (lineageOnly[i]) this.#dropDependent(entry);
      else this.#references.dropUse(entry);
    }
  }

  #dropDependent(entry: ObjectEntry): void {
    const made = this.find(entry);
    assert(made !== undefined && made.dependents > 0, "an argument's spec is kept with its own");
    made.dependents -= 1;
    this.#doubtful.push(made);
  }
}

function isInScope(task: TaskRecord): boolean {
  if (task.state !== "FREED") return true;
  return task.moreReturns?.some(({ state }) => state !== "FREED") === true;
}

function bytesOf(value: Outcome): number {
  if (value instanceof StoredValue) return value.size;
  return value instanceof InlineValue ? value.length : 0;
}
