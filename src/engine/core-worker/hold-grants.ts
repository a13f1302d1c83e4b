/**
 * Holds on objects of this process that one borrower makes for another: made → confirmed by the
 * holder, and from then on one of its own; or given up by the maker; or, if the maker has died,
 * deleted once the holder has said that it takes nothing more from it.
 *
 * State:  unconfirmed holds by maker. Each is counted for its holder as if it were confirmed.
 * In/out: createHolds, confirmHolds, releaseHolds, abandonHolds, holdsQueried, deaths →
 *         HoldsCreated, QueryHolds.
 * Bounds: what is under way between living processes; nothing of a holder outlives it.
 * Errors: a repeated createHolds gets the present answer; ids that are unknown are over.
 * Source: protocols §6 rules 2, 4, 6 and 7. A confirmed hold needs no name: messages between two
 *         living processes are neither lost nor reordered.
 */
import { assert } from "#engine/common/assert.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type {
  AbandonHolds,
  ConfirmHolds,
  CreateHolds,
  HoldsQueried,
  HoldToMake,
} from "#engine/protocol/hold.ts";
import type { ReleaseHolds } from "#engine/protocol/object.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

interface Unconfirmed {
  readonly object: ObjectName;
  readonly holder: WorkerId;
}

interface Maker {
  /** Its counters rise on the way here: what is not above has been handled. */
  newestHold: number;
  readonly unconfirmed: Map<number, Unconfirmed>;
}

export class HoldGrants {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #makers = new Map<WorkerId, Maker>();

  constructor(context: ProcessContext, references: ReferenceCounter) {
    this.#context = context;
    this.#references = references;
  }

  get unconfirmedCount(): number {
    let count = 0;
    for (const { unconfirmed } of this.#makers.values()) count += unconfirmed.size;
    return count;
  }

  /** False for what is no word about holds on what this process owns. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    switch (event.type) {
      case "releaseHolds":
        this.onReleaseHolds(event);
        return true;
      case "createHolds":
        this.onCreateHolds(event, out);
        return true;
      case "confirmHolds":
        this.onConfirmHolds(event);
        return true;
      case "abandonHolds":
        this.onAbandonHolds(event);
        return true;
      case "holdsQueried":
        this.onHoldsQueried(event);
        return true;
      default:
        return false;
    }
  }

  onCreateHolds({ from, holds }: CreateHolds, out: Out): void {
    const maker = from as WorkerId;
    this.#references.watchIfFar(maker, out);
    const created: number[] = [];
    const gone: number[] = [];
    for (const hold of holds) {
      const isThere = this.#references.find(this.#context.self, hold) !== undefined;
      if (isThere) this.#make(maker, hold, out);
      (isThere ? created : gone).push(hold.hold);
    }
    out.send(from, { type: "holdsCreated", from: this.#context.self, created, gone });
  }

  onReleaseHolds({ objects, from }: ReleaseHolds): void {
    for (const name of objects) this.#references.dropHolder(name, from as WorkerId);
  }

  onConfirmHolds({ from, holds }: ConfirmHolds): void {
    for (const { maker, hold } of holds) {
      const unconfirmed = this.#makers.get(maker)?.unconfirmed;
      if (unconfirmed?.get(hold)?.holder === from) unconfirmed.delete(hold);
      this.#forgetIfOver(maker);
    }
  }

  onAbandonHolds({ from, holds }: AbandonHolds): void {
    const unconfirmed = this.#makers.get(from as WorkerId)?.unconfirmed;
    for (const hold of holds) {
      const abandoned = unconfirmed?.get(hold);
      if (abandoned === undefined) continue;
      unconfirmed?.delete(hold);
      this.#references.dropHolder(abandoned.object, abandoned.holder);
    }
  }

  /** What the holder had of the dead maker it has confirmed before. */
  onHoldsQueried({ from, maker }: HoldsQueried): void {
    const unconfirmed = this.#makers.get(maker)?.unconfirmed;
    for (const [hold, { object, holder }] of unconfirmed ?? []) {
      if (holder !== from) continue;
      unconfirmed?.delete(hold);
      this.#references.dropHolder(object, holder);
    }
    this.#forgetIfOver(maker);
  }

  onWorkerDied(workerId: WorkerId, error: EngineError, out: Out): void {
    for (const [maker, { unconfirmed }] of this.#makers) {
      // Its counts are gone with it.
      for (const [hold, { holder }] of unconfirmed) {
        if (holder === workerId) unconfirmed.delete(hold);
      }
      this.#forgetIfOver(maker);
    }
    const holders = new Set<WorkerId>();
    for (const { holder } of this.#makers.get(workerId)?.unconfirmed.values() ?? []) {
      holders.add(holder);
    }
    for (const holder of holders) {
      out.send(holder, { type: "queryHolds", from: this.#context.self, maker: workerId, error });
    }
  }

  checkInvariants(): void {
    for (const [maker, { unconfirmed }] of this.#makers) {
      assert(unconfirmed.size > 0 || !this.#references.ended.has(maker), "the dead make no holds");
      for (const { object, holder } of unconfirmed.values()) {
        const entry = this.#references.find(this.#context.self, object);
        assert(entry?.holders?.has(holder) === true, "an unconfirmed hold counts for its holder");
      }
    }
  }

  #make(maker: WorkerId, { serial, index, hold, holder }: HoldToMake, out: Out): void {
    let known = this.#makers.get(maker);
    if (known === undefined) {
      known = { newestHold: 0, unconfirmed: new Map() };
      this.#makers.set(maker, known);
    }
    if (hold <= known.newestHold) return;
    known.newestHold = hold;
    // Nothing that it is sent will arrive.
    if (holder === this.#context.self || this.#references.ended.has(holder)) return;
    const object = { serial, index };
    this.#references.watchIfFar(holder, out);
    this.#references.addHolder(object, holder);
    if (holder !== maker) known.unconfirmed.set(hold, { object, holder });
  }

  #forgetIfOver(maker: WorkerId): void {
    if (this.#makers.get(maker)?.unconfirmed.size !== 0) return;
    if (this.#references.ended.has(maker)) this.#makers.delete(maker);
  }
}
