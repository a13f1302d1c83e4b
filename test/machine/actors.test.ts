import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { InlineValue, noSpecials } from "#engine/protocol/outcome.ts";
import { GcsHarness, fromGcs } from "./gcs-harness.ts";
import { actor, actorSpec, driver, nodeId, otherNodeId, worker } from "./raylet-harness.ts";

describe("life of an actor", () => {
  it("is told to a subscriber at once and at each change", () => {
    const h = new GcsHarness();
    h.register(1);
    expect(h.out.last("actorRegistered", driver)).toEqual({
      ...fromGcs,
      type: "actorRegistered",
      requested: actor(1),
      actorId: actor(1),
      detached: false,
      error: null,
    });
    h.subscribe(1);
    h.start(1);
    expect(h.out.last("createActor", nodeId)).toMatchObject({
      incarnation: 0,
      spec: { actorId: actor(1) },
    });
    h.pending(1, "waits for {CPU: 1}");
    h.pending(1, "waits for {CPU: 1}");
    h.created(1, worker(3));
    h.workerOfActorDied(1, "worker thread w called process.exit(7)");
    const told = h.out.all("actorState", driver);
    expect(told.map((m) => [m.state, m.version, m.workerId, m.pendingReason])).toEqual([
      ["DEPENDENCIES_UNREADY", 1, null, ""],
      ["PENDING_CREATION", 2, null, ""],
      ["PENDING_CREATION", 3, null, "waits for {CPU: 1}"],
      ["ALIVE", 4, worker(3), ""],
      ["DEAD", 5, null, ""],
    ]);
    expect(told.at(-1)?.death).toEqual({
      error: engineError(
        "ACTOR_DIED",
        "actor Counter died: worker thread w called process.exit(7)",
        actor(1),
      ),
      cause: null,
    });
    h.out.clear();
    h.subscribe(1, worker(2));
    expect(h.state(1, worker(2))).toMatchObject({ state: "DEAD", version: 5 });
    expect(h.gcs.counts).toEqual({ nodes: 1, liveActors: 0, deadActors: 1 });
  });

  it("does nothing twice", () => {
    const h = new GcsHarness();
    h.register(1, { name: "a" });
    h.register(1, { name: "a" });
    expect(h.out.all("actorRegistered").map((m) => m.error)).toEqual([null, null]);
    h.start(1);
    h.start(1);
    h.start(7);
    expect(h.out.all("createActor")).toHaveLength(1);
    h.created(1, worker(1));
    h.created(1, worker(2));
    h.start(1);
    h.pending(1, "late");
    h.subscribe(1);
    expect(h.state(1)).toMatchObject({ state: "ALIVE", workerId: worker(1), pendingReason: "" });
    h.workerOfActorDied(1, "w ended", 1);
    expect(h.gcs.counts.liveActors).toBe(1);
    h.kill(1, 1);
    h.workerOfActorDied(1, "w ended");
    h.created(1, worker(1));
    h.register(1, { name: "a" });
    h.subscribe(1);
    expect(h.deathOf(1)).toBe('actor Counter "a" died: killed by kill()');
  });

  it("that the only node can never hold waits for one that joins, and says for what", () => {
    const h = new GcsHarness();
    h.register(1);
    h.subscribe(1);
    const spec = actorSpec(actor(1), { placement: { there: 1 } });
    h.handle({ type: "startActor", from: driver, spec });
    expect(h.out.all("createActor")).toEqual([]);
    expect(h.state(1)).toMatchObject({
      state: "PENDING_CREATION",
      pendingReason: "no node has {there: 1}; those it may use: {CPU: 1}",
    });
    h.join(otherNodeId, { there: 1 });
    expect(h.out.last("createActor", otherNodeId).spec.actorId).toBe(actor(1));
    expect(h.state(1).pendingReason).toBe("");
  });

  it("waits for a node to join", () => {
    const h = new GcsHarness({ hasNode: false });
    h.register(1);
    h.register(2);
    h.start(1);
    h.start(2);
    h.subscribe(1);
    expect(h.state(1).pendingReason).toBe("waits for a node: none has joined");
    h.created(1, worker(1));
    h.workerOfActorDied(1, "an actor that was never sent anywhere");
    expect(h.state(1).state).toBe("PENDING_CREATION");
    h.kill(2, 1);
    h.join();
    h.join();
    expect(h.out.all("createActor").map((m) => m.spec.actorId)).toEqual([actor(1)]);
    expect(h.state(1).pendingReason).toBe("");
    expect(h.stops()).toEqual([]);
  });

  it("ends with the constructor's error as its cause", () => {
    const h = new GcsHarness();
    h.register(1);
    h.subscribe(1);
    h.start(1);
    const frame = new Uint8Array([1, 2, 3]);
    const cause = new InlineValue(frame, 1, 2, noSpecials);
    h.created(1, null, { error: engineError("TASK_ERROR", "RangeError: no luck"), cause });
    frame.fill(0);
    expect(h.state(1).death).toEqual({
      error: engineError(
        "ACTOR_DIED",
        "the constructor of Counter threw: RangeError: no luck",
        actor(1),
      ),
      cause: new InlineValue(new Uint8Array([2, 3]), 0, 2, noSpecials),
    });
    expect(h.stops()).toEqual([]);
  });

  it("ends with the engine's reason when it cannot be placed", () => {
    const h = new GcsHarness();
    h.register(1);
    h.subscribe(1);
    h.start(1);
    const error = engineError("ACTOR_UNSCHEDULABLE", "no worker thread could be started");
    h.created(1, null, { error, cause: null });
    expect(h.state(1).death?.error).toEqual({ ...error, subject: actor(1) });
  });

  it("ends when an argument of the constructor failed, and only before it started", () => {
    const h = new GcsHarness();
    const error = { error: engineError("TASK_ERROR", "bad argument"), cause: null };
    for (const serial of [1, 2]) {
      h.register(serial);
      h.subscribe(serial);
    }
    h.start(2);
    for (const serial of [1, 2, 3]) {
      h.handle({ type: "abandonActor", from: driver, actorId: actor(serial), error });
    }
    expect(h.state(1)).toMatchObject({ state: "DEAD", death: error });
    expect(h.state(2).state).toBe("PENDING_CREATION");
    h.start(1);
    expect(h.out.all("createActor")).toHaveLength(1);
  });
});

