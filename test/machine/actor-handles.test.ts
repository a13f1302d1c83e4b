/** Handles of actors are counted like refs; an actor that nobody has a handle to ends. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { actorIdOf, gcsAddress, type WorkerId } from "#engine/common/ids.ts";
import { ActorHarness, caller, host } from "./actor-harness.ts";
import { inline } from "./core-worker-harness.ts";
import { GcsHarness } from "./gcs-harness.ts";
import { actor, driver, nodeId, RayletHarness, worker } from "./raylet-harness.ts";

const foreign = actorIdOf(caller, 9);

describe("an actor at its maker", () => {
  it("is out of scope when its handle is gone, told once", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    expect(h.outOfScope()).toEqual([]);
    h.drop(h.handleOf(client));
    expect(h.outOfScope()).toEqual([client.actorId]);
    h.dead(client.actorId);
    expect(h.outOfScope()).toHaveLength(1);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("is constructed first, and calls that were sent before end first", () => {
    const h = new ActorHarness();
    const client = h.create();
    const [first, second] = [h.call(client), h.call(client)];
    h.drop(h.handleOf(client));
    expect(h.outOfScope()).toEqual([]);
    h.alive(client.actorId);
    expect(h.pushed()).toEqual([first.serial, second.serial]);
    const [one, two] = h.out.all("pushTask");
    h.reply(1, { to: one as never });
    expect(h.outOfScope()).toEqual([]);
    h.reply(2, { to: two as never });
    expect(h.outOfScope()).toEqual([client.actorId]);
  });

  it("stays while a call that was cancelled still runs", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    const call = h.call(client);
    h.drop(h.handleOf(client));
    h.out.startAll();
    const options = { force: false, recursive: true } as const;
    h.handle({ type: "cancelCall", requestId: 1, entry: call, ...options });
    expect(h.outOfScope()).toEqual([]);
    h.reply(undefined);
    expect(h.outOfScope()).toEqual([client.actorId]);
  });

  it("counts a call that was over before it was submitted like the others", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    const task = h.task([], { actor: client });
    const cause = "the task that called it was cancelled";
    h.handle({ type: "submitCancelled", task, cause });
    h.drop(h.handleOf(client));
    expect(h.outOfScope()).toEqual([client.actorId]);
  });

  it("is kept by a value that names it, to any depth, and by arguments", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    const inner = h.put(inline(h.special(client.actorId)));
    const outer = h.put(h.naming(inner));
    const task = h.submit([outer], { nested: true });
    h.drop(h.handleOf(client), inner, outer, task);
    expect(h.outOfScope()).toEqual([]);
    h.grant(worker(5));
    h.reply(1);
    expect(h.outOfScope()).toEqual([client.actorId]);
  });

  it("is kept by others that hold it, until they let go or end", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    const { serial, index } = h.handleOf(client);
    const holds = [{ serial, index, hold: 1, holder: caller }];
    h.handle({ type: "createHolds", from: caller, holds });
    h.handle({
      type: "createHolds",
      from: host,
      holds: [{ serial, index, hold: 1, holder: host }],
    });
    h.drop(h.handleOf(client));
    h.handle({ type: "releaseHolds", from: caller, objects: [{ serial, index }] });
    expect(h.outOfScope()).toEqual([]);
    h.died(host);
    expect(h.outOfScope()).toEqual([client.actorId]);
  });

  it("is of no interest once it is dead, nor when nobody counts its handles", () => {
    const h = new ActorHarness();
    const [killed, detached] = [h.create(), h.create([], false, true)];
    expect(h.core.handles.entryOf(detached)).toBeNull();
    h.dead(killed.actorId);
    h.drop(h.handleOf(killed));
    const value = h.put(inline(h.special(detached.actorId, true)));
    h.drop(value);
    expect(h.outOfScope()).toEqual([]);
  });

  it("whose name was taken is told of like others: the GCS need not remember why", () => {
    const h = new ActorHarness();
    const { actorId } = h.create();
    const entry = h.handleOf(h.client(actorId));
    const error = engineError("ACTOR_NAME_TAKEN", "taken");
    h.registered(actorId, { error });
    h.drop(entry);
    expect(h.outOfScope()).toEqual([actorId]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("is gone for whoever asks for a hold after its end", () => {
    const h = new ActorHarness();
    const client = h.create();
    h.alive(client.actorId);
    const { serial, index } = h.handleOf(client);
    h.drop(h.handleOf(client));
    const holds = [{ serial, index, hold: 4, holder: caller }];
    h.handle({ type: "createHolds", from: caller, holds });
    expect(h.out.last("holdsCreated", caller)).toMatchObject({ created: [], gone: [4] });
  });
});

describe("a borrowed handle", () => {
  it("that came from its owner is given back when it is collected", () => {
    const h = new ActorHarness();
    const object = { serial: 1, index: 1 };
    const box = h.adopt(caller, object);
    h.get(box);
    const outcome = inline(h.special(foreign));
    h.handle({ type: "objectState", from: caller, object, outcome, holds: null });
    const entry = h.handleOf(h.client(foreign));
    entry.localRefs += 1;
    h.drop(box);
    expect(h.out.all("releaseHolds", caller).flatMap(({ objects }) => objects)).toEqual([object]);
    h.drop(entry);
    const { serial, index } = entry;
    expect(h.out.last("releaseHolds", caller).objects).toEqual([{ serial, index }]);
    expect(h.core.references.registeredCount).toBe(0);
  });

  it("that goes on to a third process is held for that one first", () => {
    const h = new ActorHarness();
    const entry = h.handleOf(h.client(foreign));
    entry.localRefs += 1;
    const target = h.create();
    h.alive(target.actorId);
    const task = h.task([entry], { actor: target, nested: true });
    task.args = inline(h.special(foreign));
    h.handle({ type: "submitActorTask", actor: target, task });
    expect(h.pushed()).toEqual([]);
    const { serial, index } = entry;
    expect(h.out.last("createHolds", caller).holds).toEqual([
      { serial, index, hold: 1, holder: host },
    ]);
    h.handle({ type: "holdsCreated", from: caller, created: [1], gone: [] });
    expect(h.out.last("pushTask").holds).toEqual([{ owner: caller, serial, index, hold: 1 }]);
  });

  it("whose call goes on when its task ends is kept by the submitter's reply", () => {
    const h = new ActorHarness({ self: worker(2) });
    const own = actorIdOf(driver, 9);
    const task = h.push(driver, { args: inline(h.special(own)) });
    h.call(h.client(own));
    h.handle({
      type: "taskFinished",
      task: task as never,
      durationMs: 1,
      outcome: 1,
      outcomes: null,
    });
    const { serial, index } = h.handleOf(h.client(own));
    expect(h.out.last("taskReply").keptRefs).toEqual([{ serial, index }]);
  });
});

describe("an actor's handle to itself", () => {
  const self = worker(2);
  const own = actorIdOf(driver, 9);

  function hosting() {
    const h = new ActorHarness({ self });
    h.host(own);
    const task = h.push(caller);
    const finish = (): void => {
      const ended = { task: task as never, durationMs: 1, outcomes: null };
      h.handle({ type: "taskFinished", ...ended, outcome: 1 });
    };
    return { h, finish };
  }

  it("asks for nothing when nobody was given it", () => {
    const { h, finish } = hosting();
    h.core.handles.entryOf(h.client(own));
    finish();
    expect(h.out.all("taskReply")).toHaveLength(1);
    expect(h.out.all("createHolds")).toEqual([]);
  });

  it("is held before the call ends that gave it on, and given back after", () => {
    const { h, finish } = hosting();
    const entry = h.handleOf(h.client(own));
    const given = h.task([entry], { nested: true });
    given.args = inline(h.special(own));
    h.handle({ type: "submitTask", task: given });
    finish();
    expect(h.out.all("taskReply")).toEqual([]);
    const { serial, index } = entry;
    const [hold] = h.out.last("createHolds", driver).holds;
    expect(hold).toMatchObject({ serial, index, holder: self });
    h.handle({ type: "holdsCreated", from: driver, created: [hold?.hold as number], gone: [] });
    expect(h.out.all("taskReply")).toHaveLength(1);
    h.grant(worker(5));
    h.reply(1);
    expect(h.out.last("releaseHolds", driver).objects).toEqual([{ serial, index }]);
  });
});

describe("an actor that is found", () => {
  function found(h: ActorHarness, actorId = foreign, detached = false): void {
    const from = gcsAddress;
    const answer = { requestId: 7, actorId, className: "Counter", detached } as const;
    h.handle({ type: "actorByName", from, ...answer });
  }

  it("by its name is ours before anybody is told", () => {
    const h = new ActorHarness();
    found(h);
    expect(h.instructions("found")).toEqual([]);
    h.handle({ type: "holdsCreated", from: caller, created: [1], gone: [] });
    expect(h.instructions("found")).toMatchObject([{ requestId: 7, actorId: foreign }]);
    h.drop(h.handleOf(h.client(foreign)));
    expect(h.out.all("releaseHolds", caller)).toHaveLength(1);
  });

  it("is not found when nobody has a handle to it, or its owner has died", () => {
    const h = new ActorHarness();
    found(h);
    h.handle({ type: "holdsCreated", from: caller, created: [], gone: [1] });
    found(h);
    h.died(caller);
    found(h);
    found(h, actor(77));
    const ids = h.instructions("found").map(({ actorId }) => actorId);
    expect(ids).toEqual([null, null, null, null]);
    expect(h.core.holds.askedCount).toBe(0);
  });

  it("is found at once when it is detached", () => {
    const h = new ActorHarness();
    found(h, foreign, true);
    expect(h.instructions("found")).toMatchObject([{ actorId: foreign, detached: true }]);
    expect(h.out.all("createHolds")).toEqual([]);
  });

  function joining() {
    const h = new ActorHarness();
    const client = h.create([], true);
    const requested = client.actorId;
    const call = h.call(client);
    h.registered(requested, { actorId: foreign });
    return { h, client, requested, call };
  }

  it("by getIfExists is ours first; the handle that was made keeps it", () => {
    const { h, client, requested, call } = joining();
    expect(h.out.all("subscribeActor")).toEqual([]);
    const made = h.handleOf(client);
    h.handle({ type: "holdsCreated", from: caller, created: [1], gone: [] });
    expect(h.out.last("subscribeActor").actorId).toBe(foreign);
    h.alive(foreign);
    h.reply(1);
    expect(call.state).toBe("AVAILABLE");
    expect(h.out.all("releaseHolds")).toEqual([]);
    h.drop(made);
    const { serial, index } = h.handleOf(client);
    expect(h.out.last("releaseHolds", caller).objects).toEqual([{ serial, index }]);
    // The GCS need not know any more what it stood for.
    expect(h.outOfScope()).toEqual([requested]);
  });

  it("by getIfExists, and has just ended, is made again", () => {
    const { h, requested, call } = joining();
    h.out.clear();
    h.handle({ type: "holdsCreated", from: caller, created: [], gone: [1] });
    const types = h.out.sent.map(({ message }) => message.type);
    expect(types).toEqual(["actorOutOfScope", "registerActor", "startActor"]);
    expect(h.outOfScope()).toEqual([foreign]);
    h.registered(requested);
    h.alive(requested);
    expect(h.pushed()).toEqual([call.serial]);
  });
});

describe("the end of an actor that nobody has a handle to", () => {
  it("is its death for the GCS at once, and frees its name", () => {
    const h = new GcsHarness();
    h.join();
    h.register(1, { name: "shared" });
    h.subscribe(1);
    h.start(1);
    h.created(1, worker(1));
    const outOfScope = { type: "actorOutOfScope", from: driver, actorId: actor(1) } as const;
    h.handle(outOfScope);
    expect(h.deathOf(1)).toContain("nobody has a handle to it any more");
    expect(h.out.last("stopActorWorker", nodeId)).toMatchObject({ graceful: true });
    expect(h.byName("shared")).toBeNull();
    h.handle(outOfScope);
    expect(h.stops()).toHaveLength(1);
  });

  it("never comes for a detached one", () => {
    const h = new GcsHarness();
    h.join();
    h.register(1, { detached: true });
    h.start(1);
    h.handle({ type: "actorOutOfScope", from: driver, actorId: actor(1) });
    expect(h.gcs.counts.liveActors).toBe(1);
  });

  it("lets its thread go on until that says that nobody counts on it", () => {
    const h = new RayletHarness({ totals: { CPU: 1 }, prestartCount: 1 }).withWorkers(1);
    h.createActor(1, { running: { CPU: 1 } });
    h.constructed(1, 1);
    h.stopActor(1, true);
    h.stopActor(1, true);
    expect(h.out.all("drainActor", worker(1))).toHaveLength(1);
    expect(h.stopped()).toEqual([]);
    h.drained(1, 2);
    expect(h.stopped()).toEqual([]);
    h.drained(1, 1);
    expect(h.stopped()).toEqual([worker(1)]);
    h.exit(1, { type: "stopped" });
    expect(h.availableCpu()).toBe(1);
    expect(h.out.all("actorWorkerDied")).toEqual([]);
  });

  it("does not stop a kill, nor the end of the thread by itself", () => {
    const h = new RayletHarness({ totals: { CPU: 2 }, prestartCount: 2 }).withWorkers(2);
    for (const n of [1, 2]) {
      h.createActor(n, { running: { CPU: 1 } });
      h.constructed(n, n);
      h.stopActor(n, true);
    }
    h.stopActor(1);
    expect(h.stopped()).toEqual([worker(1)]);
    h.exit(1, { type: "stopped" });
    h.exit(2);
    expect(h.raylet.counts.actors).toBe(0);
    expect(h.availableCpu()).toBe(2);
    expect(h.out.all("actorWorkerDied")).toEqual([]);
  });
});

describe("a process whose actor has ended", () => {
  const own = actorIdOf(driver, 9);

  function draining() {
    const h = new ActorHarness({ self: worker(2) });
    h.host(own);
    const drain = (): void =>
      h.handle({ type: "drainActor", from: nodeId, actorId: own, incarnation: 0 });
    const drained = (): number => h.out.all("actorDrained", nodeId).length;
    return { h, drain, drained };
  }

  it("is done at once when nobody counts on it, and says so once", () => {
    const { h, drain, drained } = draining();
    drain();
    expect(drained()).toBe(1);
    h.handle({ type: "deadline" });
    expect(drained()).toBe(1);
  });

  it("waits while others hold what it owns", () => {
    const { h, drain, drained } = draining();
    const kept = h.put(1);
    h.core.references.name(kept);
    const holds = [{ serial: kept.serial, index: 0, hold: 1, holder: caller }];
    h.handle({ type: "createHolds", from: caller, holds });
    drain();
    expect(drained()).toBe(0);
    h.handle({ type: "releaseHolds", from: caller, objects: [{ serial: kept.serial, index: 0 }] });
    expect(drained()).toBe(1);
  });

  it("waits for calls that it has made, not for those that fit no node", () => {
    const { h, drain, drained } = draining();
    const leaseOf = (): number => h.out.last("requestWorkerLease").leaseId;
    h.submit();
    drain();
    expect(drained()).toBe(0);
    const pending = { leaseId: leaseOf(), reason: "never", infeasible: true } as const;
    h.handle({ type: "leasePending", from: nodeId, ...pending });
    expect(drained()).toBe(1);
  });

  it("waits for a call that runs, unless its caller has died", () => {
    const { h, drain, drained } = draining();
    h.push(caller);
    drain();
    expect(drained()).toBe(0);
    h.died(caller as WorkerId);
    expect(drained()).toBe(1);
  });
});
