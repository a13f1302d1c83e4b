/**
 * Actors that others speak of before their maker's registerActor has come, which a message on
 * another link may overtake: expected → registered, or never, once the maker is dead. Also those
 * whose maker was told that getIfExists has found another: joining → registered anew, or unmade.
 *
 * State:  per expected actor who subscribed and whether it was killed; per living maker the
 *         highest serial registered, since a maker registers in rising order: one at or below it
 *         that has no row is gone.
 * Bounds: `expectedMax` actors, the oldest of which is then given up; one serial a living maker.
 * Errors: none; what is given up is told to its subscribers by Actors.
 */
import { assert } from "#engine/common/assert.ts";
import type { ActorId, Address, WorkerId } from "#engine/common/ids.ts";

const expectedMax = 10_000;
const makerLength = 40;

export interface ExpectedActor {
  readonly actorId: ActorId;
  readonly subscribers: Set<Address>;
  /** The reason of a kill that came early, or null. */
  killReason: string | null;
  /** This one was found: its maker says when it has a handle to that, or registers it anew. */
  found: ActorId | null;
}

export class ExpectedActors {
  /** Oldest first. */
  readonly #expected = new Map<ActorId, ExpectedActor>();
  readonly #lastSerials = new Map<WorkerId, number>();

  /** False for an actor that was registered once, so that no registration is to come. */
  mayCome(actorId: ActorId): boolean {
    if (this.foundFor(actorId) !== null) return true;
    return serialOf(actorId) > (this.#lastSerials.get(makerOf(actorId)) ?? 0);
  }

  expect(actorId: ActorId): ExpectedActor {
    let expected = this.#expected.get(actorId);
    if (expected === undefined) {
      expected = { actorId, subscribers: new Set(), killReason: null, found: null };
      this.#expected.set(actorId, expected);
    }
    return expected;
  }

  /** It was registered, and another was found; `known` is what was expected till now. */
  onFound(actorId: ActorId, known: ExpectedActor | undefined, found: ActorId): void {
    if (known !== undefined) this.#expected.set(actorId, known);
    this.expect(actorId).found = found;
  }

  foundFor(actorId: ActorId): ActorId | null {
    return this.#expected.get(actorId)?.found ?? null;
  }

  /** It will not come. */
  take(actorId: ActorId): ExpectedActor | undefined {
    const expected = this.#expected.get(actorId);
    this.#expected.delete(actorId);
    return expected;
  }

  /** The oldest beyond the bound, no longer expected. */
  takeSurplus(): ExpectedActor | undefined {
    if (this.#expected.size <= expectedMax) return undefined;
    const [oldest] = this.#expected.values();
    if (oldest !== undefined) this.#expected.delete(oldest.actorId);
    return oldest;
  }

  onRegistered(actorId: ActorId): ExpectedActor | undefined {
    const maker = makerOf(actorId);
    const last = this.#lastSerials.get(maker) ?? 0;
    this.#lastSerials.set(maker, Math.max(last, serialOf(actorId)));
    return this.take(actorId);
  }

  /** Those of a dead maker, which will never be; its own subscriptions end. */
  dropProcess(workerId: WorkerId): ExpectedActor[] {
    this.#lastSerials.delete(workerId);
    const never: ExpectedActor[] = [];
    for (const expected of this.#expected.values()) {
      expected.subscribers.delete(workerId);
      if (makerOf(expected.actorId) === workerId) never.push(expected);
      else if (isWanted(expected)) continue;
      this.#expected.delete(expected.actorId);
    }
    return never;
  }

  /** Makers and subscribers. */
  get processes(): Address[] {
    const processes: Address[] = [...this.#lastSerials.keys()];
    for (const { actorId, subscribers } of this.#expected.values()) {
      processes.push(makerOf(actorId), ...subscribers);
    }
    return processes;
  }

  checkInvariants(): void {
    assert(this.#expected.size <= expectedMax, "too many expected actors");
    for (const [actorId, expected] of this.#expected) {
      assert(actorId === expected.actorId, "an expected actor under another's id");
      assert(isWanted(expected), "an actor is expected that nobody waits for");
    }
  }
}

function isWanted({ subscribers, killReason, found }: ExpectedActor): boolean {
  return subscribers.size > 0 || killReason !== null || found !== null;
}

export function makerOf(actorId: ActorId): WorkerId {
  return actorId.slice(0, makerLength) as WorkerId;
}

function serialOf(actorId: ActorId): number {
  return Number.parseInt(actorId.slice(makerLength), 16);
}
