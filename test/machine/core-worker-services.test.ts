/** What stands around a core worker in its thread: the pump, room in the arena, the executor. */
import { describe, expect, it } from "vitest";
import { engineError } from "#engine/common/error-type.ts";
import type { CoreWorkerCall, TaskFinished } from "#engine/core-worker/calls.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Machine, Outbox } from "#engine/protocol/machine.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { Transport } from "#engine/protocol/transport.ts";
import { ArenaFullError, ArenaWriter } from "#engine/services/arena-writer.ts";
import { Executor, type PreparedCall } from "#engine/services/executor.ts";
import { Host } from "#engine/services/host.ts";
import { inline } from "./core-worker-harness.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

interface Said {
  readonly type: string;
  readonly n?: number;
}

/** Does what the test says with each event. */
class Scripted implements Machine<Said, Said> {
  readonly heard: Said[] = [];
  deadlineMs = Infinity;
  broken = false;
  readonly #act: (event: Said, out: Outbox<Said>) => void;

  constructor(act: (event: Said, out: Outbox<Said>) => void = () => {}) {
    this.#act = act;
  }

  handle(event: Said, _nowMs: number, out: Outbox<Said>): void {
    this.heard.push(event);
    if (event.type === "deadline") this.deadlineMs = Infinity;
    this.#act(event, out);
  }

  nextDeadlineMs(): number {
    return this.deadlineMs;
  }

  checkInvariants(): void {
    if (this.broken) throw new Error("broken");
  }
}

class HostBench {
  nowMs = 0;
  wakes: { atMs: number; wake: () => void }[] = [];
  soon: (() => void)[] = [];
  readonly sent: unknown[] = [];
  readonly host: Host;

  constructor() {
    const clock = {
      nowMs: () => this.nowMs,
      wakeAt: (atMs: number, wake: () => void) => void this.wakes.push({ atMs, wake }),
      soon: (wake: () => void) => void this.soon.push(wake),
    };
    this.host = new Host(clock, true);
    const transport: Transport = {
      send: (to, message) => void this.sent.push({ to, message }),
      sendTask: () => 5,
      retract: () => false,
      isCongested: () => true,
      moveBuffers: () => {},
      poll: () => false,
      pollTask: () => false,
    };
    this.host.connect(transport);
  }
}

const message = (n: number) => ({ type: "releaseLease", from: driver, leaseId: n }) as never;
const pushTask = { type: "pushTask" } as PushTask;

