/**
 * One process of an engine world: the real core worker behind its real host and client; the program
 * that runs in it is what the world draws. A task's body is a context that acts when it is told to.
 */
import type { Config } from "#engine/common/config.ts";
import { actorIdOf, gcsAddress, type NodeId, type WorkerId } from "#engine/common/ids.ts";
import { type ActorClient } from "#engine/core-worker/actor-client.ts";
import { CoreWorker } from "#engine/core-worker/core-worker.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { Outcome, Special } from "#engine/protocol/outcome.ts";
import { FailedValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { ArenaWriter } from "#engine/services/arena-writer.ts";
import { CoreWorkerClient, PendingCall } from "#engine/services/core-worker-client.ts";
import type { Executor } from "#engine/services/executor.ts";
import type { Host } from "#engine/services/host.ts";
import { check, type GivenArgument, nameOf } from "./engine-model.ts";
import { actorSpecialOf, type Ref, refSpecial, valueBytes } from "./engine-values.ts";
import type { EngineWorld } from "./engine-world.ts";

/** Who may act: the driver's program, a running task or call, an actor's constructor. */
export class Context {
  readonly process: EngineProcess;
  readonly task: IncomingTask | null;
  readonly actor: IncomingActor | null;
  readonly refs: Ref[] = [];
  readonly actors: ActorClient[] = [];
  /** What the handles of this context count on. */
  readonly handles: ObjectEntry[] = [];
  /** Values in the arena that user code still looks at. */
  readonly views: { readonly entry: ObjectEntry; readonly name: string }[] = [];
  /** Returns of normal tasks that it submitted: what it may wait for before they have ended. */
  readonly children = new Set<string>();
  readonly awaits = new Set<Await>();
  isDeclared = false;

  constructor(process: EngineProcess, task: IncomingTask | null, actor: IncomingActor | null) {
    this.process = process;
    this.task = task;
    this.actor = actor;
  }

  get isDriver(): boolean {
    return this.task === null && this.actor === null;
  }

  get isWaiting(): boolean {
    return !this.isDriver && this.awaits.size > 0;
  }

  get depth(): number {
    if (this.task !== null) return this.task.depth + 1;
    return this.actor === null ? 0 : 1;
  }

  /** Never for what may wait for this context in turn. */
  mayAwait(name: string): boolean {
    const { model } = this.process.world;
    if (this.isDriver || this.children.has(name)) return true;
    return model.values.has(name) || model.thrown.has(name);
  }

  addRef(entry: ObjectEntry): Ref {
    const ref = { entry, name: nameOf(entry) };
    this.refs.push(ref);
    return ref;
  }

  /** What decoding does with the specials of a value. */
  revive(specials: readonly Special[]): void {
    const { core } = this.process.client;
    for (const special of specials) {
      if (special.type === "actor") {
        const actorId = actorIdOf(special.owner, special.serial);
        const actor = core.actors.clientOf(actorId, special.className, special.isDetached);
        const entry = core.handles.entryOf(actor);
        if (entry !== null) entry.localRefs += 1;
        this.addActor(actor, entry);
      } else if (special.type === "ref") {
        const entry = core.references.adopt(special.owner, special.serial, special.index);
        entry.localRefs += 1;
        this.addRef(entry);
      }
    }
  }

  /** The entry is counted for the handle. */
  addActor(actor: ActorClient, entry: ObjectEntry | null): void {
    this.actors.push(actor);
    if (entry !== null) this.handles.push(entry);
  }

  view(entry: ObjectEntry, name: string): void {
    entry.uses += 1;
    this.views.push({ entry, name });
  }

  drop(ref: Ref): void {
    this.refs.splice(this.refs.indexOf(ref), 1);
    this.process.client.dropRef(ref.entry);
  }

  dropView(): void {
    const view = this.views.pop();
    if (view === undefined) return;
    const { outcome } = view.entry;
    if (outcome instanceof StoredValue) this.process.world.checkRead(view.name, outcome);
    this.process.client.dropView(view.entry);
  }

  dropAll(): void {
    for (const ref of [...this.refs]) this.drop(ref);
    while (this.views.length > 0) this.dropView();
    for (const entry of this.handles.splice(0)) this.process.client.dropRef(entry);
    this.actors.length = 0;
  }
}

/** A call of get or wait in a context. */
export class Await extends PendingCall {
  readonly context: Context;
  readonly names: readonly string[];
  readonly neededCount: number;

  constructor(
    context: Context,
    refs: readonly Ref[],
    neededCount: number,
    options: { failsEarly: boolean; deadlineMs: number },
  ) {
    const entries = refs.map((ref) => ref.entry);
    super(entries, neededCount, options.failsEarly, options.deadlineMs);
    this.context = context;
    this.names = refs.map((ref) => ref.name);
    this.neededCount = neededCount;
  }

  override onSettled(): void {
    this.context.awaits.delete(this);
    const { process } = this.context;
    if (process.isDead) return;
    const { world } = process;
    if (this.timedOut) check(world.nowMs >= this.deadlineMs, "a call timed out too early");
    let settledCount = 0;
    let hasFailed = false;
    for (const [i, entry] of this.entries.entries()) {
      check(entry.state !== "FREED", `object ${this.names[i]} was freed while it was awaited`);
      if (entry.state === "PENDING") continue;
      settledCount += 1;
      if (entry.state === "FAILED") hasFailed = true;
      this.#read(entry, this.names[i] as string);
    }
    const isMet = settledCount >= this.neededCount || (this.failsEarly && hasFailed);
    check(isMet || this.timedOut, "a call settled before it was met");
    this.#leave();
  }

  override get task(): IncomingTask | null {
    return this.context.task;
  }

  override onTaskCancelled(): void {
    this.context.awaits.delete(this);
    this.#leave();
  }

  override onClosed(): void {
    this.context.awaits.delete(this);
  }

  #leave(): void {
    const { process, task } = this.context;
    if (!this.context.isDeclared || this.context.awaits.size > 0 || task === null) return;
    this.context.isDeclared = false;
    process.client.taskWaiting(task, false);
  }

  #read(entry: ObjectEntry, name: string): void {
    const { context } = this;
    const { world } = context.process;
    const { outcome } = entry;
    if (outcome instanceof FailedValue) {
      world.checkFailed(name, outcome);
      context.revive(outcome.cause?.specials ?? []);
      return;
    }
    context.revive(world.checkRead(name, outcome).specials);
    if (outcome instanceof StoredValue) context.view(entry, name);
  }
}

