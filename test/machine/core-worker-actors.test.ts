/** Actors at their callers: creation, order of calls, death, names that lead elsewhere. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import { FailedValue, type InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import { ActorHarness, caller, host } from "./actor-harness.ts";
import { inline } from "./core-worker-harness.ts";
import { actor as actorIdAt } from "./raylet-harness.ts";

describe("creation", () => {
  it("registers at once, starts when the arguments are there, ends when the actor is alive", () => {
    const h = new ActorHarness();
    const pending = h.adopt(caller, { serial: 1, index: 1 });
    const client = h.create([pending]);
    expect(h.out.all("registerActor")).toHaveLength(1);
    expect(h.out.all("startActor")).toEqual([]);
    h.tell(4);
    expect(h.out.last("startActor").spec.values).toEqual([4]);
    expect(h.core.isWaiting).toBe(true);
    h.alive(client.actorId);
    expect(h.core.isWaiting).toBe(false);
  });

  it("keeps what the constructor was given until it is constructed", () => {
    const h = new ActorHarness();
    const given = h.put(new StoredValue(0, 0, 64, []));
    const client = h.create([given]);
    h.drop(given);
    expect(given.state).toBe("AVAILABLE");
    h.alive(client.actorId);
    expect(given.state).toBe("FREED");
  });

  it("abandons the actor when an argument failed, with the error as the cause", () => {
    const h = new ActorHarness();
    const pending = h.adopt(caller, { serial: 1, index: 1 });
    const client = h.create([pending]);
    const outcome = new FailedValue(engineError("TASK_ERROR", "boom"), inline());
    h.tell(outcome);
    const { error } = h.out.last("abandonActor");
    expect(error.error).toMatchObject({ type: "ACTOR_DIED", subject: client.actorId });
    expect(error.error.message).toContain("an argument of its constructor failed: boom");
    expect(error.cause).not.toBeNull();
    h.dead(client.actorId);
    expect(h.core.isWaiting).toBe(false);
  });

  it("ends with the reason when the name is taken, and its calls too", () => {
    const h = new ActorHarness();
    const client = h.create();
    const call = h.call(client);
    const error = engineError("ACTOR_NAME_TAKEN", "taken");
    const { actorId } = client;
    h.registered(actorId, { error });
    expect(call.outcome).toMatchObject({ error: { type: "ACTOR_NAME_TAKEN" } });
    expect(h.core.isWaiting).toBe(false);
  });
});

describe("calls", () => {
  it("go in the order of the handle, also behind one that waits for an argument", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    const pending = h.adopt(caller, { serial: 1, index: 1 });
    const calls = [h.call(client), h.call(client, [pending]), h.call(client)];
    expect(h.out.all("subscribeActor")).toHaveLength(1);
    h.alive(actorId);
    expect(h.pushed()).toEqual([calls[0]?.serial]);
    h.tell(4);
    expect(h.pushed()).toEqual(calls.map((call) => call.serial));
    expect(h.out.all("pushTask").map((push) => push.seq)).toEqual([0, 1, 2]);
  });

  it("costs only itself when an argument failed, also before the actor is alive", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    const pending = h.adopt(caller, { serial: 1, index: 1 });
    const failing = h.call(client, [pending]);
    const next = h.call(client);
    const outcome = new FailedValue(engineError("TASK_ERROR", "boom"), inline());
    h.tell(outcome);
    expect(failing.outcome).toMatchObject({ error: { message: "boom" } });
    h.alive(actorId);
    expect(h.pushed()).toEqual([next.serial]);
    expect(h.out.last("pushTask").seq).toBe(0);
  });

  it("sends a method's definition until its first reply", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    h.call(client);
    h.alive(actorId);
    h.call(client);
    h.reply(1, { to: h.out.all("pushTask")[0] as never });
    h.call(client);
    const known = h.out.all("pushTask").map((push) => push.definition === null);
    expect(known).toEqual([false, false, true]);
  });

  it("stays within the depth of the pipeline and off a congested link", () => {
    const h = new ActorHarness({ config: { pipelineDepthMax: 2 } });
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    h.alive(actorId);
    const calls = [h.call(client), h.call(client), h.call(client), h.call(client)];
    h.alive(actorId);
    expect(h.pushed()).toHaveLength(2);
    h.out.congested.add(host);
    h.reply(1, { to: h.out.all("pushTask")[0] as never });
    expect(h.pushed()).toHaveLength(2);
    h.out.congested.clear();
    h.handle({ type: "writable", peer: host });
    expect(h.pushed()).toEqual(calls.slice(0, 3).map((call) => call.serial));
  });
});

describe("death", () => {
  it("ends what is under way and what waits, once, with the one reason", () => {
    const h = new ActorHarness({ config: { pipelineDepthMax: 1 } });
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    const pending = h.adopt(caller, { serial: 1, index: 1 });
    const calls = [h.call(client), h.call(client), h.call(client, [pending])];
    h.alive(actorId);
    const to = h.out.last("pushTask");
    h.dead(actorId);
    for (const call of calls) expect(call.outcome).toMatchObject({ error: { type: "ACTOR_DIED" } });
    expect(h.core.tasks.unfinishedCount).toBe(0);
    h.reply(1, { to });
    h.tell(4);
    expect(calls[0]?.outcome).toMatchObject({ error: { type: "ACTOR_DIED" } });
    expect(h.pushed()).toHaveLength(1);
  });

  it("remembers the cause for later calls, whose bytes were only lent", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    h.call(client);
    const cause = inline();
    h.dead(actorId, "its constructor threw", cause);
    cause.bytes.fill(0);
    const late = h.call(client).outcome as FailedValue;
    const { bytes, start } = late.cause as InlineValue;
    expect([...bytes.subarray(start, start + 3)]).toEqual([1, 2, 3]);
  });

  it("forgets the client: a handle that comes later asks the GCS anew", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    h.call(client);
    h.dead(actorId);
    const again = h.client(actorId);
    expect(again).not.toBe(client);
    const call = h.call(again);
    expect(h.out.all("subscribeActor")).toHaveLength(2);
    h.dead(actorId);
    expect(call.outcome).toMatchObject({ error: { type: "ACTOR_DIED" } });
  });

  it("pushes nothing to a worker that is known to have ended", () => {
    const h = new ActorHarness();
    const actorId = actorIdAt(50);
    const client = h.client(actorId);
    h.call(client);
    h.alive(actorId);
    h.died(host);
    const late = h.call(client);
    expect(h.pushed()).toHaveLength(1);
    h.dead(actorId);
    expect(late.outcome).toMatchObject({ error: { type: "ACTOR_DIED" } });
    const other = h.client(actorIdAt(51));
    h.call(other);
    h.alive(actorIdAt(51), host);
    expect(h.pushed()).toHaveLength(1);
  });
});

describe("getIfExists that finds another actor", () => {
  it("sends the calls there, and counts as no creation any more", () => {
    const h = new ActorHarness();
    const client = h.create([], true);
    const call = h.call(client);
    const requested = client.actorId;
    const found = actorIdAt(70);
    h.registered(requested, { actorId: found, detached: true });
    // What the GCS says of the actor that never came to be is of no interest.
    h.dead(requested, "never registered");
    expect(call.state).toBe("PENDING");
    h.alive(found);
    expect(h.pushed()).toEqual([call.serial]);
    h.reply(1);
    expect(h.core.isWaiting).toBe(false);
  });

  it("tells both clients of an actor that was known here before", () => {
    const h = new ActorHarness();
    const found = actorIdAt(70);
    const known = h.client(found);
    const first = h.call(known);
    const client = h.create([], true);
    const second = h.call(client);
    const requested = client.actorId;
    h.registered(requested, { actorId: found, detached: true });
    h.alive(found);
    expect(h.pushed().sort()).toEqual([first.serial, second.serial].sort());
    h.dead(found);
    expect([first.state, second.state]).toEqual(["FAILED", "FAILED"]);
  });
});