describe("killActor", () => {
  it("ends an actor in every state, and stops what runs", () => {
    const h = new GcsHarness();
    for (const serial of [1, 2, 3]) {
      h.register(serial);
      h.subscribe(serial);
    }
    h.start(2);
    h.start(3);
    h.created(3, worker(3));
    for (const serial of [1, 2, 3]) h.kill(serial, serial, "killed by kill() in main");
    for (const serial of [1, 2, 3]) {
      expect(h.deathOf(serial)).toBe("actor Counter died: killed by kill() in main");
    }
    expect(h.stops()).toEqual([actor(2), actor(3)]);
    h.kill(3, 4, "again");
    h.created(2, worker(2));
    expect(h.stops()).toHaveLength(2);
    expect(h.deathOf(3)).toMatch(/in main$/);
    expect(h.out.all("actorKilled", driver).map((m) => m.requestId)).toEqual([1, 2, 3, 4]);
  });

  it("ends an actor whose registration it overtook", () => {
    const h = new GcsHarness();
    h.kill(1, 1);
    expect(h.out.last("actorKilled").requestId).toBe(1);
    h.register(1, { name: "a" });
    expect(h.out.last("actorRegistered").error).toBeNull();
    h.subscribe(1);
    expect(h.deathOf(1)).toBe('actor Counter "a" died: killed by kill()');
    expect(h.byName("a")).toBeNull();
    h.start(1);
    expect(h.out.all("createActor")).toEqual([]);
  });
});

describe("names", () => {
  it("belong to one live actor of a namespace", () => {
    const h = new GcsHarness();
    h.register(1, { name: "a" });
    expect(h.byName("a")).toBe(actor(1));
    expect(h.out.last("actorByName").className).toBe("Counter");
    h.register(2, { name: "a", className: "Other" });
    expect(h.out.last("actorRegistered")).toMatchObject({
      requested: actor(2),
      actorId: actor(2),
      error: {
        type: "ACTOR_NAME_TAKEN",
        message:
          'cannot create actor Other: the name "a" in namespace "default" belongs to actor ' +
          actor(1),
        subject: actor(1),
      },
    });
    h.register(3, { name: "a", namespace: "elsewhere" });
    expect(h.out.last("actorRegistered").error).toBeNull();
    expect(h.byName("a", "elsewhere")).toBe(actor(3));
    expect(h.byName("a", "nowhere")).toBeNull();
    expect(h.gcs.counts.liveActors).toBe(2);
  });

  it("are free after death, at once", () => {
    const h = new GcsHarness();
    h.register(1, { name: "a" });
    h.kill(1, 1);
    expect(h.byName("a")).toBeNull();
    h.register(2, { name: "a" });
    expect(h.byName("a")).toBe(actor(2));
  });

  it("lead getIfExists to the actor that has one, else it creates", () => {
    const h = new GcsHarness();
    h.register(1, { name: "a", getIfExists: true });
    h.register(2, { name: "a", getIfExists: true });
    expect(h.out.last("actorRegistered")).toMatchObject({
      requested: actor(2),
      actorId: actor(1),
      error: null,
    });
    h.register(2, { name: "a", getIfExists: true });
    expect(h.out.last("actorRegistered").actorId).toBe(actor(1));
    h.start(2);
    expect(h.out.all("createActor")).toEqual([]);
    h.subscribe(2);
    expect(h.state(2)).toMatchObject({ state: "DEPENDENCIES_UNREADY", version: 0 });
  });

  it("are not needed", () => {
    const h = new GcsHarness();
    h.register(1);
    h.register(2);
    expect(h.gcs.counts.liveActors).toBe(2);
    expect(h.byName("")).toBeNull();
  });
});