describe("Host", () => {
  it("handles one event to its end before the next, instructions first", () => {
    const b = new HostBench();
    const order: string[] = [];
    const second = new Scripted((event) => order.push(`second ${event.type}`));
    const first = new Scripted((event, out) => {
      order.push(`first ${event.type}`);
      if (event.type !== "go") return;
      out.send(nodeId, message(1));
      out.instruct({ type: "instruction" });
      out.send(worker(9), message(2));
    });
    b.host.attach(driver, first, () => {
      order.push("instruction");
      b.host.dispatch(driver, { type: "again" });
    });
    b.host.attach(nodeId, second, () => {});
    b.host.dispatch(driver, { type: "go" });
    expect(order).toEqual(["first go", "instruction", "second releaseLease", "first again"]);
    expect(b.sent).toEqual([{ to: worker(9), message: message(2) }]);
  });

  it("keeps what is sent to a machine that comes later, in order", () => {
    const b = new HostBench();
    const late = new Scripted();
    b.host.expect([nodeId]);
    b.host.attach(
      driver,
      new Scripted((_, out) => {
        out.send(nodeId, message(1));
        out.send(nodeId, message(2));
      }),
      () => {},
    );
    b.host.dispatch(driver, { type: "go" });
    b.host.attach(nodeId, late, () => {});
    expect(late.heard).toEqual([message(1), message(2)]);
  });

  it("wakes those machines whose time has come, and arms only for what is earlier", () => {
    const b = new HostBench();
    const [soon, later] = [new Scripted(), new Scripted()];
    b.host.attach(driver, soon, () => {});
    b.host.attach(nodeId, later, () => {});
    soon.deadlineMs = 100;
    later.deadlineMs = 300;
    b.host.dispatch(driver, { type: "go" });
    b.host.dispatch(driver, { type: "go" });
    expect(b.wakes.map(({ atMs }) => atMs)).toEqual([100]);
    b.nowMs = 100;
    b.wakes[0]?.wake();
    expect(soon.heard.at(-1)).toEqual({ type: "deadline" });
    expect(later.heard).toEqual([]);
    expect(b.wakes.at(-1)?.atMs).toBe(300);
  });

  it("starts tasks of its own in a later turn, when there is room, or gives them back", () => {
    const b = new HostBench();
    let outbox: Outbox<Said> | undefined;
    const positions: number[] = [];
    const machine = new Scripted((event, out) => {
      outbox = out;
      if (event.type === "go") positions.push(out.sendTask(driver, pushTask));
    });
    b.host.attach(driver, machine, () => {});
    let room = 0;
    const ran: number[] = [];
    b.host.execute({ wantsTask: () => room > 0, runAccepted: () => void ran.push(room--) });
    b.host.dispatch(driver, { type: "go" });
    b.host.dispatch(driver, { type: "go" });
    expect(machine.heard.map(({ type }) => type)).toEqual(["go", "go"]);
    b.soon.shift()?.();
    expect(ran).toEqual([]);
    room = 1;
    b.host.pump();
    expect(ran).toEqual([1]);
    expect(outbox?.retract(driver, positions[0] as number)).toBe(false);
    expect(outbox?.retract(driver, positions[1] as number)).toBe(true);
    expect(outbox?.isCongested(driver)).toBe(false);
    expect(outbox?.isCongested(nodeId)).toBe(true);
  });

  it("does nothing any more once it is closed, and shows a broken machine at once", () => {
    const b = new HostBench();
    const machine = new Scripted();
    b.host.attach(driver, machine, () => {});
    machine.broken = true;
    expect(() => b.host.dispatch(driver, { type: "go" })).toThrow("broken");
    machine.broken = false;
    b.host.close();
    b.host.dispatch(driver, { type: "go" });
    expect(machine.heard).toHaveLength(1);
    expect(b.host.pump()).toBe(false);
  });
});

class ArenaBench {
  readonly store: ObjectStore;
  readonly writer: ArenaWriter;
  readonly made: number[] = [];
  readonly #out = new RecordingOutbox<never>();
  #answers: (() => void)[] = [];
  /** True: answers come within the call, as on the node's own thread. */
  atOnce = true;
  ownBytesMax = 0;

  constructor(segmentBytes: number, chunkBytes: number) {
    this.store = new ObjectStore(nodeId, [segmentBytes]);
    this.writer = new ArenaWriter({
      chunkBytes,
      request: (requestId, size, mayWait) => {
        this.store.onAllocateArena(
          { type: "allocateArena", from: driver, requestId, size, mayWait },
          0,
          this.#out,
        );
        const answer = this.#out.last("arenaAllocated");
        if (this.atOnce) this.writer.onAllocated(answer);
        else this.#answers.push(() => this.writer.onAllocated(answer));
      },
      release: (extent) => this.free([extent]),
      makeSegment: (size) => {
        if (this.ownBytes + size > this.ownBytesMax) return undefined;
        this.made.push(size);
        return { segment: 1 << 16, offset: 0, size };
      },
    });
  }

  get ownBytes(): number {
    return this.made.reduce((sum, size) => sum + size, 0);
  }

