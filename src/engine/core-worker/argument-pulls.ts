/**
 * Arguments whose bytes are not within reach of this process: a task, or an actor's constructor,
 * starts when they are all here. Calls of an actor by one caller start in order, so those behind
 * one that waits, wait too.
 *
 * State:  what each waits for; per caller of this worker's actor the calls that may not start yet.
 * In/out: tasks and constructors that arrive, copies that are here → those that may start.
 * Bounds: tasks under way to this worker.
 * Errors: an argument that failed, or whose bytes are lost, is the outcome of the task. One for
 *         which there is no room may wait for a task that waits for the room of ours: so all is let
 *         go of and asked for again; in the end that there is no room is the outcome.
 * Source: Ray dependency waiter and actor scheduling queue; protocols §4 PULLING, at the executor.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import { type Address, argumentsIndex, makerOf, type WorkerId } from "#engine/common/ids.ts";
import { type ObjectOf, ownerDiedError } from "#engine/common/lost-object.ts";
import type { ActorSpec } from "#engine/protocol/gcs.ts";
import { type Encoded, FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { ownEncoded, ownOutcome } from "#engine/protocol/own-value.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { EndedPeers } from "./ended-peers.ts";
import type { LocalCopies, LocalCopy } from "./local-copies.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out } from "./process-context.ts";
import type { IncomingActor, IncomingTask } from "./incoming-task.ts";

/** Arguments of a call, as its message brought them. */
export interface Given {
  readonly from: Address;
  /** Of the task or actor. */
  readonly serial: number;
  readonly args: Encoded;
  readonly values: readonly Outcome[] | null;
}

/** One of them whose bytes lie elsewhere, or on the disk. */
interface FarArgument {
  readonly position: number;
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  readonly value: StoredValue;
}

/** So often a task gives up all that it has, and asks for it again. */
const roomTriesMax = 4;

/** What one task or constructor waits for. */
export class ArgumentPull {
  /** What starts then. */
  target: IncomingTask | IncomingActor | null = null;
  /** Bytes of its message are its own. */
  args: Encoded;
  values: Outcome[] | null;
  missingCount = 0;
  failed: FailedValue | null = null;
  /** A copy of the buffers that were transferred with it, if it needed one brought here. */
  buffers: Outcome = undefined;
  /** It waits no more. */
  hasStarted = false;
  readonly copies = new Map<LocalCopy, number[]>();
  /** All that it has asked for. */
  readonly far: FarArgument[] = [];
  triesLeft = roomTriesMax - 1;

  constructor({ args, values }: Pick<Given, "args" | "values">) {
    this.args = ownEncoded(args);
    this.values = values?.map(ownOutcome) ?? null;
  }

  get isReady(): boolean {
    return this.missingCount === 0 || this.failed !== null;
  }

  /** For as long as the task runs: what its value names is kept with it. */
  keep(entry: ObjectEntry): void {
    const { target } = this;
    if (target === null) return;
    entry.uses += 1;
    target.pins = [...(target.pins ?? []), entry];
  }
}

/** Positions of the arguments themselves among what a call needs, and of its buffers. */
const ofArguments = -1;
const ofBuffers = -2;

export class ArgumentPulls {
  readonly #copies: LocalCopies;
  readonly #ended: EndedPeers;
  /** Calls of one caller that have not started, oldest first; a queue in the map is never empty. */
  readonly #inOrder = new Map<WorkerId, Deque<ArgumentPull>>();

  constructor(copies: LocalCopies, ended: EndedPeers) {
    this.#copies = copies;
    this.#ended = ended;
  }

