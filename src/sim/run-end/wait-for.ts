/**
 * Why a run does not go on: from what the program waits for, through the processes, to what nobody
 * will ever do.
 *
 *   the program waits for task ping (…): it runs on worker0
 *     task ping on worker0 waits for task pong (…): it runs on worker1
 *     …
 */
import { nodeIdOf, objectIdHex, objectKey, type WorkerId } from "#engine/common/ids.ts";
import { cpuName } from "#engine/common/resources.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { ArgumentPull } from "#engine/core-worker/argument-pulls.ts";
import { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { whyPulled } from "#engine/raylet/pull-explanations.ts";
import { WaitingCall } from "#api/waiting-call.ts";
import { TaskContext } from "#api/task-context.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import type { RealIo } from "#sim/user-code/real-io.ts";
import type { SimNode, SimProcess } from "#sim/cluster/sim-node.ts";

/** Objects told of one waiter, and lines in all: a program may wait for thousands. */
const objectsMax = 8;
const linesMax = 60;

/** Code that waits: the program, a running task, or a constructor. */
interface Waiter {
  readonly name: string;
  readonly process: SimProcess;
  /** Null for the program and for a constructor. */
  readonly task: IncomingTask | null;
}

/** What somebody waits for: a value, or the bytes of one that there is. */
interface Wanted {
  readonly object: Pick<ObjectEntry, "owner" | "serial" | "index">;
  readonly hasValue: boolean;
}

/** Why an object is not there, and who must act first. */
interface Cause {
  readonly why: string;
  readonly waiters?: readonly Waiter[];
  /** What it needs in turn, in the process it belongs to. */
  readonly needs?: readonly ObjectEntry[];
}

export class WaitFor {
  readonly #driver: SimProcess;
  readonly #workers: readonly SimProcess[];
  readonly #nodes: readonly SimNode[];
  readonly #io: RealIo;
  readonly #lines: string[] = [];
  /** What has been told, by task or process; true while it is being told. */
  readonly #told = new Map<object, boolean>();
  readonly #leaks: string[] = [];

  constructor(
    { driver, workers, nodes }: Pick<Cluster, "driver" | "workers" | "nodes">,
    io: RealIo,
  ) {
    this.#driver = driver;
    this.#workers = workers;
    this.#nodes = nodes;
    this.#io = io;
  }

  /** For a person: `deadlock` when only the program itself stands in its way, else `leak`. */
  explain(): string {
    this.#tellWaiter({ name: "the program", process: this.#driver, task: null }, "  ");
    const more = this.#lines.length > linesMax ? ["  …"] : [];
    const chain = [...this.#lines.slice(0, linesMax), ...more].join("\n");
    if (this.#leaks.length === 0) {
      return `deadlock: nothing is left to happen, and the program waits:\n${chain}`;
    }
    const [first, ...others] = new Set(this.#leaks);
    const leaks = [`leak: ${first}`, ...others.map((other) => `and ${other}`)].join("\n  ");
    return chain === "" ? leaks : `${leaks}\n${chain}`;
  }

  // ------------------------------------------------------------ who waits

  #tellWaiter(waiter: Waiter, indent: string): void {
    const { process, task, name } = waiter;
    const subject = task ?? process;
    this.#told.set(subject, true);
    const arguing = argumentsOf(waiter);
    const wanted = arguing === null ? pendingOf(waiter) : missingOf(arguing);
    for (const one of wanted.slice(0, objectsMax)) {
      this.#tellObject({ name, process, wanted: one, indent });
    }
    if (wanted.length > objectsMax) {
      this.#lines.push(`${indent}… and for ${wanted.length - objectsMax} other objects`);
    }
    if (wanted.length === 0 && arguing === null) this.#tellLeak(waiter);
    this.#told.set(subject, false);
  }

  #tellObject(waiting: {
    name: string;
    process: SimProcess;
    wanted: Wanted;
    indent: string;
  }): void {
    const { name, process, wanted, indent } = waiting;
    const { object, hasValue } = wanted;
    const id = objectIdHex(object.owner, objectKey(object.serial, object.index));
    const owner = this.#processOf(object.owner);
    const isOwn = owner === process && object instanceof ObjectEntry;
    const owned = isOwn ? object : owner?.client.core.references.find(object.owner, object);
    const task = owned instanceof TaskRecord ? owned : null;
    const what = task === null ? `object ${id}` : `task ${nameOf(task)} (${id})`;
    const isMade = hasValue && owned?.state !== "PENDING";
    const {
      why,
      waiters = [],
      needs = [],
    } = isMade ? this.#causeOfBytes(process, object) : this.#causeOf(owner, task);
    const isCycle = waiters.some(
      (waiter) => this.#told.get(waiter.task ?? waiter.process) === true,
    );
    this.#lines.push(`${indent}${name} waits for ${what}: ${why}${isCycle ? " (a cycle)" : ""}`);
    if (this.#lines.length > linesMax || owner === undefined) return;
    for (const waiter of waiters) {
      if (!this.#told.has(waiter.task ?? waiter.process)) this.#tellWaiter(waiter, `${indent}  `);
    }
    if (task === null || this.#told.has(task)) return;
    this.#told.set(task, false);
    for (const need of needs) {
      const about = { name: `task ${nameOf(task)}`, process: owner, indent: `${indent}  ` };
      this.#tellObject({ ...about, wanted: { object: need, hasValue: false } });
    }
  }

  /** It does not wait for anything that the engine knows of. */
  #tellLeak({ name, task }: Waiter): void {
    const begun = this.#io.openOf((context) =>
      context instanceof TaskContext ? context.task === task : task === null,
    );
    this.#leaks.push(
      begun.length > 0
        ? `${name} waits for real IO: ${begun.join(", ")}`
        : `${name} waits for something outside of the simulated world: ` +
            "a promise that nothing in it settles",
    );
  }

  // ------------------------------------------------------------ why

  #causeOf(owner: SimProcess | undefined, task: TaskRecord | null): Cause {
    if (owner === undefined) return { why: "its owner is unknown" };
    if (!owner.life.isAlive) return { why: `its owner, ${owner.life.name}, has ended` };
    if (task === null) return { why: `${owner.life.name} has no value for it` };
    const needs = (task.refs ?? []).filter((ref) => ref !== null && ref.state === "PENDING");
    if (task.unresolvedCount > 0) {
      return { why: "it waits for its arguments", needs: needs as ObjectEntry[] };
    }
    if (task.stream !== null) return this.#causeOfPushed(task, task.stream.workerId);
    if (task.actor !== null) return this.#causeAtActor(task, owner);
    return this.#causeOfQueued(task, owner);
  }

  /** What it is, is known, and where it lies perhaps: the raylet of who waits was asked for it. */
  #causeOfBytes({ client }: SimProcess, object: Wanted["object"]): Cause {
    const { workerId, core } = client;
    const node = this.#nodes.find(({ nodeId }) => nodeId === nodeIdOf(workerId));
    const copy = core.copies.find(object.owner, object);
    if (node === undefined || copy === undefined) return { why: "nobody has asked for its bytes" };
    const { pulls, store } = node.running.raylet.objects;
    const request = pulls.requestOf(workerId, copy.requestId);
    return { why: whyPulled(request, pulls, store, node.nodeId) };
  }

  #causeOfPushed(task: TaskRecord, workerId: WorkerId): Cause {
    const worker = this.#processOf(workerId);
    if (worker === undefined || !worker.life.isAlive) {
      return { why: "the worker it was sent to has ended" };
    }
    const running = [...worker.client.core.receiver.running];
    const own = running.find(({ owner, serial }) => owner === task.owner && serial === task.serial);
    if (own !== undefined) {
      const { name } = worker.life;
      return { why: whyAt(own, name), waiters: [waiterOf(own, worker)] };
    }
    const before = running.map((other) => other.definition.taskName).join(", ");
    const behind = before === "" ? "" : `, behind task ${before}`;
    const waiters = running.map((other) => waiterOf(other, worker));
    return { why: `it waits for its turn on ${worker.life.name}${behind}`, waiters };
  }

  #causeAtActor(task: TaskRecord, owner: SimProcess): Cause {
    const client = task.actor as ActorClient;
    const first = client.calls.peek();
    if (first !== undefined && first !== task) {
      return { why: `it waits behind task ${nameOf(first)} of the same actor`, needs: [first] };
    }
    const host = this.#workers.find(({ client: { core } }) => {
      return core.receiver.actor?.spec.actorId === client.actorId;
    });
    if (host !== undefined && host.client.core.receiver.actor?.maxConcurrency === 0) {
      const name = `the constructor of ${client.className} on ${host.life.name}`;
      return { why: `${name} has not ended`, waiters: [{ name, process: host, task: null }] };
    }
    const reason = owner.client.core.pendingReason(task) || "it has not started";
    return { why: `its actor ${client.className} is not there: ${reason}` };
  }

  /** Those that hold what it needs stand in its way, by name of the resource. */
  #causeOfQueued(task: TaskRecord, owner: SimProcess): Cause {
    const reason = owner.client.core.pendingReason(task) || "no answer has come";
    const wanted = task.template.definition.resources;
    const waiters = this.#workers.flatMap((worker) => {
      if (!worker.life.isAlive) return [];
      return [...worker.client.core.receiver.running]
        .filter(({ waiting, definition: { resources } }) =>
          [...resources.keys()].some((key) => wanted.has(key) && !(waiting && key === cpuName)),
        )
        .map((holder) => waiterOf(holder, worker));
    });
    const held = waiters.length === 0 ? "" : `; held by ${waiters.map((w) => w.name).join(", ")}`;
    return { why: `it waits for a lease: ${reason}${held}`, waiters };
  }

  #processOf(workerId: WorkerId): SimProcess | undefined {
    if (this.#driver.client.workerId === workerId) return this.#driver;
    return this.#workers.find(({ client }) => client.workerId === workerId);
  }
}