  answer(): void {
    for (const answer of this.#answers.splice(0)) answer();
  }

  free(extents: readonly { segment: number; offset: number; size: number }[]): void {
    this.store.onFreeArena({ type: "freeArena", from: driver, extents });
  }
}

describe("ArenaWriter", () => {
  it("cuts small objects from chunks, and every byte comes back", () => {
    const b = new ArenaBench(1 << 16, 4096);
    const extents = [];
    for (let i = 0; i < 50; i++) extents.push(b.writer.place(1 + i * 13));
    const used = new Set(extents.map(({ offset }) => offset));
    expect(used.size).toBe(extents.length);
    b.free(extents);
    // One chunk in use, whose rest is still to be cut, and at most one ahead.
    expect((1 << 16) - b.store.freeBytes).toBeLessThanOrEqual(2 * 4096);
    b.store.checkInvariants();
  });

  it("makes a segment for what cannot wait, and gives the late answer's room back", () => {
    const b = new ArenaBench(1 << 16, 4096);
    b.atOnce = false;
    b.ownBytesMax = 5_000;
    expect(b.writer.place(5000)).toEqual({ segment: 1 << 16, offset: 0, size: 5000 });
    expect(b.made).toEqual([5000]);
    b.answer();
    expect(b.store.freeBytes).toBe(1 << 16);
  });

  it("makes segments up to a bound in a full store, on the node's own thread too", () => {
    const b = new ArenaBench(1 << 13, 4096);
    b.ownBytesMax = 10_000;
    expect(b.writer.place(1 << 13).segment).toBe(0);
    expect(b.writer.place(6_000).segment).toBe(1 << 16);
    expect(() => b.writer.place(6_000)).toThrow(ArenaFullError);
    expect(() => b.writer.place(6_000)).toThrow("no room for 6000 bytes");
    expect(b.made).toEqual([6_000]);
  });

  it("looks at the bound elsewhere, too", () => {
    const b = new ArenaBench(1 << 16, 4096);
    b.atOnce = false;
    b.ownBytesMax = 0;
    expect(() => b.writer.place(5_000)).toThrow("5000 bytes at hand");
    b.answer();
    expect(b.store.freeBytes).toBe(1 << 16);
  });

  it("waits for room where that is possible", async () => {
    const b = new ArenaBench(1 << 16, 4096);
    b.atOnce = false;
    const extent = b.writer.placeLater(5000);
    expect(extent).toBeInstanceOf(Promise);
    b.answer();
    expect(await extent).toEqual({ segment: 0, offset: 0, size: 5000 });
  });

  it("says when there is no room", async () => {
    const b = new ArenaBench(1 << 13, 4096);
    expect(() => b.writer.place(1 << 14)).toThrow(ArenaFullError);
    await expect(b.writer.placeLater(1 << 14)).rejects.toBeInstanceOf(ArenaFullError);
    expect(b.writer.place(100).size).toBe(100);
  });
});

const task = {
  owner: driver,
  serial: 7,
  definition: { taskName: "work" },
} as unknown as IncomingTask;

class ExecutorBench {
  readonly reports: CoreWorkerCall[] = [];
  readonly executor: Executor;
  finishCount = 0;
  nowMs = 0;
  prepare: () => PreparedCall | Promise<PreparedCall> = () => this.call();

  constructor() {
    const encodeError = (error: unknown) => this.encodeError(error);
    this.executor = new Executor({
      receiver: { wantsTask: () => true } as never,
      userCode: {
        prepareTask: () => this.prepare(),
        prepareConstructor: () => this.prepare(),
        defaultConcurrency: () => 1000,
        encodeError,
      },
      report: (event) => void this.reports.push(event),
      nowMs: () => this.nowMs,
    });
  }

  call(parts: Partial<PreparedCall> = {}): PreparedCall {
    return {
      run: () => 4,
      encode: (result) => result as never,
      encodeError: (error) => this.encodeError(error),
      finish: () => void (this.finishCount += 1),
      ...parts,
    };
  }

  encodeError(error: unknown): FailedValue {
    return new FailedValue(engineError("TASK_ERROR", (error as Error).message), inline());
  }

  run(parts: Partial<PreparedCall> = {}): void {
    this.prepare = () => this.call(parts);
    this.executor.accept(task);
    this.executor.runAccepted();
  }

