/**
 * Holds that this process makes at the owners of what it borrows: for the receiver of a ref that it
 * sends on, and for itself where somebody else's hold covers it only for a while.
 *
 * State:  holds that were asked for and not answered, by the counter of their ids; messages whose
 *         holds are all there.
 * In/out: refs about to be sent, HoldsCreated, deaths of owners → CreateHolds, AbandonHolds (each
 *         batched by owner, sent by `flush`), messages that may go.
 * Bounds: as many as messages that wait, and refs in them; a batch is sent with its event.
 * Errors: a ref whose object is gone travels without a hold: who uses it learns why.
 * Source: protocols §6 rules 2, 4 and 7.
 */
import { Deque } from "#engine/common/deque.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { HoldsCreated, HoldToMake } from "#engine/protocol/hold.ts";
import type { Outcome } from "#engine/protocol/outcome.ts";
import { isCounted, specialsOf } from "./contained-refs.ts";
import { HoldWait } from "./hold-wait.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";

interface Asked {
  readonly entry: ObjectEntry;
  readonly holder: WorkerId;
  /** Several may wait for the hold of this process itself. */
  readonly waits: HoldWait[];
}

export class HoldMaker {
  readonly #context: ProcessContext;
  readonly #references: ReferenceCounter;
  readonly #asked = new Map<number, Asked>();
  /** Those of `#asked` for this process itself. */
  readonly #own = new Map<ObjectEntry, Asked>();
  readonly #creates = new Map<WorkerId, HoldToMake[]>();
  readonly #abandoned = new Map<WorkerId, number[]>();
  readonly #ready = new Deque<HoldWait>();
  #nextHold = 1;

  constructor(context: ProcessContext, references: ReferenceCounter) {
    this.#context = context;
    this.#references = references;
  }

  /** Not answered yet; 0 at quiet. */
  get askedCount(): number {
    return this.#asked.size;
  }

  /** A hold for the receiver, if the owner is neither of the two. */
  ask(entry: ObjectEntry, holder: WorkerId, wait: HoldWait): void {
    const { owner } = entry;
    const { self } = this.#context;
    if (owner === self || owner === holder || holder === self) return;
    if (this.#references.ended.has(owner)) return;
    // Ours must last until that one is there.
    entry.uses += 1;
    wait.missingCount += 1;
    this.#create({ entry, holder, waits: [wait] });
  }

  /** … for each ref inside the value. */
  askInside(value: Outcome, holder: WorkerId, wait: HoldWait): void {
    for (const special of specialsOf(value)) {
      if (!isCounted(special)) continue;
      const entry = this.#references.find(special.owner, special);
      if (entry !== undefined) this.ask(entry, holder, wait);
    }
  }

  /** One of our own, while somebody else covers the ref. */
  askForSelf(entry: ObjectEntry): void {
    const { owner } = entry;
    if (entry.held || owner === this.#context.self || this.#own.has(entry)) return;
    if (this.#references.ended.has(owner)) return;
    this.#references.claim(entry);
    const asked = { entry, holder: this.#context.self, waits: [] };
    this.#own.set(entry, asked);
    this.#create(asked);
  }

  /** The cover of the ref must last until our own hold is there. */
  awaitOwn(entry: ObjectEntry, wait: HoldWait): void {
    this.askForSelf(entry);
    const asked = this.#own.get(entry);
    if (asked === undefined) return;
    wait.missingCount += 1;
    asked.waits.push(wait);
  }

  /** It will not be sent: what was made for it goes, now or when it comes. */
  abandon(wait: HoldWait): void {
    wait.abandoned = true;
    for (const { owner, hold } of wait.made.splice(0)) addTo(this.#abandoned, owner, hold);
  }

  /** Something else that the message waited for is done. */
  oneLess(wait: HoldWait): void {
    wait.missingCount -= 1;
    if (wait.abandoned) this.abandon(wait);
    else if (wait.missingCount === 0) this.#ready.push(wait);
  }

  /** The next message whose holds are all there, or undefined. */
  takeReady(): HoldWait | undefined {
    return this.#ready.size === 0 ? undefined : this.#ready.shift();
  }

  onHoldsCreated({ created, gone }: HoldsCreated): void {
    for (const hold of created) this.#answer(hold, true);
    for (const hold of gone) this.#answer(hold, false);
  }

  onWorkerDied(workerId: WorkerId): void {
    this.#creates.delete(workerId);
    this.#abandoned.delete(workerId);
    if (this.#asked.size === 0) return;
    for (const [hold, { entry }] of [...this.#asked]) {
      if (entry.owner === workerId) this.#answer(hold, false);
    }
  }

  /** Before what is let go: it may be the last to keep what these name. */
  flush(out: Out): void {
    const from = this.#context.self;
    if (this.#creates.size > 0) {
      for (const [owner, holds] of this.#creates) {
        this.#references.watch(owner, out);
        out.send(owner, { type: "createHolds", from, holds });
      }
      this.#creates.clear();
    }
    if (this.#abandoned.size === 0) return;
    for (const [owner, holds] of this.#abandoned) {
      out.send(owner, { type: "abandonHolds", from, holds });
    }
    this.#abandoned.clear();
  }

  #create(asked: Asked): void {
    const { entry, holder } = asked;
    const { owner, serial, index } = entry;
    const hold = this.#nextHold++;
    this.#asked.set(hold, asked);
    addTo(this.#creates, owner, { serial, index, hold, holder });
  }

  #answer(hold: number, isCreated: boolean): void {
    const asked = this.#asked.get(hold);
    if (asked === undefined) return;
    this.#asked.delete(hold);
    const { entry, holder, waits } = asked;
    if (holder === this.#context.self) {
      this.#own.delete(entry);
      this.#references.onClaimed(entry, isCreated);
    } else {
      this.#references.dropUse(entry);
    }
    for (const wait of waits) {
      if (holder !== this.#context.self && isCreated) {
        const { owner, serial, index } = entry;
        wait.made.push({ owner, serial, index, hold });
      }
      this.oneLess(wait);
    }
  }
}

function addTo<T>(lists: Map<WorkerId, T[]>, owner: WorkerId, item: T): void {
  const list = lists.get(owner);
  if (list === undefined) lists.set(owner, [item]);
  else list.push(item);
}
