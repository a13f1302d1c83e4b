/** Handles of registrations that made no actor: another was found, or the name was taken. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { actorIdOf, gcsAddress } from "#engine/common/ids.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import { ActorHarness, caller } from "./actor-harness.ts";
import { GcsHarness } from "./gcs-harness.ts";
import { actor, driver, worker } from "./raylet-harness.ts";

const shared = { name: "shared", getIfExists: true } as const;
const borrower = worker(2);

describe("a registration that made no actor, at the GCS", () => {
  function joining() {
    const h = new GcsHarness();
    h.register(1, { name: "shared" });
    h.subscribe(2, borrower);
    h.register(2, shared);
    const joined = (): void =>
      h.handle({
        type: "actorJoined",
        from: driver,
        requested: actor(2),
        actorId: actor(1),
        detached: false,
      });
    const told = (to = borrower) => h.out.all("actorRegistered", to);
    const subscribes = (): number => {
      h.out.clear();
      h.subscribe(2, borrower);
      return told().length;
    };
    return { h, joined, told, subscribes };
  }

  it("stands for the one that was found once its maker has that", () => {
    const { h, joined, told } = joining();
    h.subscribe(2, worker(4));
    expect(told()).toEqual([]);
    joined();
    joined();
    expect(told()).toMatchObject([{ requested: actor(2), actorId: actor(1), error: null }]);
    expect(told(worker(4))).toHaveLength(1);
    h.subscribe(2, worker(5));
    expect(told(worker(5))).toHaveLength(1);
    expect(h.gcs.counts).toMatchObject({ liveActors: 1, deadActors: 0 });
  });

  it("answers its maker the same again", () => {
    const { h, joined, told } = joining();
    joined();
    h.kill(1, 1);
    h.register(2, shared);
    expect(told(driver).at(-1)).toMatchObject({ requested: actor(2), actorId: actor(1) });
    expect(h.gcs.counts.liveActors).toBe(0);
  });

  it("becomes an actor when the one that was found has just ended", () => {
    const { h, joined, told } = joining();
    h.handle({ type: "actorOutOfScope", from: driver, actorId: actor(1) });
    expect(h.state(2, borrower).state).toBe("DEPENDENCIES_UNREADY");
    h.register(2, shared);
    expect(h.state(2, borrower)).toMatchObject({ state: "DEPENDENCIES_UNREADY", version: 1 });
    h.start(2);
    joined();
    expect(told()).toEqual([]);
    h.created(2, worker(3));
    expect(h.state(2, borrower).state).toBe("ALIVE");
  });

  it("is remembered till nobody has its handle, also when its maker has died", () => {
    for (const dies of [false, true]) {
      const { h, joined, subscribes } = joining();
      joined();
      if (dies) h.workerDied(driver);
      expect(subscribes()).toBe(1);
      h.handle({ type: "actorOutOfScope", from: driver, actorId: actor(2) });
      if (!dies) {
        expect(subscribes()).toBe(0);
        expect(h.deathOf(2, borrower)).toMatch(/long gone/);
      }
    }
  });

  it("never comes when its maker dies before it has the other one", () => {
    const { h, joined, subscribes } = joining();
    h.workerDied(driver);
    expect(h.state(2, borrower).state).toBe("DEAD");
    joined();
    expect(subscribes()).toBe(0);
  });

  it("passes a kill on to the one that was found", () => {
    for (const isLate of [false, true]) {
      const { h, joined } = joining();
      if (isLate) joined();
      h.kill(2, 1);
      expect(h.gcs.counts).toMatchObject({ liveActors: 0, deadActors: 1 });
      expect(h.byName("shared")).toBeNull();
    }
  });

  it("passes on a kill that came before it, also to the one that is made after all", () => {
    const h = new GcsHarness();
    h.register(1, { name: "shared" });
    h.kill(2, 1);
    h.register(2, shared);
    expect(h.out.last("actorRegistered").actorId).toBe(actor(1));
    expect(h.gcs.counts).toMatchObject({ liveActors: 0, deadActors: 1 });
    h.register(2, shared);
    expect(h.gcs.counts).toMatchObject({ liveActors: 0, deadActors: 2 });
  });

  it("that was refused says why, to early and late subscribers", () => {
    const h = new GcsHarness();
    h.register(1, { name: "shared" });
    h.subscribe(2, borrower);
    h.register(2, { name: "shared" });
    h.kill(1, 1);
    h.register(2, { name: "shared" });
    h.subscribe(2, worker(4));
    for (const to of [driver, borrower, worker(4)]) {
      expect(h.out.last("actorRegistered", to).error?.type).toBe("ACTOR_NAME_TAKEN");
    }
    expect(h.gcs.counts.liveActors).toBe(0);
    h.handle({ type: "actorOutOfScope", from: driver, actorId: actor(2) });
    h.subscribe(2, worker(4));
    expect(h.deathOf(2, worker(4))).toMatch(/long gone/);
  });

  it("is forgotten beyond the bound, the oldest first", () => {
    const h = new GcsHarness();
    h.register(1, { name: "shared" });
    for (let serial = 2; serial <= 10_002; serial++) h.register(serial, { name: "shared" });
    h.out.clear();
    h.subscribe(2, borrower);
    h.subscribe(3, borrower);
    expect(h.state(2, borrower).state).toBe("DEAD");
    expect(h.out.all("actorRegistered", borrower).map((m) => m.requested)).toEqual([actor(3)]);
  });

  it("is given up beyond the bound while its maker is silent", () => {
    const h = new GcsHarness();
    h.register(1, { name: "shared" });
    h.subscribe(2, borrower);
    for (let serial = 2; serial <= 10_002; serial++) h.register(serial, shared);
    expect(h.state(2, borrower).state).toBe("DEAD");
  });
});

describe("a handle that stands for another actor", () => {
  const requested = actorIdOf(caller, 9);
  /** Of a third process. */
  const found = actorIdOf(worker(4), 5);

  function borrowed() {
    const h = new ActorHarness();
    const client = h.client(requested);
    const handle = h.handleOf(client);
    handle.localRefs += 1;
    const call = h.call(client);
    h.registered(requested, { actorId: found });
    return { h, client, handle, call };
  }

  it("leads the calls of a borrower there, and keeps it", () => {
    const { h, client, handle, call } = borrowed();
    expect(client.actorId).toBe(requested);
    h.handle({ type: "holdsCreated", from: worker(4), created: [1], gone: [] });
    expect(client.actorId).toBe(found);
    h.alive(found);
    h.reply(1);
    expect(call.state).toBe("AVAILABLE");
    expect(h.out.all("releaseHolds")).toEqual([]);
    h.drop(handle);
    expect(h.out.all("releaseHolds", worker(4))).toHaveLength(1);
    expect(h.out.all("actorJoined")).toEqual([]);
    expect(h.outOfScope()).toEqual([]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("counts once when it comes again", () => {
    const { h, handle } = borrowed();
    h.handle({ type: "holdsCreated", from: worker(4), created: [1], gone: [] });
    h.alive(found);
    h.reply(1);
    const again = h.client(requested);
    expect(h.handleOf(again)).toBe(handle);
    const call = h.call(again);
    h.registered(requested, { actorId: found });
    h.alive(found);
    h.reply(2);
    expect(call.state).toBe("AVAILABLE");
    h.drop(handle);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("that has ended in between is dead for the reason that the GCS knows", () => {
    const { h, handle, call } = borrowed();
    h.handle({ type: "holdsCreated", from: worker(4), created: [], gone: [1] });
    expect(h.out.all("registerActor")).toEqual([]);
    expect(h.out.last("subscribeActor").actorId).toBe(found);
    h.dead(found, "it was killed");
    const { outcome } = call;
    expect(outcome instanceof FailedValue && outcome.error.message).toBe("it was killed");
    h.drop(handle, call);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("goes on when its maker has died", () => {
    const { h, handle, call } = borrowed();
    h.died(caller);
    h.handle({ type: "holdsCreated", from: worker(4), created: [1], gone: [] });
    h.alive(found);
    h.reply(1);
    expect(call.state).toBe("AVAILABLE");
    h.drop(handle, call);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("shows why there is none when the name was taken, and is not kept for it", () => {
    const h = new ActorHarness();
    const client = h.client(requested);
    const call = h.call(client);
    h.registered(requested, { error: engineError("ACTOR_NAME_TAKEN", "taken") });
    const { outcome } = call;
    expect(outcome instanceof FailedValue && outcome.error.type).toBe("ACTOR_NAME_TAKEN");
    expect(h.client(requested)).not.toBe(client);
  });

  it("is told of by its maker, once that has the one that was found", () => {
    const h = new ActorHarness();
    const client = h.create([], true);
    const { actorId } = client;
    h.registered(actorId, { actorId: found });
    expect(h.out.all("actorJoined")).toEqual([]);
    h.handle({ type: "holdsCreated", from: worker(4), created: [1], gone: [] });
    expect(h.out.all("actorJoined", gcsAddress)).toMatchObject([
      { requested: actorId, actorId: found, detached: false },
    ]);
  });

  it("counts till it is known to be detached", () => {
    const h = new ActorHarness();
    // As user code makes it: see CoreWorkerClient.
    const client = h.create([], true);
    const handle = h.handleOf(client);
    const call = h.call(client);
    const { actorId } = client;
    h.registered(actorId, { detached: true });
    expect(client.isDetached).toBe(true);
    expect(h.core.handles.entryOf(client)).toBeNull();
    h.alive(actorId);
    h.reply(1);
    h.drop(handle, call);
    expect(h.core.references.registeredCount).toBe(0);
  });
});