function pendingOf({ process, task }: Waiter): Wanted[] {
  const { core } = process.client;
  const pending = new Set<ObjectEntry>();
  for (const request of core.waitingRequests) {
    const context = request instanceof WaitingCall ? request.context : null;
    if ((context?.task ?? null) !== task) continue;
    for (const entry of request.entries) if (!core.isReady(entry, request)) pending.add(entry);
  }
  return [...pending].sort(bySerial).map((object) => {
    return { object, hasValue: object.state !== "PENDING" };
  });
}

/** Of a task or a constructor that has not started, what it has asked for; null if it has. */
function argumentsOf({ process, task }: Waiter): ArgumentPull | null {
  const pull = (task ?? process.client.core.receiver.actor)?.pull ?? null;
  if (pull === null) return null;
  const hasStarted = task === null ? pull.isReady : pull.hasStarted;
  return hasStarted ? null : pull;
}

function missingOf({ copies }: ArgumentPull): Wanted[] {
  const missing = [...copies.keys()].filter(({ value }) => value === null);
  return missing.sort(bySerial).map((object) => ({ object, hasValue: true }));
}

function bySerial(one: Wanted["object"], other: Wanted["object"]): number {
  return one.serial - other.serial || one.index - other.index;
}

function whyAt({ pull }: IncomingTask, worker: string): string {
  if (pull === null || pull.hasStarted) return `it runs on ${worker}`;
  if (!pull.isReady) return `it waits on ${worker} for its arguments`;
  return `it waits on ${worker} for calls of its caller that are before it`;
}

function waiterOf(task: IncomingTask, process: SimProcess): Waiter {
  return { name: `task ${task.definition.taskName} on ${process.life.name}`, process, task };
}

function nameOf(task: TaskRecord): string {
  return task.template.definition.taskName;
}
