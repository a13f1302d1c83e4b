/**
 * Tasks of this worker that have waited for long ask, round by round, whether they wait for
 * themselves; one that does gets a DEADLOCK error, so that the others of the cycle can go on.
 *
 * State:  one episode a task that waits in get; when each asks next, in one heap.
 * In/out: taskWaiting, deadlines, probes that return → probes, failed calls of get.
 * Laps:   the first lap shows a cycle as it was piece by piece. The second must come through the
 *         very same calls: each has then waited without a break since its first look, so at the
 *         time when the second lap began all of them waited together, and that does not end by
 *         itself. A task with several calls at once may need any of them: all must lead back.
 * Bounds: a round each `deadlockProbeMs`, then half as often each time, down to a tenth.
 * Errors: of one cycle the task with the lowest id gets the error: others stop its probes.
 * Source: Chandy, Misra, Haas '83; docs/internals/deadlocks.md.
 */
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { type EngineError, engineError } from "#engine/common/error-type.ts";
import { taskIdHex } from "#engine/common/ids.ts";
import type { WaitProbe, WaitStamp } from "#engine/protocol/probe.ts";
import type { TaskWaiting } from "./calls.ts";
import type { GetRequest } from "./memory-store.ts";
import type { Out } from "./process-context.ts";
import type { IncomingTask } from "./incoming-task.ts";
import { neededBy } from "./wait-edges.ts";
import { type ProbeParts, WaitProbes } from "./wait-probes.ts";

/** The longest pause between two rounds, in those before the second. */
const pauseMax = 10;
/** Episodes that are over but still in the heap, before it is swept. */
const sweepAtLength = 16;

/** A task that waits, from when it was declared until it goes on. */
class Episode {
  readonly task: IncomingTask;
  pauseMs: number;
  round = 0;
  /** First lap: the path by which the probe of each call came back. */
  readonly found = new Map<GetRequest, readonly WaitStamp[]>();
  /** Second lap: what it met. */
  readonly confirmed = new Map<GetRequest, readonly string[]>();

  constructor(task: IncomingTask, pauseMs: number) {
    this.task = task;
    this.pauseMs = pauseMs;
  }
}

export class DeadlockDetector {
  readonly probes: WaitProbes;
  readonly #parts: ProbeParts;
  readonly #episodes = new Map<IncomingTask, Episode>();
  readonly #due = new DeadlineQueue<Episode>();

  constructor(parts: ProbeParts) {
    this.#parts = parts;
    this.probes = new WaitProbes(parts, (task, probe, out) => this.#onReturned(task, probe, out));
  }

  /** Tasks that wait, for tests. */
  get episodeCount(): number {
    return this.#episodes.size;
  }

  onTaskWaiting({ task, waiting }: TaskWaiting, nowMs: number): void {
    if (!waiting) {
      this.#end(task);
      return;
    }
    const { deadlockProbeMs } = this.#parts.context.config;
    if (deadlockProbeMs === 0 || !task.waiting || this.#episodes.has(task)) return;
    const episode = new Episode(task, deadlockProbeMs);
    this.#episodes.set(task, episode);
    this.#due.add(nowMs + deadlockProbeMs, episode);
  }

  /** It may end while a call of get that nobody awaits goes on. */
  onTaskFinished(task: IncomingTask): void {
    this.#end(task);
  }

  nextDeadlineMs(): number {
    return this.#due.nextMs();
  }

  onDeadline(nowMs: number, out: Out): void {
    const pauseMaxMs = this.#parts.context.config.deadlockProbeMs * pauseMax;
    let byTask: Map<IncomingTask, GetRequest[]> | null = null;
    for (;;) {
      const episode = this.#due.takeDue(nowMs);
      if (episode === undefined) return;
      const { task, pauseMs } = episode;
      if (this.#episodes.get(task) !== episode) continue;
      byTask ??= this.#requestsByTask();
      this.#ask(episode, byTask.get(task) ?? [], out);
      episode.pauseMs = Math.min(2 * pauseMs, pauseMaxMs);
      this.#due.add(nowMs + episode.pauseMs, episode);
    }
  }

  #end(task: IncomingTask): void {
    if (!this.#episodes.delete(task)) return;
    const overCount = this.#due.size - this.#episodes.size;
    if (overCount < sweepAtLength || overCount * 2 < this.#due.size) return;
    this.#due.retain((episode) => this.#episodes.get(episode.task) === episode);
  }

  #requestsByTask(): Map<IncomingTask, GetRequest[]> {
    const byTask = new Map<IncomingTask, GetRequest[]>();
    for (const request of this.#parts.memoryStore.waiting()) {
      const { waiter } = request;
      if (waiter === null) continue;
      const requests = byTask.get(waiter);
      if (requests === undefined) byTask.set(waiter, [request]);
      else requests.push(request);
    }
    return byTask;
  }

  #ask(episode: Episode, requests: readonly GetRequest[], out: Out): void {
    episode.round += 1;
    episode.found.clear();
    episode.confirmed.clear();
    if (requests.some((request) => neededBy(request) === null)) return;
    for (const request of requests) this.#send(episode, request, requests.length, out);
  }

  /** Once the first lap is known, the second. */
  #send({ task, round, found }: Episode, request: GetRequest, count: number, out: Out): void {
    const { owner, serial } = task;
    const expected = found.get(request) ?? [];
    const probe = { owner, serial, round, yields: count === 1, path: [], expected, lines: [] };
    this.probes.start(task, request, probe, out);
  }

  #onReturned(task: IncomingTask, probe: WaitProbe, out: Out): void {
    const episode = this.#episodes.get(task);
    if (episode === undefined || episode.round !== probe.round) return;
    const { path, expected, lines } = probe;
    const requests = this.probes.requestsOf(task);
    const asker = requests.find((one) => this.probes.numberOf(one) === path[0]?.blockSeq);
    if (asker === undefined) return;
    const { found, confirmed } = episode;
    if (expected.length === 0) {
      if (found.has(asker)) return;
      found.set(asker, path);
      if (found.size < requests.length) return;
      for (const request of requests) this.#send(episode, request, requests.length, out);
      return;
    }
    if (path.length !== expected.length) return;
    confirmed.set(asker, lines);
    if (!requests.every((request) => confirmed.has(request))) return;
    const error = deadlockError(task, [...confirmed.values()].flat());
    for (const request of requests) this.#parts.memoryStore.fail(request, error, out);
  }
}

function deadlockError(task: IncomingTask, lines: readonly string[]): EngineError {
  const cycle = [...new Set(lines)];
  const message =
    `deadlock: these wait for each other, and none can go on: ${cycle.join("; ")}. ` +
    `Task ${task.definition.taskName} is told so that the others can. Return a ref instead of ` +
    "waiting for its value, give get a timeoutMs, or let the actor run more calls at once " +
    "(maxConcurrency)";
  const id = taskIdHex(task.owner, task.serial);
  return engineError("DEADLOCK", message, id, cycle.join("\n"));
}
