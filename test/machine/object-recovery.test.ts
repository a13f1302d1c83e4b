/**
 * Objects that were lost and are made anew by their owner, named after Ray's tests of
 * reconstruction: what is kept of finished tasks, how long, and why something is lost for good.
 */
import { describe, expect, it } from "vitest";
import type { Config } from "#engine/common/config.ts";
import { engineError } from "#engine/common/error-type.ts";
import { objectIdHex, objectKey } from "#engine/common/ids.ts";
import type { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import { FailedValue, InlineValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { CoreWorkerHarness, inline, template } from "./core-worker-harness.ts";
import { worker } from "./raylet-harness.ts";

const executor = worker(1);
const why = "its node died";
const retry = (maxRetries = 3) => ({ maxRetries, retryExceptions: false });

/** Every stored value may be lost; the executor is leased for whatever comes. */
class RecoveryHarness extends CoreWorkerHarness {
  #nextOffset = 0;

  constructor(config: Partial<Config> = {}) {
    super({ config: { leaseTurnMs: 1e9, ...config } });
    this.core.lineage.mayBeLost = () => true;
  }

  stored(...entries: ObjectEntry[]): StoredValue {
    for (const entry of entries) this.core.references.name(entry);
    const specials = entries.map(({ owner, serial, index }) => {
      return { type: "ref", owner, serial, index, topLevel: false } as const;
    });
    this.#nextOffset += 64;
    return new StoredValue(0, this.#nextOffset, 64, specials);
  }

  /** A task that has ended with a stored value, or with what is given. */
  made(args: readonly ObjectEntry[] = [], maxRetries = 3, outcome: Outcome = this.stored()) {
    const task = this.task(args, { shape: template(1, 1, retry(maxRetries)) });
    this.handle({ type: "submitTask", task });
    this.end(outcome);
    return task;
  }

  /** The task that was pushed last ends. */
  end(outcome: Outcome = this.stored(), outcomes: readonly Outcome[] | null = null): PushTask {
    if (this.core.submitter.leaseCount === 0) this.grant(executor);
    const to = this.out.last("pushTask");
    this.reply(outcome, { to, outcomes });
    return to;
  }

  lose(entry: ObjectEntry): void {
    this.handle({ type: "lastCopyLost", entry, why });
  }

  pushedSerials(): number[] {
    return this.out.all("pushTask").map(({ serial }) => serial);
  }
}

function reasonOf({ outcome }: ObjectEntry): string {
  expect(outcome).toBeInstanceOf(FailedValue);
  const { error } = outcome as FailedValue;
  expect(error.type).toBe("OBJECT_RECONSTRUCTION_FAILED");
  expect(error.message).toContain(why);
  return error.detail;
}

describe("an object that was lost", () => {
  // Ray's case 71: test_basic_reconstruction.
  it("test_basic_reconstruction: is made anew once with one retry, then no more", () => {
    const h = new RecoveryHarness();
    const task = h.made([], 1);
    h.lose(task);
    expect(task.state).toBe("PENDING");
    const get = h.get(task);
    expect(get.settled).toBe(false);
    expect(h.core.pendingReason(task)).toContain(why);
    const again = h.stored();
    expect(h.end(again).attempt).toBe(1);
    expect([task.outcome, get.settled]).toEqual([again, true]);
    expect(h.core.tasks.unfinishedCount).toBe(0);
    h.lose(task);
    expect(reasonOf(task)).toBe("MAX_ATTEMPTS_EXCEEDED");
    expect(h.get(task).settled).toBe(true);
    expect(h.core.recovery.counts).toEqual({ recovered: 1, failed: 1 });
  });

  it("shares the budget with crashes", () => {
    const h = new RecoveryHarness();
    const task = h.task([], { shape: template(1, 1, retry(1)) });
    h.handle({ type: "submitTask", task });
    h.grant(executor);
    h.out.startAll();
    h.revoke();
    h.end();
    h.lose(task);
    expect(reasonOf(task)).toBe("MAX_ATTEMPTS_EXCEEDED");
  });

  // Ray's case 72: test_basic_reconstruction_put.
  it("test_basic_reconstruction_put: was put, and nobody can make it", () => {
    const h = new RecoveryHarness();
    const given = h.put(h.stored());
    const task = h.made([given]);
    h.lose(given);
    expect(reasonOf(given)).toBe("PUT");
    // The spec of the task still holds it, lost as it is.
    h.lose(task);
    expect(reasonOf(task)).toBe("DEPENDENCY_FAILED");
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("test_basic_reconstruction_put: is made of a put value that is there", () => {
    const h = new RecoveryHarness();
    const given = h.put(h.stored());
    const task = h.made([given]);
    h.drop(given);
    expect(given.state).toBe("AVAILABLE");
    h.lose(task);
    expect(h.end().values).toEqual([given.outcome]);
    h.drop(task);
    expect([given.state, h.core.lineage.size, h.core.lineage.bytes]).toEqual(["FREED", 0, 0]);
  });

  // Ray's case 73: test_basic_reconstruction_actor_lineage_disabled.
  it("test_basic_reconstruction_actor_lineage_disabled: of a task without retries", () => {
    const h = new RecoveryHarness();
    const task = h.made([], 0);
    expect(h.core.lineage.size).toBe(0);
    h.lose(task);
    expect(reasonOf(task)).toBe("RETRIES_DISABLED");
  });

  it("is not made anew by who borrows it", () => {
    const h = new RecoveryHarness();
    const borrowed = h.adopt(executor, { serial: 1, index: 1 });
    const object = { serial: 1, index: 1 };
    h.get(borrowed);
    h.handle({ type: "objectState", from: executor, object, outcome: h.stored(), holds: null });
    h.lose(borrowed);
    expect(reasonOf(borrowed)).toBe("BORROWED");
  });

  it("is recovered once, however often its loss is told", () => {
    const h = new RecoveryHarness();
    const task = h.made();
    h.lose(task);
    h.lose(task);
    expect(h.pushedSerials()).toEqual([task.serial, task.serial]);
    h.end();
    h.drop(task);
    h.lose(task);
    expect([task.state, h.core.recovery.counts.recovered]).toEqual(["FREED", 1]);
  });

  // Ray's case 76: test_nondeterministic_output.
  it("test_nondeterministic_output: may come back as another kind of value", () => {
    const h = new RecoveryHarness();
    const task = h.made();
    h.lose(task);
    h.end(inline());
    expect(task.outcome).toBeInstanceOf(InlineValue);
    expect(h.core.lineage.size).toBe(0);
    h.lose(task);
    expect(task.outcome).toBeInstanceOf(InlineValue);
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("fails with what its task throws this time", () => {
    const h = new RecoveryHarness();
    const task = h.made();
    h.lose(task);
    h.end(new FailedValue(engineError("TASK_ERROR", "boom"), inline()));
    expect(task.outcome).toMatchObject({ error: { message: "boom" } });
  });

  it("is told anew to those who ask for it meanwhile", () => {
    const h = new RecoveryHarness();
    const task = h.made();
    h.core.references.name(task);
    h.lose(task);
    const object = { serial: task.serial, index: 1 };
    h.handle({ type: "subscribeObject", from: executor, object });
    expect(h.out.all("objectState")).toEqual([]);
    const again = h.stored();
    h.end(again);
    expect(h.out.last("objectState", executor).outcome).toEqual(again);
  });
});

describe("what a lost object was made of", () => {
  // Ray's case 75: test_multiple_downstream_tasks.
  it("test_multiple_downstream_tasks: is made anew once for all who need it", () => {
    const h = new RecoveryHarness();
    const source = h.made();
    const dependents = [h.made([source]), h.made([source])];
    h.drop(source);
    // Its value may go, for it can be made anew.
    expect(source.state).toBe("FREED");
    expect(h.core.lineage.size).toBe(3);
    h.out.clear();
    for (const dependent of dependents) h.lose(dependent);
    expect(h.pushedSerials()).toEqual([source.serial]);
    const again = h.stored();
    h.end(again);
    const pushed = h.out.all("pushTask").slice(1);
    expect(pushed[0]).toMatchObject({ serial: dependents[0]?.serial, values: [again] });
    for (const to of pushed) h.reply(h.stored(), { to });
    const more = h.out.all("pushTask").slice(1 + pushed.length);
    for (const to of more) h.reply(h.stored(), { to });
    expect(dependents.map(({ state }) => state)).toEqual(["AVAILABLE", "AVAILABLE"]);
    expect(source.state).toBe("FREED");
    h.drop(...dependents);
    expect([h.core.lineage.size, h.core.lineage.bytes]).toEqual([0, 0]);
  });

  // Ray's case 75: test_reconstruct_freed_object.
  it("test_reconstruct_freed_object: chains are made anew from where they are gone", () => {
    const h = new RecoveryHarness();
    const chain: TaskRecord[] = [h.made()];
    for (let i = 0; i < 50; i++) {
      const last = chain.at(-1) as TaskRecord;
      chain.push(h.made([last]));
      h.drop(last);
    }
    expect(chain.filter(({ state }) => state === "FREED")).toHaveLength(50);
    h.out.clear();
    const last = chain.at(-1) as TaskRecord;
    h.lose(last);
    for (const _ of chain) h.end();
    expect(h.pushedSerials()).toEqual(chain.map(({ serial }) => serial));
    expect(last.state).toBe("AVAILABLE");
    h.drop(last);
    expect(h.core.lineage.size).toBe(0);
  });

  it("fails for a dependent when it cannot be made anew, with its reason", () => {
    const h = new RecoveryHarness();
    const source = h.made([], 1);
    const task = h.made([source]);
    h.drop(source);
    h.lose(task);
    h.end();
    h.end();
    h.lose(task);
    expect(reasonOf(task)).toBe("DEPENDENCY_FAILED");
    expect((task.outcome as FailedValue).error.message).toContain("no retry left");
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("fails for a dependent when that is found out where it was to run", () => {
    const h = new RecoveryHarness();
    const source = h.made();
    const task = h.made([source]);
    h.lose(task);
    const subject = objectIdHex(source.owner, objectKey(source.serial, source.index));
    h.end(new FailedValue(engineError("OBJECT_LOST", "nobody has it", subject), null));
    expect(task.outcome).toMatchObject({ error: { detail: "DEPENDENCY_FAILED" } });
    expect((task.outcome as FailedValue).error.message).toContain("nobody has it");
    expect(h.core.tasks.unfinishedCount).toBe(0);
    // Of its own failure it is said what that was.
    const other = h.made();
    h.lose(other);
    const own = objectIdHex(other.owner, objectKey(other.serial, 0)).slice(0, -4);
    h.end(new FailedValue(engineError("TASK_ERROR", "boom", own), inline()));
    expect(other.outcome).toMatchObject({ error: { type: "TASK_ERROR", message: "boom" } });
  });

  it("travels inside the spec when it is small, and is held there", () => {
    const h = new RecoveryHarness();
    const small = h.made([], 3, 5);
    const task = h.made([small]);
    h.drop(small);
    expect(small.state).toBe("AVAILABLE");
    h.lose(task);
    expect(h.end().values).toEqual([5]);
    h.drop(task);
    expect(small.state).toBe("FREED");
  });

  // Ray's case 75: test_nested.
  it("test_nested: refs inside the arguments are held, their values stay", () => {
    const h = new RecoveryHarness();
    const inner = h.made();
    const task = h.task([inner], { nested: true, shape: template(1, 1, retry()) });
    h.handle({ type: "submitTask", task });
    h.end();
    h.drop(inner);
    expect(inner.state).toBe("AVAILABLE");
    h.drop(task);
    expect(inner.state).toBe("FREED");
  });

  it("is waited for by a retry of somebody who had it", () => {
    const h = new RecoveryHarness();
    const source = h.made();
    const task = h.task([source], { shape: template(1, 1, retry()) });
    h.handle({ type: "submitTask", task });
    h.lose(source);
    h.out.startAll();
    const { stream } = h.out.all("pushTask").find(({ serial }) => serial === task.serial) ?? {};
    h.revoke(stream);
    h.grant(worker(2));
    const again = h.stored();
    h.end(again);
    expect(h.out.last("pushTask")).toMatchObject({ serial: task.serial, values: [again] });
  });
});

describe("several returns", () => {
  // Ray's case 75: test_multiple_returns.
  it("test_multiple_returns: only the lost one is replaced, the other is given back", () => {
    const h = new RecoveryHarness();
    const task = h.task([], { shape: template(2, 2, retry()) });
    h.handle({ type: "submitTask", task });
    const [first, second] = [h.stored(), h.stored()];
    h.end(first, [second]);
    const [other] = task.moreReturns ?? [];
    if (other === undefined) throw new Error("a task of two returns has another");
    h.lose(other);
    expect([task.state, other.state]).toEqual(["AVAILABLE", "PENDING"]);
    const [again, anew] = [h.stored(), h.stored()];
    h.end(again, [anew]);
    expect([task.outcome, other.outcome]).toEqual([first, anew]);
    expect(h.out.last("freeArena").extents).toEqual([
      { segment: again.segment, offset: again.offset, size: again.size },
    ]);
    h.drop(task);
    expect(h.core.lineage.size).toBe(1);
    h.drop(other);
    expect(h.core.lineage.size).toBe(0);
  });

  it("joins the run that goes on when the other is lost, too", () => {
    const h = new RecoveryHarness();
    const task = h.task([], { shape: template(2, 2, retry(1)) });
    h.handle({ type: "submitTask", task });
    h.end(h.stored(), [h.stored()]);
    const [other] = task.moreReturns ?? [];
    h.lose(other as ObjectEntry);
    h.lose(task);
    h.end(h.stored(), [h.stored()]);
    expect([task.state, other?.state, task.attempt]).toEqual(["AVAILABLE", "AVAILABLE", 1]);
  });
});

describe("what is kept of finished tasks", () => {
  it("is nothing where nothing can be lost", () => {
    const h = new CoreWorkerHarness();
    const given = h.put();
    const task = h.submitRetriable({}, [given]);
    h.grant(executor);
    h.reply(new StoredValue(0, 0, 64, []));
    h.drop(given);
    expect([given.state, h.core.lineage.size]).toEqual(["FREED", 0]);
    expect(task.state).toBe("AVAILABLE");
  });

  // Ray's case 77: test_lineage_evicted.
  it("test_lineage_evicted: is bounded, the oldest half goes first", () => {
    const h = new RecoveryHarness({ maxLineageBytes: 10_000 });
    const givens = Array.from({ length: 40 }, () => h.put(5));
    const tasks = givens.map((given) => h.made([given]));
    h.drop(...givens);
    expect(h.core.lineage.bytes).toBeLessThanOrEqual(10_000);
    expect(givens[0]?.state).toBe("FREED");
    expect(givens.at(-1)?.state).toBe("AVAILABLE");
    const [oldest, newest] = [tasks[0] as TaskRecord, tasks.at(-1) as TaskRecord];
    h.lose(oldest);
    expect(reasonOf(oldest)).toBe("LINEAGE_EVICTED");
    h.lose(newest);
    h.end();
    expect(newest.state).toBe("AVAILABLE");
    h.drop(...tasks);
    expect([h.core.lineage.size, h.core.lineage.bytes]).toEqual([0, 0]);
  });

  it("fails its dependents when it was evicted and its value is gone", () => {
    const h = new RecoveryHarness({ maxLineageBytes: 2_700 });
    const large = h.put(new InlineValue(new Uint8Array(2_000), 0, 2_000, []));
    const source = h.made([large]);
    const task = h.made([source]);
    h.drop(source);
    expect(source.state).toBe("FREED");
    // Evicts the source, which is the oldest.
    h.made();
    h.lose(task);
    expect(reasonOf(task)).toBe("DEPENDENCY_FAILED");
    expect((task.outcome as FailedValue).error.message).toContain("maxLineageBytes");
    expect(h.core.tasks.unfinishedCount).toBe(0);
  });

  it("is let go of along a chain of a hundred thousand without a stack", () => {
    const h = new RecoveryHarness();
    let last = h.made();
    const { core, out } = h;
    for (let i = 0; i < 100_000; i++) {
      const task = h.task([last], { shape: template(1, 1, retry()) });
      core.handle({ type: "submitTask", task }, 0, out);
      const { stream, seq } = out.last("pushTask");
      const outcome = new StoredValue(0, i * 64, 64, []);
      const reply = { type: "taskReply", from: executor, stream, seq, durationMs: 1 } as const;
      core.handle({ ...reply, outcome, outcomes: null, keptRefs: null, holds: null }, 0, out);
      core.handle({ type: "removeRefs", entries: [last] }, 0, out);
      out.sent.length = 0;
      last = task;
    }
    expect(core.lineage.size).toBe(100_001);
    h.drop(last);
    expect(core.lineage.size).toBe(0);
  });
});
