/** Lists of what there is: who is asked, who is left out, pages, limits; what a process tells. */
import { describe, expect, it } from "vitest";
import { gcsAddress, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import { noStateRows, type ObjectRow, statePages, type TaskRow } from "#engine/protocol/state.ts";
import { CoreWorkerHarness, template } from "./core-worker-harness.ts";
import { GcsHarness } from "./gcs-harness.ts";
import { actor, driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const rowOf = (serial: number, workerId: WorkerId): ObjectRow => ({
  owner: driver,
  serial,
  index: 0,
  workerId,
  sizeBytes: 8,
  referenceType: "LOCAL_REFERENCE",
  hasValue: true,
  isSpilled: false,
  pendingReason: "",
  callSite: "",
});

class ListHarness extends RayletHarness {
  ask(requestId = 7, options: { from?: WorkerId; limit?: number } = {}): void {
    const { from = driver, limit = 100 } = options;
    this.handle({ type: "listState", from, requestId, kind: "objects", limit });
  }

  /** A process answers what the raylet asked last. */
  tell(from: WorkerId, serials: readonly number[], isLast = true, note = ""): void {
    const { requestId } = this.out.last("collectState");
    const rows = { ...noStateRows, objects: serials.map((serial) => rowOf(serial, from)) };
    this.handle({ type: "stateCollected", from, requestId, rows, isLast, note });
  }

  /** Serials that came, of each page; null once the list has ended. */
  listed(): (number[] | null)[] {
    return this.out.all("stateListed", driver).map(({ rows, isLast }) => {
      return isLast ? null : rows.objects.map(({ serial }) => serial);
    });
  }

  missing(): readonly string[] {
    return this.out.last("stateListed").missing;
  }
}

describe("a raylet that is asked", () => {
  it("asks the driver and every worker, and ends when all have told all", () => {
    const h = new ListHarness({ prestartCount: 2 }).withWorkers(2);
    h.ask();
    for (const process of [driver, worker(1), worker(2)]) {
      expect(h.out.last("collectState", process)).toMatchObject({ kind: "objects", limit: 100 });
    }
    h.tell(worker(1), [1, 2], false);
    h.tell(worker(1), [3], true, "more than it knows of");
    h.tell(driver, []);
    expect(h.listed()).toEqual([[1, 2], [3]]);
    h.tell(worker(2), [4]);
    expect(h.listed()).toEqual([[1, 2], [3], [4], null]);
    expect(h.out.last("stateListed")).toMatchObject({
      requestId: 7,
      missing: [`worker ${worker(1)}: more than it knows of`],
    });
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });

  it("passes on what each tells: none hides the rest behind its own", () => {
    const h = new ListHarness({ prestartCount: 1 }).withWorkers(1);
    h.ask(7, { limit: 2 });
    h.tell(driver, [1, 2]);
    h.tell(worker(1), [3]);
    expect(h.listed()).toEqual([[1, 2], [3], null]);
  });

  it("names a process that ends meanwhile, and takes nothing from it any more", () => {
    const h = new ListHarness({ prestartCount: 1 }).withWorkers(1);
    h.ask();
    h.tell(driver, [1]);
    h.exit(1);
    expect(h.listed()).toEqual([[1], null]);
    expect(h.missing()).toEqual([`worker ${worker(1)} has ended`]);
    h.tell(worker(1), [2]);
    expect(h.listed()).toHaveLength(2);
  });

  it("names one that does not answer in time", () => {
    const h = new ListHarness({ prestartCount: 1, config: { stateTimeoutMs: 50 } }).withWorkers(1);
    h.ask();
    h.tell(driver, [1]);
    expect(h.raylet.nextDeadlineMs()).toBe(50);
    h.nowMs = 50;
    h.deadline();
    expect(h.missing()[0]).toMatch(/^worker [0-9a-f]{40} did not answer within 50 ms/);
    h.tell(worker(1), [2]);
    expect(h.listed()).toEqual([[1], null]);
  });

  it("forgets what a process asked that has ended", () => {
    const h = new ListHarness({ prestartCount: 1 }).withWorkers(1);
    h.ask(3, { from: worker(1) });
    h.exit(1);
    h.tell(driver, [1]);
    expect(h.out.all("stateListed")).toEqual([]);
    expect(h.raylet.nextDeadlineMs()).toBe(Infinity);
  });

  it("makes so many lists at once, and says so beyond", () => {
    const h = new ListHarness();
    for (let requestId = 0; requestId < 64; requestId++) h.ask(requestId);
    expect(h.listed()).toEqual([]);
    h.ask(64);
    expect(h.missing()[0]).toMatch(/^all: 64 lists are being made already/);
  });

  it("knows its workers itself", () => {
    const h = new ListHarness({ prestartCount: 2 });
    h.handle({ type: "start" });
    h.ready(1);
    const request = { type: "listState", from: driver, requestId: 1, limit: 9 } as const;
    h.handle({ ...request, kind: "workers" });
    expect(h.out.all("collectState")).toEqual([]);
    const [page] = h.out.all("stateListed");
    expect(page?.rows.workers).toEqual([
      { workerId: driver, isAlive: true, pendingReason: "" },
      { workerId: worker(1), isAlive: true, pendingReason: "" },
      { workerId: worker(2), isAlive: false, pendingReason: "its thread is starting" },
    ]);
  });
});

describe("a raylet that is asked for what stores hold", () => {
  const third = "ab".repeat(16) as NodeId;

  class StoresHarness extends ListHarness {
    constructor(config: Partial<Config> = {}) {
      super({ config });
      const node = { totals: new Map(), available: new Map(), labels: new Map() };
      const nodes = [nodeId, otherNodeId, third].map((id) => ({ nodeId: id, ...node }));
      this.handle({ type: "resourceView", from: gcsAddress, version: 1, nodes });
      this.out.clear();
    }

    askStores(limit = 100): void {
      const from = driver;
      this.handle({ type: "listState", from, requestId: 7, kind: "stores", limit });
    }

    told(from: NodeId, usedBytes: number): void {
      const { requestId } = this.out.last("askStore");
      const store = { ...this.raylet.objects.storeRow(), nodeId: from, usedBytes };
      this.handle({ type: "storeTold", from, requestId, store });
    }

    /** Nodes whose stores came, of each page; null once the list has ended. */
    stores(): (NodeId[] | null)[] {
      return this.out.all("stateListed", driver).map(({ rows, isLast }) => {
        return isLast ? null : rows.stores.map((store) => store.nodeId);
      });
    }
  }

  it("tells of its own, asks all others, and ends when they have told", () => {
    const h = new StoresHarness();
    h.askStores();
    expect(h.stores()).toEqual([[nodeId]]);
    expect(h.out.all("askStore").length).toBe(2);
    h.told(third, 5);
    h.told(third, 6);
    expect(h.stores()).toEqual([[nodeId], [third]]);
    h.told(otherNodeId, 7);
    expect(h.stores()).toEqual([[nodeId], [third], [otherNodeId], null]);
    expect(h.missing()).toEqual([]);
    h.told(otherNodeId, 8);
    expect(h.stores()).toHaveLength(4);
  });

  it("asks no more than it was asked for", () => {
    const h = new StoresHarness();
    h.askStores(1);
    expect(h.stores()).toEqual([[nodeId], null]);
    expect(h.out.all("askStore")).toEqual([]);
  });

  it("names those that die or do not answer", () => {
    const h = new StoresHarness({ stateTimeoutMs: 50 });
    h.askStores();
    h.handle({ type: "nodeDied", from: gcsAddress, nodeId: third, reason: "gone" });
    expect(h.stores()).toEqual([[nodeId]]);
    h.nowMs = 50;
    h.deadline();
    expect(h.stores()).toEqual([[nodeId], null]);
    expect(h.missing()[0]).toBe(`node ${third} has died`);
    expect(h.missing()[1]).toMatch(new RegExp(`^node ${otherNodeId} did not answer within 50 ms`));
    h.told(otherNodeId, 5);
    expect(h.stores()).toHaveLength(2);
  });

  it("tells another raylet of its own, as often as it asks", () => {
    const h = new StoresHarness();
    for (let n = 0; n < 2; n++) {
      h.handle({ type: "askStore", from: otherNodeId, requestId: 4 });
    }
    const store = h.raylet.objects.storeRow();
    const told = { type: "storeTold", from: nodeId, requestId: 4, store };
    expect(h.out.all("storeTold", otherNodeId)).toEqual([told, told]);
    expect(store).toMatchObject({ nodeId, capacityBytes: 1024, usedBytes: 0 });
  });
});

describe("a process that is asked", () => {
  /** `refs`: what its host finds that JS refs keep. */
  function objectsOf(
    h: CoreWorkerHarness,
    { limit = 1000, refs = [] }: { limit?: number; refs?: ObjectEntry[] } = {},
  ): ObjectRow[] {
    h.out.clear();
    const from = nodeId;
    h.handle({ type: "collectState", from, requestId: 1, kind: "objects", limit });
    expect(h.out.sent).toEqual([]);
    const [asked] = h.out.instructions;
    assert(asked?.type === "listRefs", "the host is asked first");
    h.handle({ type: "refsListed", request: asked.request, entries: refs, note: "as found" });
    return h.out.all("stateCollected", nodeId).flatMap(({ rows }) => rows.objects);
  }

  it("tells of what is pending, named or stored, with what keeps it", () => {
    const h = new CoreWorkerHarness();
    const [inner, stored] = [h.put(1), h.put(new StoredValue(0, 64, 500, []))];
    const outer = h.put(h.naming(inner));
    h.core.references.name(outer);
    const pending = h.submit([stored]);
    const dependent = h.submit([pending]);
    const forgotten = h.put(2);
    h.drop(inner, stored);
    const rows = new Map(objectsOf(h).map((row) => [row.serial, row]));
    expect(rows.get(inner.serial)?.referenceType).toBe("CAPTURED_IN_OBJECT");
    expect(rows.get(outer.serial)).toMatchObject({
      referenceType: "LOCAL_REFERENCE",
      sizeBytes: 3,
    });
    const ofStored = { referenceType: "USED_BY_PENDING_TASK", sizeBytes: 500, hasValue: true };
    expect(rows.get(stored.serial)).toMatchObject(ofStored);
    expect(rows.get(pending.serial)).toMatchObject({ hasValue: false, sizeBytes: 0 });
    expect(rows.get(dependent.serial)?.pendingReason).toMatch(
      /^waits for its arguments: task work1/,
    );
    // Only its JS ref knows of it.
    expect(rows.has(forgotten.serial)).toBe(false);
    const found = objectsOf(h, { refs: [forgotten, pending] });
    expect(found).toHaveLength(rows.size + 1);
    expect(found.find(({ serial }) => serial === forgotten.serial)).toMatchObject({
      referenceType: "LOCAL_REFERENCE",
      sizeBytes: 8,
      hasValue: true,
    });
  });

  it("keeps what a pending task uses in its list, also when nothing else names it", () => {
    const h = new CoreWorkerHarness();
    const [used, first] = [h.put(1), h.submit()];
    h.submit([used, first]);
    h.drop(used);
    const row = objectsOf(h).find(({ serial }) => serial === used.serial);
    expect(row?.referenceType).toBe("USED_BY_PENDING_TASK");
  });

  it("tells where objects were made, once that is recorded", () => {
    const h = new CoreWorkerHarness();
    const entry = h.put(new StoredValue(0, 64, 500, []));
    h.core.objects.setSite(entry, "main.ts:3");
    expect(objectsOf(h)).toMatchObject([{ serial: entry.serial, callSite: "main.ts:3" }]);
    h.drop(entry);
    expect(objectsOf(h)).toEqual([]);
  });

  it("forgets the objects with bytes that were freed", () => {
    const h = new CoreWorkerHarness();
    for (let i = 0; i < 1000; i++) h.drop(h.put(new StoredValue(0, 64 * i, 64, [])));
    expect([...h.core.objects.values()]).toEqual([]);
    expect(h.core.objects.size).toBeLessThan(100);
  });

  it("sends pages, at least one, and no more than the limit", () => {
    const h = new CoreWorkerHarness();
    expect(objectsOf(h)).toEqual([]);
    expect(h.out.all("stateCollected")).toMatchObject([{ isLast: true, note: "as found" }]);
    for (let i = 0; i < 250; i++) h.core.references.name(h.put(i));
    expect(objectsOf(h)).toHaveLength(250);
    const pages = h.out.all("stateCollected");
    expect(pages.map(({ isLast }) => isLast)).toEqual([false, false, true]);
    expect(pages.map(({ note }) => note)).toEqual(["", "", "as found"]);
    expect(objectsOf(h, { limit: 120 })).toHaveLength(120);
  });

  it("says when there is more than it may tell", () => {
    const h = new CoreWorkerHarness();
    h.looksAfterEach = false;
    for (let i = 0; i < 10_000; i++) h.core.references.name(h.put(i));
    expect(objectsOf(h, { limit: 10_000 })).toHaveLength(10_000);
    expect(h.out.last("stateCollected").note).toBe("as found");
    h.core.references.name(h.put(0));
    expect(objectsOf(h, { limit: 10_000 })).toHaveLength(10_000);
    const more = "has more than 10000, and told no more of them";
    expect(h.out.last("stateCollected").note).toBe(`as found; ${more}`);
    expect(objectsOf(h, { limit: 9_999 })).toHaveLength(9_999);
    expect(h.out.last("stateCollected").note).toBe("as found");
    for (let i = 0; i < 10_001; i++) h.submit();
    expect(tasksOf(h, 10_000)).toHaveLength(10_000);
    expect(h.out.last("stateCollected")).toMatchObject({ isLast: true, note: more });
    h.core.checkInvariants();
  });

  it("tells of tasks in every state", () => {
    const h = new CoreWorkerHarness();
    const sent = h.submit();
    h.grant(worker(1));
    const waiting = h.submit([sent]);
    const shape = { ...template(2), schedulingKey: "other" };
    const queued = h.task([], { shape });
    h.handle({ type: "submitTask", task: queued });
    const client = h.core.actors.clientOf(actor(9), "Counter", false);
    const call = h.task([], { shape, actor: client });
    h.handle({ type: "submitActorTask", actor: client, task: call });
    const running = h.push(worker(2));
    h.out.clear();
    const request = { type: "collectState", from: nodeId, requestId: 1, limit: 99 } as const;
    h.handle({ ...request, kind: "tasks" });
    const rows = h.out.last("stateCollected").rows.tasks;
    const states = new Map(rows.map((row) => [`${row.owner}/${row.serial}`, row.state]));
    const stateOf = (serial: number): string | undefined => states.get(`${driver}/${serial}`);
    expect([sent, waiting, queued, call].map(({ serial }) => stateOf(serial))).toEqual([
      "SUBMITTED_TO_WORKER",
      "PENDING_ARGS_AVAIL",
      "PENDING_NODE_ASSIGNMENT",
      "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY",
    ]);
    expect(states.get(`${worker(2)}/${running?.serial}`)).toBe("RUNNING");
  });

  function tasksOf(h: CoreWorkerHarness, limit = 100): TaskRow[] {
    h.out.clear();
    const from = nodeId;
    h.handle({ type: "collectState", from, requestId: 1, kind: "tasks", limit });
    return h.out.all("stateCollected", nodeId).flatMap(({ rows }) => [...rows.tasks]);
  }

  it("tells of the last tasks that have ended, each attempt a row, newest first", () => {
    const h = new CoreWorkerHarness({ config: { endedTasksKept: 3 } });
    const short = (): unknown[] =>
      tasksOf(h).map((row) => [row.serial, row.attempt, row.state, row.errorMessage]);
    const { serial } = h.submitRetriable({ maxRetries: 1 });
    h.grant(worker(1));
    h.out.startAll();
    h.revoke();
    h.grant(worker(2));
    const pushed = h.out.last("pushTask");
    const crashes = [serial, 0, "FAILED", "it crashed"];
    expect(short()).toEqual([[serial, 1, "SUBMITTED_TO_WORKER", ""], crashes]);
    h.reply(7, { to: pushed, by: worker(2) });
    expect(short()).toEqual([[serial, 1, "FINISHED", ""], crashes]);
    const failing = [1, 2].map(() => {
      const task = h.submitRetriable({ maxRetries: 1 });
      h.reply(new FailedValue(engineError("TASK_ERROR", "no"), null));
      return [task.serial, 0, "FAILED", "no"];
    });
    expect(short()).toEqual([...failing.toReversed(), [serial, 1, "FINISHED", ""]]);
    expect(tasksOf(h, 1)).toHaveLength(1);
  });

  it("keeps no ended task where none are to be kept", () => {
    const h = new CoreWorkerHarness({ config: { endedTasksKept: 0 } });
    h.submit();
    h.grant(worker(1));
    h.reply(7);
    expect(tasksOf(h)).toEqual([]);
  });

  it("says of a borrowed object whom it waits for", () => {
    const h = new CoreWorkerHarness();
    const entry = h.adopt(worker(3), { serial: 5, index: 1 });
    // A ref that nobody looked behind, or the view that a task was given with its argument.
    expect(objectsOf(h)).toMatchObject([
      { pendingReason: `its owner, worker ${worker(3)}, was not asked for its value by this one` },
    ]);
    h.get(entry);
    expect(objectsOf(h)).toMatchObject([
      {
        owner: worker(3),
        pendingReason: `waits for its value from its owner, worker ${worker(3)}`,
      },
    ]);
  });
});

describe("a GCS that is asked", () => {
  it("lists nodes and actors, the dead with their cause, in pages", () => {
    const h = new GcsHarness();
    h.register(1, { name: "one" });
    h.register(2);
    h.start(2);
    h.created(2, worker(4));
    h.kill(2, 1, "no longer needed");
    const request = { type: "listCluster", from: driver, requestId: 1, limit: 99 } as const;
    h.handle({ ...request, kind: "actors" });
    expect(h.out.last("clusterListed", driver).rows.actors).toMatchObject([
      { className: "Counter", name: "one", state: "DEPENDENCIES_UNREADY", deathCause: "" },
      { state: "DEAD", deathCause: "actor Counter died: no longer needed", nodeId },
    ]);
    h.handle({ ...request, kind: "nodes" });
    expect(h.out.last("clusterListed", driver).rows.nodes).toMatchObject([
      { nodeId, isAlive: true, isHead: true, hostname: "host" },
    ]);
    h.handle({ ...request, kind: "actors", limit: 1 });
    expect(h.out.last("clusterListed", driver).rows.actors).toHaveLength(1);
  });
});

it("rows are cut into pages of a hundred", () => {
  expect(statePages([]).map((page) => page.length)).toEqual([0]);
  expect(statePages(Array.from({ length: 201 })).map((page) => page.length)).toEqual([100, 100, 1]);
});
