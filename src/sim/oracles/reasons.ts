/**
 * 4 No loss, in its reasons: what somebody is told of why something waits was so, seen from
 * outside, at some moment since the question was asked; who is said to have died has.
 *
 * Only what is said is looked at: that another reason would have been better nobody knows here. A
 * link of a chain says a task, where it was sent or runs, and what it waits for; each is compared
 * with what was seen of that task: its call, its pushes, its runs and their waits.
 */
import {
  type ActorId,
  makerOf,
  objectIdHex,
  objectKey,
  type WorkerId,
} from "#engine/common/ids.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import { type ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { explainMs } from "#engine/core-worker/wait-reasons.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { TakenBack } from "#engine/protocol/task.ts";
import type { SimNode } from "#sim/cluster/sim-node.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import { ByPush } from "./by-push.ts";
import { type Claim, claimsOf } from "./claims.ts";
import { type Fates, Oracle, type Violate, type WatchedProcess } from "./oracle.ts";
import { PullReasons } from "./pull-reasons.ts";
import { Recent } from "./recent.ts";
import { idOf } from "./tasks.ts";
import type { StandStill } from "./time.ts";

/** A question is open for `explainMs` by a clock that may be slow. */
const lookedWithinMs = 10 * explainMs;

interface Span {
  readonly worker: WorkerId;
  readonly fromMs: number;
  untilMs: number;
}

interface Run extends Span {
  readonly name: string;
  /** Calls of get and wait that it was in. */
  readonly waits: Wait[];
}

interface Wait {
  readonly entries: readonly ObjectEntry[];
  readonly fromMs: number;
  untilMs: number;
}

interface Seen {
  /** Null until its call is seen, which may be behind its first push. */
  name: string | null;
  /** Of an actor: it may stand in line for a worker before it is sent. */
  isCall: boolean;
  /** Those that had not come when it was called. */
  args: readonly (ObjectEntry | null)[];
  pushes: readonly Span[];
  runs: readonly Run[];
}

/** What is said is looked for between these. */
interface Window {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly asksRaylets?: false;
}

/** What a chain has come to: the next object it names must be one of those. */
interface Place {
  /** What was pushed to itself went over no link. */
  owner: string;
  task: Seen | undefined;
  runs: readonly Run[];
  wanted: ((oid: string) => boolean) | null;
  /** Named last. */
  oid: string;
}

export interface ReasonFacts {
  fates(): Fates;
  processes(): readonly WatchedProcess[];
  nodes(): readonly SimNode[];
  lastPause(node: number): StandStill | null;
  nowMs(): number;
}