  /** Null when it may start at once, as nearly all may. `ordered`: behind calls of its caller. */
  begin(given: Given, ordered: boolean, out: Out): ArgumentPull | null {
    const owner = given.from as WorkerId;
    const waits = ordered && this.#inOrder.size > 0 && this.#inOrder.has(owner);
    if (!waits && !this.#needsPull(given)) return null;
    const pull = new ArgumentPull(given);
    this.#pull(pull, given, out);
    if (ordered) this.#stand(owner, pull);
    return pull;
  }

  /** It could start but for its buffers, of which a copy lies elsewhere. */
  beginBuffers(
    task: IncomingTask,
    { serial, index }: ObjectName,
    value: StoredValue,
    out: Out,
  ): ArgumentPull {
    const pull = task.pull ?? new ArgumentPull(task);
    pull.hasStarted = false;
    this.#want(pull, ofBuffers, { owner: task.owner, serial, index, value }, out);
    return pull;
  }

  /** A copy has come, or will not. True when that was the last that was missing. */
  onArrival(pull: ArgumentPull, copy: LocalCopy, outcome: Outcome, out: Out): boolean {
    const positions = pull.copies.get(copy) ?? [];
    if (pull.isReady) return false;
    if (outcome instanceof FailedValue && isNoRoom(outcome) && pull.triesLeft > 0) {
      this.#askAgain(pull, out);
      return pull.isReady;
    }
    pull.missingCount -= positions.length;
    for (const position of positions) this.#set(pull, position, outcome);
    return pull.isReady;
  }

  /** The next of its caller that may start, taken out; those without an order start when ready. */
  takeReady(owner: WorkerId): ArgumentPull | undefined {
    const queue = this.#inOrder.get(owner);
    let first = queue?.peek();
    // Cancelled ones stand in line until it is their turn.
    for (; first?.hasStarted; first = queue?.peek()) queue?.shift();
    if (queue?.size === 0) this.#inOrder.delete(owner);
    if (queue === undefined || first === undefined || !first.isReady) return undefined;
    queue.shift();
    if (queue.size === 0) this.#inOrder.delete(owner);
    return first;
  }

  /** The task has ended, or will never start. */
  end(pull: ArgumentPull): void {
    for (const copy of pull.copies.keys()) this.#copies.letGo(copy, pull);
    pull.copies.clear();
  }

  checkInvariants(): void {
    for (const queue of this.#inOrder.values()) assert(queue.size > 0, "nobody stands in line");
  }

  #isFar(owner: WorkerId, value: Outcome): boolean {
    return value instanceof StoredValue && !this.#copies.isNear(owner, value);
  }

  /** Its bytes may be somebody else's by now: the raylet was told that nobody here reads them. */
  #isGone(owner: WorkerId, value: Outcome): value is StoredValue {
    if (this.#ended.size === 0 || !(value instanceof StoredValue)) return false;
    return this.#ended.has(owner) && this.#copies.isNear(owner, value);
  }

  #needsPull({ from, args, values }: Given): boolean {
    const owner = from as WorkerId;
    if (this.#isFar(owner, args) || this.#isGone(owner, args)) return true;
    if (values === null) return false;
    return values.some((value, i) => {
      if (value instanceof FailedValue) return true;
      const special = args.specials[i];
      if (special?.type !== "ref") return false;
      return this.#isFar(special.owner, value) || this.#isGone(special.owner, value);
    });
  }

  #pull(pull: ArgumentPull, { from, serial }: Given, out: Out): void {
    const { args, values } = pull;
    const owner = from as WorkerId;
    if (args instanceof StoredValue && this.#isFar(owner, args)) {
      this.#want(pull, ofArguments, { owner, serial, index: argumentsIndex, value: args }, out);
    }
    if (this.#isGone(owner, args)) this.#refuse(pull, { owner, serial, index: argumentsIndex });
    for (const [i, value] of (values ?? []).entries()) {
      const special = args.specials[i];
      if (value instanceof FailedValue) pull.failed ??= value;
      if (special?.type !== "ref" || !(value instanceof StoredValue)) continue;
      if (this.#isGone(special.owner, value)) this.#refuse(pull, special);
      else if (this.#isFar(special.owner, value)) this.#want(pull, i, { value, ...special }, out);
    }
  }

  #refuse(pull: ArgumentPull, object: ObjectOf): void {
    const error = ownerDiedError(object, this.#ended.reasonOf(object.owner));
    pull.failed ??= new FailedValue(error, null);
  }

  /** Others have the room first that ours took. */
  #askAgain(pull: ArgumentPull, out: Out): void {
    pull.triesLeft -= 1;
    for (const copy of pull.copies.keys()) this.#copies.giveUp(copy, pull);
    pull.copies.clear();
    pull.missingCount = 0;
    this.#copies.tellDropped(out);
    for (const argument of pull.far) this.#ask(pull, argument, out);
  }

  #want(
    pull: ArgumentPull,
    position: number,
    { owner, serial, index, value }: Omit<FarArgument, "position">,
    out: Out,
  ): void {
    const argument = { position, owner, serial, index, value };
    pull.far.push(argument);
    this.#ask(pull, argument, out);
  }

  #ask(pull: ArgumentPull, argument: FarArgument, out: Out): void {
    const { position, owner, serial, index, value } = argument;
    const name = { serial, index };
    const copy = this.#copies.want({ owner, name, value, priority: 2 }, pull, out);
    const positions = pull.copies.get(copy) ?? [];
    pull.copies.set(copy, [...positions, position]);
    if (copy.value === null) pull.missingCount += 1;
    else this.#set(pull, position, copy.value);
  }

  #set(pull: ArgumentPull, position: number, outcome: Outcome): void {
    if (outcome instanceof FailedValue) pull.failed ??= ownOutcome(outcome) as FailedValue;
    else if (position === ofBuffers) pull.buffers = ownOutcome(outcome);
    else if (position !== ofArguments && pull.values !== null) {
      pull.values[position] = ownOutcome(outcome);
    } else if (outcome instanceof StoredValue) pull.args = outcome;
  }

  #stand(owner: WorkerId, pull: ArgumentPull): void {
    const queue = this.#inOrder.get(owner) ?? new Deque<ArgumentPull>();
    queue.push(pull);
    this.#inOrder.set(owner, queue);
  }
}

export function givenToActor({ actorId, args, values }: ActorSpec): Given {
  const { maker, serial } = makerOf(actorId);
  return { from: maker, serial, args, values };
}

/** The object is well; only this node has no room for it. */
export function isNoRoom({ error }: FailedValue): boolean {
  return error.type === "OBJECT_STORE_FULL" || error.type === "OUT_OF_DISK";
}
