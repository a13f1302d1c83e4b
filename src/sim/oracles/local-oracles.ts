/**
 * The oracles of local mode: those that make sense with a real clock and one node. Of a runtime on
 * threads each thread has its own, which sees what that thread sees: there only what objects hold
 * is looked at. A call that shows a violation rejects with it; what no call can tell is a warning,
 * and thrown at the end.
 */
import type { WorkerId } from "#engine/common/ids.ts";
import { type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { UserCode } from "#engine/services/executor.ts";
import type { Process } from "#api/runtime.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import { LossOracle } from "./loss.ts";
import { ObjectOracle } from "./objects.ts";
import { type Digest, type Fates, type Scope, unreadable, type WatchedProcess } from "./oracle.ts";
import { Oracles } from "./oracles.ts";
import { TaskOracle } from "./tasks.ts";
import { TimeOracle } from "./time.ts";
import { digestIn, digestOfPut } from "./value-digest.ts";
import { ViolationError } from "./violation-error.ts";
import { watchClient } from "#sim/watch/watch-client.ts";
import { watchValues } from "#sim/watch/watch-values.ts";
import { WatchedUserCode } from "#sim/watch/watch-user-code.ts";

/** What a long program remembers is bounded; it may have begun before it was watched. */
const ofRuntime: Scope = { seesAll: false, rememberedMax: 65_536 };
const ofThread: Scope = { ...ofRuntime, isOneThread: true };

type Makers = ConstructorParameters<typeof Oracles>[0];

export class LocalOracles {
  readonly #oracles: Oracles;
  readonly #digest: Digest;
  readonly #living = new Set<WorkerId>();
  #endedCount = 0;
  #hasLostSpilled = false;
  /** Of the step that is looked at, if a call can tell of them. */
  #told: ViolationError[] | null = null;
  readonly #untold: ViolationError[] = [];

  constructor(arena: SharedArena, of: "runtime" | "thread" = "runtime") {
    const digest = digestIn((segment) => arena.bytes(segment));
    // A segment that another thread has made may not be mapped here yet.
    const readable: Digest = (outcome) => (isMapped(outcome, arena) ? digest(outcome) : unreadable);
    this.#digest = readable;
    const fates = (): Fates => this.#fates();
    const all: Makers = [
      (violate) => new TaskOracle(violate, fates, ofRuntime),
      (violate) => new ObjectOracle(violate, ofRuntime),
      (violate) => new LossOracle(violate, fates, ofRuntime),
      // A busy thread is late as a matter of course: only too early is wrong.
      (violate) => new TimeOracle(violate, () => ({ fromMs: -Infinity, untilMs: Infinity })),
    ];
    const makers =
      of === "runtime" ? all : ([(v) => new ObjectOracle(v, ofThread)] satisfies Makers);
    this.#oracles = new Oracles(makers, {
      violate: (oracle, violated) => this.#violate(new ViolationError(oracle, violated)),
      notes: null,
    });
  }

  watch({ client, values }: Process, name: string): void {
    const oracles = this.#oracles;
    const watched: WatchedProcess = { client, values, life: { name, node: 0, isAlive: true } };
    this.#living.add(client.workerId);
    watchClient(client, {
      onSubmitted: (entries) => oracles.onSubmitted(entries, watched),
      onCalled: (task, parent) => oracles.onCalled(task, parent),
      onCancelling: (entry, force) => oracles.onCancelling(entry, force),
      onCancelTaken: (entry, wasPending) => oracles.onCancelTaken(entry, wasPending),
      onPut: (entry, written) =>
        oracles.onPut(entry, digestOfPut(entry, written, this.#digest), watched),
      onCreating: (registration, creation) => oracles.onCreating(registration, creation),
      onKill: (actorId) => oracles.onKill(actorId),
      onAwaited: (request) => oracles.onAwaited(request, watched),
      onSettled: (request) => this.#seen(() => oracles.onSettled(request, watched, this.#digest)),
    });
    watchValues(values, (value, outcome) => this.#orThrow(() => oracles.onGiven(value, outcome)));
  }

  /** What is wrong with what it is given fails the task. */
  watchUserCode(process: Process, name: string, userCode: UserCode): UserCode {
    const oracles = this.#oracles;
    const digest = this.#digest;
    const by: WatchedProcess = { ...process, life: { name, node: 0, isAlive: true } };
    return new WatchedUserCode(userCode, {
      onStarted: (task) => this.#orThrow(() => oracles.onStarted(task, by, digest)),
      onEnded: (task, outcomes: readonly Outcome[]) => oracles.onEnded(task, outcomes, digest),
      onThrown: (subject) => oracles.onThrown(subject),
      onConstructing: (actor) => this.#orThrow(() => oracles.onConstructing(actor, by, digest)),
    });
  }

  /** A process has ended. */
  ended(workerId: WorkerId): void {
    this.#living.delete(workerId);
    this.#endedCount += 1;
  }

  /** Of what was spilled: perhaps it is lost. */
  readFailed(): void {
    this.#hasLostSpilled = true;
  }

  /** Throws what no call has told. */
  verify(): void {
    const error = errorOf(this.#untold.splice(0));
    if (error !== null) throw error;
  }

  #fates(): Fates {
    return {
      hasLostNode: false,
      hasLostSpilled: this.#hasLostSpilled,
      hasLostProcess: this.#endedCount > 0,
      goneWorkerCount: this.#endedCount,
      endedForMemoryCount: 0,
      isGone: (workerId) => !this.#living.has(workerId),
      isDoomed: () => false,
      isOutOfScope: () => false,
      hasBuried: () => false,
    };
  }

  #violate(error: ViolationError): void {
    if (this.#told !== null) {
      this.#told.push(error);
      return;
    }
    this.#untold.push(error);
    // The program may end without shutdown().
    process.emitWarning(error);
  }

  #seen(look: () => void): Error | null {
    const told: ViolationError[] = [];
    const before = this.#told;
    this.#told = told;
    try {
      look();
    } finally {
      this.#told = before;
    }
    return errorOf(told);
  }

  #orThrow(look: () => void): void {
    const error = this.#seen(look);
    if (error !== null) throw error;
  }
}

function isMapped(outcome: Outcome, arena: SharedArena): boolean {
  return !(outcome instanceof StoredValue) || arena.has(outcome.segment);
}

function errorOf(violations: readonly ViolationError[]): Error | null {
  const [first] = violations;
  if (first === undefined || violations.length === 1) return first ?? null;
  return new AggregateError(violations, violations.map(({ message }) => message).join("\n"));
}