  get last(): TaskFinished {
    return this.reports.at(-1) as TaskFinished;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("Executor", () => {
  it("reports a plain function within the call, several values as several", () => {
    const b = new ExecutorBench();
    b.run();
    expect(b.last).toMatchObject({ type: "taskFinished", task, outcome: 4, outcomes: null });
    b.run({ run: () => [1, 2, 3] });
    expect(b.last).toMatchObject({ outcome: 1, outcomes: [2, 3] });
    expect(b.finishCount).toBe(2);
  });

  it("reports an asynchronous one when its promise ends, and how long that took", async () => {
    const b = new ExecutorBench();
    b.run({ run: () => Promise.resolve(9) });
    expect(b.reports).toEqual([]);
    b.nowMs = 20;
    await turn();
    expect(b.last).toMatchObject({ outcome: 9, durationMs: 20 });
    b.run({ run: () => Promise.reject(new Error("later")) });
    await turn();
    expect(b.last.outcome).toMatchObject({ error: { message: "later" } });
  });

  it("ends once, whatever a thenable of the user's does", async () => {
    const b = new ExecutorBench();
    const twice = {
      // oxlint-disable-next-line unicorn/no-thenable -- What user code may return.
      then(resolve: (n: number) => void, reject: (error: Error) => void) {
        resolve(1);
        resolve(2);
        reject(new Error("too"));
      },
    };
    b.run({ run: () => twice });
    await turn();
    expect([b.reports.length, b.finishCount]).toEqual([1, 1]);
  });

  it("reports what was thrown: by function, encoding, arguments, module", async () => {
    const b = new ExecutorBench();
    const fail = (text: string) => () => {
      throw new Error(text);
    };
    b.run({ run: fail("run") });
    b.run({ encode: fail("encode") });
    b.run({ encode: () => Promise.reject(new Error("encode later")) });
    await turn();
    b.prepare = fail("arguments");
    b.executor.accept(task);
    b.executor.runAccepted();
    b.prepare = () => Promise.reject(new Error("module"));
    b.executor.accept(task);
    b.executor.runAccepted();
    await turn();
    const messages = b.reports.map((event) => {
      const { outcome } = event as TaskFinished;
      return outcome instanceof FailedValue ? outcome.error.message : outcome;
    });
    expect(messages).toEqual(["run", "encode", "encode later", "arguments", "module"]);
    expect(b.finishCount).toBe(3);
  });

  it("survives an error that cannot be encoded", () => {
    const b = new ExecutorBench();
    const refuse = () => {
      throw new Error("no room");
    };
    b.run({ run: refuse, encodeError: refuse });
    expect(b.last.outcome).toMatchObject({ error: { type: "TASK_ERROR" }, cause: null });
    expect(b.finishCount).toBe(1);
  });

  it("does not take an error of the engine for one of the task", () => {
    const b = new ExecutorBench();
    let reports = 0;
    const executor = new Executor({
      receiver: { wantsTask: () => true } as never,
      userCode: { prepareTask: () => b.call() } as never,
      report: () => {
        reports += 1;
        throw new Error("an invariant is broken");
      },
      nowMs: () => 0,
    });
    executor.accept(task);
    expect(() => executor.runAccepted()).toThrow("invariant");
    expect([reports, b.finishCount]).toEqual([1, 1]);
  });

  it("constructs an actor in a turn of its own, with its concurrency or its class's", async () => {
    const b = new ExecutorBench();
    const actor = {
      spec: { maxConcurrency: 0, actorId: "a", descriptor: { displayName: "Counter" } },
    } as unknown as IncomingActor;
    b.prepare = () => b.call({ run: () => ({}) });
    b.executor.construct(actor);
    expect(b.reports).toEqual([]);
    await turn();
    expect(b.reports[0]).toMatchObject({ type: "constructorFinished", maxConcurrency: 1000 });
    b.prepare = () =>
      b.call({
        run: () => {
          throw new Error("bad start");
        },
      });
    b.executor.construct(actor);
    await turn();
    expect(b.reports[1]).toMatchObject({
      failure: {
        error: { type: "ACTOR_DIED", message: "the constructor of Counter threw: bad start" },
      },
    });
    expect(b.finishCount).toBe(2);
  });
});
