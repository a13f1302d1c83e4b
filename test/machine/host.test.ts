/** The pump of one thread: order of events, deadlines, the clock, tasks for itself. */
import { describe, expect, it } from "vitest";
import type { Machine, Outbox } from "#engine/protocol/machine.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { Transport } from "#engine/protocol/transport.ts";
import { Host } from "#engine/services/host.ts";
import { driver, nodeId, worker } from "./raylet-harness.ts";

interface Said {
  readonly type: string;
  readonly n?: number;
}

/** Does what the test says with each event. */
class Scripted implements Machine<Said, Said> {
  readonly heard: Said[] = [];
  deadlineMs = Infinity;
  broken = false;
  onAsked = (): void => {};
  onHandled: (nowMs: number) => void = () => {};
  readonly #act: (event: Said, out: Outbox<Said>) => void;

  constructor(act: (event: Said, out: Outbox<Said>) => void = () => {}) {
    this.#act = act;
  }

  handle(event: Said, nowMs: number, out: Outbox<Said>): void {
    this.heard.push(event);
    this.onHandled(nowMs);
    if (event.type === "deadline") this.deadlineMs = Infinity;
    this.#act(event, out);
  }

  nextDeadlineMs(): number {
    this.onAsked();
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
  /** What comes with a look at the links. */
  onPoll = (): void => {};

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
      poll: () => {
        this.onPoll();
        return false;
      },
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

  it("asks only those for their deadline that have handled something", () => {
    const b = new HostBench();
    const [busy, idle] = [new Scripted(), new Scripted()];
    b.host.attach(driver, busy, () => {});
    b.host.attach(nodeId, idle, () => {});
    idle.deadlineMs = 200;
    b.host.dispatch(driver, { type: "go" });
    expect(b.wakes.map(({ atMs }) => atMs)).toEqual([200]);
    const asked: string[] = [];
    busy.onAsked = () => void asked.push("busy");
    idle.onAsked = () => void asked.push("idle");
    busy.deadlineMs = 100;
    b.host.dispatch(driver, { type: "go" });
    expect(asked).toEqual(["busy"]);
    expect(b.wakes.map(({ atMs }) => atMs)).toEqual([200, 100]);
    b.host.dispatch(nodeId, { type: "go" });
    expect(asked).toEqual(["busy", "idle"]);
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
    b.host.execute({ wantsTask: () => room > 0, runAccepted: () => ran.push(room--) > 0 });
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

  it("reads the clock once for what comes together, and anew where a task has run", () => {
    const b = new HostBench();
    const times: number[] = [];
    const machine = new Scripted();
    machine.onHandled = (nowMs) => void times.push(nowMs);
    const dispatch = b.host.attach<Said, Said>(driver, machine, () => {});
    let isAccepted = false;
    const runAccepted = (): boolean => {
      if (!isAccepted) return false;
      isAccepted = false;
      b.nowMs = 50;
      dispatch({ type: "called by the task" });
      dispatch({ type: "ended" }, 49);
      return true;
    };
    b.host.execute({ wantsTask: () => false, runAccepted });
    b.onPoll = () => {
      b.host.onMessage(driver, message(1));
      b.nowMs = 7;
      isAccepted = true;
      b.host.onMessage(driver, message(2));
      b.host.onMessage(driver, message(3));
    };
    b.nowMs = 5;
    b.host.pump();
    expect(times).toEqual([5, 5, 50, 49, 50]);
    dispatch({ type: "later" });
    expect(times.at(-1)).toBe(50);
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