export class ReasonOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #facts: ReasonFacts;
  readonly #tasks = new Recent<Seen>(Infinity);
  readonly #underWay = new ByPush<Span>();
  readonly #running = new Map<IncomingTask, Run>();
  readonly #runsAt = new Map<WorkerId, Run[]>();
  readonly #waits = new Map<GetRequest, Wait>();

  readonly #pulls: PullReasons;

  constructor(violate: Violate, facts: ReasonFacts) {
    super(violate);
    this.#facts = facts;
    this.#pulls = new PullReasons((entity, message) => this.violate({ entity, message }), facts);
  }

  override onSubmitted(entries: readonly ObjectEntry[]): void {
    const [task] = entries;
    if (!(task instanceof TaskRecord)) return;
    const { owner, serial, template, refs, actor } = task;
    const seen = this.#seenOf(owner, serial);
    seen.isCall = actor !== null;
    seen.name = template.definition.taskName;
    // What has come is taken out of the list later.
    if (refs !== null) seen.args = [...refs];
  }

  override onSent(frame: Frame): void {
    this.#pulls.onSent(frame);
    if (frame.type !== "pushTask") return;
    const { from, to, serial } = frame;
    const push = { worker: to as WorkerId, fromMs: this.#facts.nowMs(), untilMs: Infinity };
    this.#underWay.set(from, frame.stream, frame.seq, push);
    const seen = this.#seenOf(from as WorkerId, serial);
    seen.pushes = withLast(seen.pushes, push);
  }

  override onTaken(frame: Frame): void {
    this.#pulls.onTaken(frame);
    if (frame.type === "taskReply") this.#endPush(frame.to, frame.stream, frame.seq);
    if (frame.type !== "takenBack") return;
    const { stream, seqs } = messageOf(frame) as TakenBack;
    for (const seq of seqs) this.#endPush(frame.to, stream, seq);
  }

  override onRetracted({ from, stream, seq }: Frame): void {
    this.#endPush(from, stream, seq);
  }

  override onStarted(task: IncomingTask, { client }: WatchedProcess): void {
    const { owner, serial, definition } = task;
    const fromMs = this.#facts.nowMs();
    const name = definition.taskName;
    const run: Run = { worker: client.workerId, fromMs, untilMs: Infinity, name, waits: [] };
    this.#running.set(task, run);
    const seen = this.#seenOf(owner, serial);
    seen.runs = withLast(seen.runs, run);
    const atWorker = this.#runsAt.get(client.workerId);
    if (atWorker === undefined) this.#runsAt.set(client.workerId, [run]);
    else atWorker.push(run);
  }

  override onEnded(task: IncomingTask): void {
    const run = this.#running.get(task);
    this.#running.delete(task);
    if (run !== undefined) run.untilMs = this.#facts.nowMs();
  }

  override onAwaited(request: GetRequest): void {
    const run = request.waiter === null ? undefined : this.#running.get(request.waiter);
    if (run === undefined) return;
    const { entries } = request;
    const wait = { entries, fromMs: this.#facts.nowMs(), untilMs: Infinity };
    run.waits.push(wait);
    this.#waits.set(request, wait);
  }

  override onSettled(request: GetRequest, by: WatchedProcess): void {
    const wait = this.#waits.get(request);
    this.#waits.delete(request);
    const nowMs = this.#facts.nowMs();
    if (wait !== undefined) wait.untilMs = nowMs;
    const { entries, failure, timedOut } = request;
    const [first] = entries;
    const entity = first === undefined ? by.client.workerId : idOf(first);
    if (failure?.type === "DEADLOCK") {
      // Its lines are of two laps of a probe, and of what does not change.
      for (const line of failure.detail.split("\n")) {
        this.#judge(entity, line, { fromMs: 0, untilMs: nowMs });
      }
    }
    if (timedOut && !this.#stoodStill(by)) this.#judgeTimeOut(entity, request, by);
    for (const { outcome } of entries) {
      if (outcome instanceof FailedValue) this.#judgeDeaths(entity, outcome.error);
    }
  }

  /** It calls processes by their names. */
  override onStuck(report: string): void {
    const nowMs = this.#facts.nowMs();
    const ids = new Map(
      this.#facts.processes().map(({ life, client }) => [life.name, client.workerId]),
    );
    for (const line of report.split("\n")) {
      const text = line.trim().replace(/ on ((?:[\w.]+\.)?worker\d+)\b/g, (whole, name: string) => {
        const id = ids.get(name);
        return id === undefined ? whole : ` on worker ${id}`;
      });
      // What raylets would have said, had they been asked.
      this.#judge("world", text, { fromMs: nowMs, untilMs: nowMs, asksRaylets: false });
    }
  }

  // ------------------------------------------------------------ what is said

  #judgeTimeOut(entity: string, { entries, explained }: GetRequest, by: WatchedProcess): void {
    const { core } = by.client;
    const pending = entries.find((one) => one.state === "PENDING" || !core.copies.isReadable(one));
    if (pending === undefined) return;
    const text = explained?.entry === pending ? explained.text : core.whyPending(pending);
    const nowMs = this.#facts.nowMs();
    this.#judge(entity, text, { fromMs: nowMs - lookedWithinMs, untilMs: nowMs });
  }

  /** Their words may be older, but for a user's own: who has died is dead. */
  #judgeDeaths(entity: string, { type, message }: EngineError): void {
    if (type === "TASK_ERROR") return;
    for (const claim of claimsOf(message)) {
      const untrue = this.#whyAlive(claim);
      if (untrue !== "") this.violate({ entity, message: `${untrue}: ${message}` });
    }
  }

  #judge(entity: string, text: string, window: Window): void {
    const place: Place = { owner: "", task: undefined, runs: [], wanted: null, oid: "" };
    for (const claim of claimsOf(text)) {
      const untrue = this.#whyAlive(claim) || this.#whyUntrue(claim, place, window);
      if (untrue === "") continue;
      this.violate({ entity, message: `${untrue}: ${text}` });
      return;
    }
  }

  /** "" for what says no such thing, or says it of the dead. */
  #whyAlive(claim: Claim): string {
    const fates = this.#facts.fates();
    if (claim.type === "nodeDied" && !fates.hasBuried(claim.node)) {
      return `node ${claim.node} is said to have died, and lives`;
    }
    if (claim.type === "workerEnded" && !fates.isGone(claim.worker)) {
      return `worker ${claim.worker} is said to have ended, and lives`;
    }
    return "";
  }

  /** "" for what was so; then `place` is where the chain has come to. */
  #whyUntrue(claim: Claim, place: Place, window: Window): string {
    switch (claim.type) {
      case "names":
        return this.#arriveAt(claim, place);
      case "sent":
        // What is pushed to a process that has ended goes over no link, and nobody sees it.
        if (this.#facts.fates().isGone(claim.worker)) return "";
        return whyNotAt(claim.worker, place, window);
      case "runs":
        place.runs = within(place.task?.runs, claim.worker, window);
        return place.runs.length > 0 ? "" : `it did not run on worker ${claim.worker}`;
      case "queued": {
        const { worker, behind } = claim;
        const before = within(this.#runsAt.get(worker), worker, window);
        place.runs = before.filter(({ name }) => name === behind);
        if (place.runs.length === 0) return `no task ${behind} ran on worker ${worker}`;
        return place.task?.isCall === true ? "" : whyNotAt(worker, place, window);
      }
      case "waits": {
        const waits = place.runs.flatMap((run) => run.waits.filter((one) => isIn(one, window)));
        place.wanted = anyOf(waits.flatMap(({ entries }) => entries));
        return waits.length > 0 ? "" : "it was in no get or wait";
      }
      case "lacksArguments": {
        const args = place.task?.args ?? [];
        place.wanted = anyOf(args);
        return args.length > 0 ? "" : "it has no arguments that it could wait for";
      }
      case "waitsAt": {
        const { name, taskId, worker } = claim;
        place.task = this.#seenBy(taskId);
        place.runs = within(place.task?.runs, worker, window);
        if (place.task?.name !== name) return `no task ${name} is ${taskId}`;
        return this.#whyUntrue({ type: "waits" }, place, window);
      }
      case "needs":
        place.wanted = null;
        return "";
      case "pull":
        if (window.asksRaylets === false) return "";
        return this.#pulls.wasTold(place.oid, claim.text, window) ? "" : "no raylet has said so";
      case "nodeDied":
      case "workerEnded":
        return "";
    }
  }

  #arriveAt({ oid, name }: Extract<Claim, { type: "names" }>, place: Place): string {
    const { wanted } = place;
    place.wanted = null;
    if (wanted !== null && !wanted(oid)) return `${oid} is not what was waited for`;
    place.oid = oid;
    if (name === null) return "";
    place.owner = oid.slice(0, workerIdLength);
    place.task = this.#seenBy(oid.slice(0, taskIdLength));
    place.runs = [];
    if (place.task?.name === undefined || place.task.name === null)
      return `nobody has called task ${oid}`;
    return place.task.name === name ? "" : `task ${oid} is ${place.task.name}, not ${name}`;
  }

  #seenOf(owner: WorkerId, serial: number): Seen {
    let seen = this.#tasks.get(owner, serial);
    if (seen === undefined) {
      seen = { name: null, isCall: false, args: none, pushes: none, runs: none };
      this.#tasks.set(owner, serial, seen);
    }
    return seen;
  }

  #seenBy(taskId: string): Seen | undefined {
    const { maker, serial } = makerOf(taskId as ActorId);
    return this.#tasks.get(maker, serial);
  }

  /** Then it looked long before it was told of. */
  #stoodStill({ client, life }: WatchedProcess): boolean {
    const untilMs = this.#facts.lastPause(life.node)?.untilMs ?? -Infinity;
    return untilMs > client.host.nowMs - lookedWithinMs;
  }

  #endPush(owner: string, stream: number, seq: number): void {
    const push = this.#underWay.take(owner, stream, seq);
    if (push !== undefined) push.untilMs = this.#facts.nowMs();
  }
}

const none: readonly never[] = [];
const workerIdLength = 40;
const taskIdLength = 52;

function is({ owner, serial, index }: ObjectEntry, oid: string): boolean {
  return objectIdHex(owner, objectKey(serial, index)) === oid;
}

function anyOf(entries: readonly (ObjectEntry | null)[]): (oid: string) => boolean {
  return (oid) => entries.some((one) => one !== null && is(one, oid));
}

/** As a rule the only one: a list that grows has room for many. */
function withLast<T>(list: readonly T[], item: T): readonly T[] {
  return [...list, item];
}

function isIn({ fromMs, untilMs }: { fromMs: number; untilMs: number }, window: Window): boolean {
  return fromMs <= window.untilMs && untilMs >= window.fromMs;
}

function within<S extends Span>(
  spans: readonly S[] | undefined,
  worker: WorkerId,
  window: Window,
): S[] {
  return (spans ?? []).filter((span) => span.worker === worker && isIn(span, window));
}

function whyNotAt(worker: WorkerId, { task, owner }: Place, window: Window): string {
  const isThere = worker === owner || within(task?.pushes, worker, window).length > 0;
  return isThere ? "" : `it was not at worker ${worker}`;
}