describe("subscriptions", () => {
  it("that overtake the registration are answered and kept", () => {
    const h = new GcsHarness();
    h.subscribe(1, worker(2));
    expect(h.state(1, worker(2))).toMatchObject({
      version: 0,
      state: "DEPENDENCIES_UNREADY",
      pendingReason: "waits for its maker to register it",
    });
    h.register(1);
    expect(h.state(1, worker(2))).toMatchObject({ version: 1, pendingReason: "" });
    h.start(1);
    expect(h.state(1, worker(2)).state).toBe("PENDING_CREATION");
  });

  it("of an actor that never comes end with its maker", () => {
    const h = new GcsHarness();
    h.subscribe(1, worker(2));
    h.subscribe(1, worker(3));
    h.workerDied(worker(3));
    h.out.clear();
    h.workerDied(driver);
    expect(h.deathOf(1, worker(2))).toMatch(/never registered or is long gone/);
    expect(h.out.all("actorState", worker(3))).toEqual([]);
    h.subscribe(9, worker(2));
    expect(h.state(9, worker(2))).toMatchObject({ state: "DEAD", version: 1 });
  });

  it("of an actor whose name was taken end", () => {
    const h = new GcsHarness();
    h.register(1, { name: "a" });
    h.subscribe(2, worker(2));
    h.register(2, { name: "a" });
    const { requested, error } = h.out.last("actorRegistered", worker(2));
    expect([requested, error?.type]).toEqual([actor(2), "ACTOR_NAME_TAKEN"]);
  });

  it("of actors that do not exist yet are bounded", () => {
    const h = new GcsHarness();
    for (let serial = 1; serial <= 10_001; serial++) {
      h.gcs.handle({ type: "subscribeActor", from: worker(2), actorId: actor(serial) }, 0, h.out);
    }
    h.gcs.checkInvariants();
    expect(h.state(1, worker(2)).state).toBe("DEAD");
    expect(h.state(2, worker(2)).state).toBe("DEPENDENCIES_UNREADY");
  });

  it("of a dead process are dropped", () => {
    const h = new GcsHarness();
    h.register(1);
    h.subscribe(1, worker(2));
    h.subscribe(1, worker(2));
    h.workerDied(worker(2));
    h.out.clear();
    h.start(1);
    expect(h.out.all("actorState")).toEqual([]);
  });

  it("hear the true cause of death as long as it is remembered", () => {
    const h = new GcsHarness({ deadActorsMax: 2 });
    for (const serial of [1, 2, 3]) {
      h.register(serial);
      h.kill(serial, serial, `reason ${serial}`);
    }
    for (const serial of [1, 2, 3]) h.subscribe(serial);
    expect(h.deathOf(1)).toBe(`actor ${actor(1)} was never registered or is long gone`);
    expect(h.deathOf(2)).toBe("actor Counter died: reason 2");
    expect(h.deathOf(3)).toBe("actor Counter died: reason 3");
    h.kill(1, 9);
    expect(h.gcs.counts).toEqual({ nodes: 1, liveActors: 0, deadActors: 2 });
  });
});

describe("death of the owner", () => {
  it("ends its actors but the detached ones that have started", () => {
    const h = new GcsHarness();
    const owner = worker(5);
    h.register(1, {}, owner);
    h.register(2, {}, owner);
    h.register(3, { detached: true }, owner);
    h.register(4, { detached: true }, owner);
    h.register(5);
    for (const serial of [2, 3]) {
      h.start(serial);
      h.created(serial, worker(serial));
    }
    for (const serial of [1, 2, 3, 4, 5]) h.subscribe(serial, worker(9));
    h.workerDied(owner, "worker thread w ran out of heap memory: full");
    h.workerDied(owner);
    const states = [1, 2, 3, 4, 5].map((serial) => h.state(serial, worker(9)).state);
    expect(states).toEqual(["DEAD", "DEAD", "ALIVE", "DEAD", "DEPENDENCIES_UNREADY"]);
    expect(h.deathOf(2, worker(9))).toBe(
      "actor Counter died with its owner: worker thread w ran out of heap memory: full",
    );
    expect(h.stops()).toEqual([actor(2)]);
  });
});
