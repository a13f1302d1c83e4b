/**
 * Copies that their owners have offered, and that other processes of the node may still read in
 * place: all are told to forget the place, and when none reads it any more the raylet may move
 * them.
 *
 * Each is asked twice. Who has not heard yet may tell the place once more, with a call, to one that
 * has answered; after the first round nobody tells it, so what is said in the second stands. Who
 * died by then had told nobody who is not asked: of its end all have heard before.
 *
 * State:  by copy, who has not answered; by process, what it is still to be asked.
 * In/out: objectsOffered, placesRevoked, ends of processes → revokePlaces, copies that are managed.
 * Bounds: one question a process at a time, of `objectsPerQuestionMax` copies. Who keeps a view
 *         answers when it is dropped; nothing but this copy's way to the disk waits for it.
 * Errors: none; an answer about what is gone meanwhile is no news.
 */
import { assert } from "#engine/common/assert.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { PlacesRevoked } from "#engine/protocol/copy.ts";
import type { Copy } from "./copy.ts";
import type { LocalObjects } from "./local-objects.ts";
import type { RayletOut } from "./placement-queue.ts";

const objectsPerQuestionMax = 1_000;

interface Revocation {
  readonly copy: Copy;
  isLastRound: boolean;
  readonly unanswered: Set<WorkerId>;
}

interface Asked {
  /** Its question; 0 when it has answered. */
  requestId: number;
  readonly next: Set<Copy>;
}

export class PlaceRevocations {
  readonly #self: NodeId;
  readonly #objects: LocalObjects;
  /** Of this node, with those that are about to end. */
  readonly #processes: () => Iterable<WorkerId>;
  readonly #revocations = new Map<Copy, Revocation>();
  readonly #asked = new Map<WorkerId, Asked>();
  #nextRequestId = 1;
  #isDue = false;

  constructor(parts: { nodeId: NodeId; objects: LocalObjects; living: () => Iterable<WorkerId> }) {
    this.#self = parts.nodeId;
    this.#objects = parts.objects;
    this.#processes = parts.living;
    const onUnlisted = (copy: Copy): void => this.#drop(copy);
    parts.objects.onUnlisted.push(onUnlisted);
  }

  get size(): number {
    return this.#revocations.size;
  }

  begin(copy: Copy): void {
    if (copy.isManaged || this.#revocations.has(copy)) return;
    const revocation = { copy, isLastRound: false, unanswered: new Set<WorkerId>() };
    this.#revocations.set(copy, revocation);
    this.#askAll(revocation);
  }

  onPlacesRevoked({ from, requestId, objects }: PlacesRevoked): void {
    const process = from as WorkerId;
    const asked = this.#asked.get(process);
    if (asked !== undefined && asked.requestId === requestId) {
      asked.requestId = 0;
      this.#isDue = true;
    }
    for (const object of objects) {
      const copy = this.#objects.find(object.owner, object, object.version);
      const revocation = copy === undefined ? undefined : this.#revocations.get(copy);
      // Of the first round it may say so once more, while it is to be asked again.
      if (revocation === undefined || asked?.next.has(revocation.copy)) continue;
      if (revocation.unanswered.delete(process)) this.#goOn(revocation);
    }
  }

  /** What it had told, others have: they say so. */
  onProcessEnded(process: WorkerId): void {
    this.#asked.delete(process);
    for (const revocation of [...this.#revocations.values()]) {
      if (revocation.unanswered.delete(process)) this.#goOn(revocation);
    }
  }

  /** Ends an event: asks those that have answered what they were asked before. */
  settle(out: RayletOut): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    for (const [process, asked] of this.#asked) {
      if (asked.requestId !== 0) continue;
      if (asked.next.size === 0) {
        this.#asked.delete(process);
        continue;
      }
      const copies = [...asked.next].slice(0, objectsPerQuestionMax);
      for (const copy of copies) asked.next.delete(copy);
      asked.requestId = this.#nextRequestId++;
      out.send(process, {
        type: "revokePlaces",
        from: this.#self,
        requestId: asked.requestId,
        objects: copies.map(({ owner, serial, index, version }) => {
          return { owner, serial, index, version };
        }),
      });
    }
  }

  checkInvariants(): void {
    for (const [copy, { unanswered }] of this.#revocations) {
      assert(unanswered.size > 0, "a revocation that all have answered is over");
      assert(!copy.isManaged, "what is managed nobody reads in place");
      assert(this.#objects.find(copy.owner, copy, copy.version) === copy, "a copy is there");
    }
    for (const { requestId, next } of this.#asked.values()) {
      assert(requestId !== 0 || next.size > 0, "who is asked nothing is not listed");
    }
  }

  #askAll(revocation: Revocation): void {
    const { copy, unanswered } = revocation;
    for (const process of this.#processes()) {
      unanswered.add(process);
      let asked = this.#asked.get(process);
      if (asked === undefined) {
        asked = { requestId: 0, next: new Set() };
        this.#asked.set(process, asked);
      }
      asked.next.add(copy);
    }
    this.#isDue = true;
    // Not even its owner is there any more.
    if (unanswered.size === 0) this.#goOn(revocation);
  }

  #goOn(revocation: Revocation): void {
    const { copy, unanswered } = revocation;
    if (unanswered.size > 0) return;
    if (!revocation.isLastRound) {
      revocation.isLastRound = true;
      this.#askAll(revocation);
      return;
    }
    this.#revocations.delete(copy);
    this.#objects.manage(copy);
  }

  #drop(copy: Copy): void {
    if (!this.#revocations.delete(copy)) return;
    this.#isDue = true;
    for (const { next } of this.#asked.values()) next.delete(copy);
  }
}