export class EngineProcess {
  readonly world: EngineWorld;
  readonly id: WorkerId;
  readonly host: Host;
  readonly client: CoreWorkerClient;
  /** Running, in the order of their start; the driver's own program is the only one that stays. */
  readonly contexts: Context[] = [];
  /** Refs that module state keeps, long after the task that had them. */
  readonly globals: Ref[] = [];
  readonly extents: ArenaExtent[] = [];
  isDead = false;
  #nextRequestId = 1;
  readonly #accepted: IncomingTask[] = [];

  constructor(
    world: EngineWorld,
    id: WorkerId,
    host: Host,
    fields: { config: Config; node: NodeId },
  ) {
    this.world = world;
    this.id = id;
    this.host = host;
    const { config, node } = fields;
    const core = new CoreWorker({ self: id, raylet: node, gcs: gcsAddress, config });
    this.client = new CoreWorkerClient({
      host,
      core,
      arena: this.#arena(),
      reclaimer: {
        watch: () => {},
        unwatch: () => {},
        remember: () => {},
        recall: () => undefined,
      },
      dropSegment: () => {},
      watchRef: () => {},
      referredTo: () => [],
      judge: () => ({ retries: world.pick(2) === 0, why: "" }),
      copyBuffers: (buffers) => this.client.putObject(buffers.length),
      forgetPeer: (peer) => world.forgetPeer(id, peer),
      keepAlive: () => {},
    });
    this.client.execute(this.#executor());
  }

  /** Asks for room for one stored value; the answer comes when the world delivers it. */
  requestExtent(): void {
    const requestId = this.#nextRequestId++;
    this.client.dispatch({ type: "allocateCall", requestId, size: valueBytes, mayWait: true });
  }

  /** Where code of a call to come finds its specials, and what the model must remember of it. */
  specialsFor(given: readonly GivenPart[]): Special[] {
    const { references } = this.client.core;
    return given.map((part) => {
      if (part.kind === "actor") {
        this.client.core.handles.entryOf(part.actor);
        return actorSpecialOf(part.actor);
      }
      if (part.kind === "ref") references.name(part.ref.entry);
      return refSpecial(part.ref, part.kind === "value");
    });
  }

  /** Takes the outcome of a context's end as the executor would. */
  finish(context: Context, outcomes: readonly Outcome[], durationMs: number): void {
    const { task } = context;
    check(task !== null, "only a task finishes");
    this.contexts.splice(this.contexts.indexOf(context), 1);
    this.client.dispatch({
      type: "taskFinished",
      task,
      durationMs,
      outcome: outcomes[0],
      outcomes: outcomes.length > 1 ? outcomes.slice(1) : null,
    });
  }

  #arena(): ArenaWriter {
    const onAllocated: ArenaWriter["onAllocated"] = ({ segment, offset, error }) => {
      if (error === null) this.extents.push({ segment, offset, size: valueBytes });
    };
    return { onAllocated } as ArenaWriter;
  }

  #executor(): Executor {
    const sink = {
      wantsTask: () => this.client.core.receiver.wantsTask(),
      accept: (task: IncomingTask) => void this.#accepted.push(task),
      runAccepted: () => {
        const accepted = this.#accepted.splice(0);
        for (const task of accepted) this.world.executor.start(this, task);
        return accepted.length > 0;
      },
      construct: (actor: IncomingActor) => this.world.executor.startConstructor(this, actor),
    };
    return sink as unknown as Executor;
  }
}

/** One argument of a call: a ref for its value, a ref inside a value, a handle. */
export type GivenPart =
  | { readonly kind: "value" | "ref"; readonly ref: Ref }
  | { readonly kind: "actor"; readonly actor: ActorClient };

export function givenOf(part: GivenPart): GivenArgument {
  if (part.kind === "actor") return { kind: "actor", actorId: part.actor.actorId };
  return { kind: part.kind, name: part.ref.name };
}
