/**
 * The face of a core worker to the code of its process: calls in, settlements out. Plain and
 * synchronous; workers load it, so nothing of Effect is here.
 */
import type { ActorId, WorkerId } from "#engine/common/ids.ts";
import { actorIdOf } from "#engine/common/ids.ts";
import type { ExceptionMatcher } from "#engine/common/task-spec.ts";
import { ActorClient, type CreationSpec } from "#engine/core-worker/actor-client.ts";
import type {
  CoreWorkerEvent,
  CoreWorkerInstruction,
  JudgeException,
  StatePage,
} from "#engine/core-worker/calls.ts";
import { ChildTasks } from "#engine/core-worker/child-tasks.ts";
import type { CoreWorker } from "#engine/core-worker/core-worker.ts";
import type { CopyUser, LocalCopy } from "#engine/core-worker/local-copies.ts";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import { LaterReturn, ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { TransferredBuffers } from "#engine/core-worker/transferred-buffers.ts";
import type { ActorRegistration } from "#engine/protocol/gcs.ts";
import type { Encoded, FailedValue, Outcome } from "#engine/protocol/outcome.ts";
import type { ClusterStateKind, CollectState, NodeStateKind } from "#engine/protocol/state.ts";
import type { Reclaimer } from "#engine/protocol/reclaimer.ts";
import type { ArenaWriter } from "./arena-writer.ts";
import { DroppedUses } from "./dropped-uses.ts";
import type { Executor } from "./executor.ts";
import type { WrittenFile } from "./fallback-files.ts";
import type { Dispatch, Host } from "./host.ts";
import { type FoundActor, OpenRequests } from "./open-requests.ts";
import { type CallShape, TaskTemplates } from "./task-templates.ts";

/** A call of get or wait that is told when it is settled, or its time is up. */
export abstract class PendingCall extends GetRequest {
  abstract onSettled(): void;
  /** It never will be: the runtime has ended. */
  abstract onClosed(error: Error): void;

  /** The task that waits, if one does. */
  get task(): IncomingTask | null {
    return null;
  }

  /** That task was cancelled: nothing is told to it any more but this. */
  onTaskCancelled(): void {}
}

/** A call as the api has encoded it. */
export interface NewCall {
  readonly args: Encoded;
  readonly refs: (ObjectEntry | null)[] | null;
  /** Of the arguments, when memory had no room for them. */
  readonly written: WrittenFile | null;
  /** That were transferred with it, and belong to it now. */
  readonly moved?: readonly ArrayBuffer[] | null;
  readonly depth: number;
  /** The task that makes it; null for the driver. */
  readonly parent: IncomingTask | null;
}

/** What a cancel may do: end a thread, and end the calls of what it ends. */
export interface CancelReach {
  readonly force: boolean;
  readonly recursive: boolean;
}

export interface CreatedActor {
  readonly actor: ActorClient;
  /** Whose count is raised for the first handle; null if nobody counts its handles. */
  readonly entry: ObjectEntry | null;
}

export interface Judgement {
  readonly retries: boolean;
  /** What went wrong in judging, for a person, or "". */
  readonly why: string;
}

type MaybeLater<T> = T | Promise<T>;

export interface ClientOptions {
  readonly host: Host;
  readonly core: CoreWorker;
  readonly arena: ArenaWriter;
  readonly reclaimer: Reclaimer;
  /** A segment of one object: no thread needs it mapped any more. */
  readonly dropSegment: (segment: number) => void;
  /** Tell `dropRef` when the ref is collected. */
  readonly watchRef: (ref: object, entry: ObjectEntry) => void;
  /** What JS refs keep; throws, with the reason, where that cannot be known. */
  readonly referredTo: (client: CoreWorkerClient) => Iterable<ObjectEntry>;
  /** Whether what a task threw is one of those for which it runs again. */
  readonly judge: (matcher: ExceptionMatcher, failed: FailedValue) => MaybeLater<Judgement>;
  /** Puts them, as a list. */
  readonly copyBuffers: (buffers: readonly ArrayBuffer[]) => ObjectEntry | FailedValue;
  /** A dead peer's links may go. */
  readonly forgetPeer: (workerId: WorkerId) => void;
  /** True: something will still settle, the process must not end. */
  readonly keepAlive: (needed: boolean) => void;
}

export class CoreWorkerClient {
  readonly workerId: WorkerId;
  readonly host: Host;
  readonly core: CoreWorker;
  readonly arena: ArenaWriter;
  readonly reclaimer: Reclaimer;
  /** What the api knows of its process. A weak table would keep it until a full collection. */
  process: object | null = null;
  readonly #options: ClientOptions;
  readonly #dispatch: Dispatch<CoreWorkerEvent>;
  readonly #templates = new TaskTemplates();
  readonly #requests = new OpenRequests();
  #executor: Executor | null = null;
  #isKeptAlive = false;
  #isClosed = false;
  readonly #dropped: DroppedUses;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.host = options.host;
    this.core = options.core;
    this.arena = options.arena;
    this.reclaimer = options.reclaimer;
    this.workerId = options.core.context.self;
    this.#dropped = new DroppedUses(
      (event) => this.dispatch(event),
      (run) => this.host.soon(run),
    );
    const perform = (instruction: CoreWorkerInstruction): void => this.#perform(instruction);
    this.#dispatch = this.host.attach(this.workerId, this.core, perform);
    this.host.afterDrain(() => this.#updateKeepAlive());
  }

  /** This process also runs tasks. */
  execute(executor: Executor): void {
    this.#executor = executor;
    this.host.execute(executor);
  }

  dispatch(event: CoreWorkerEvent, nowMs?: number): void {
    this.#dispatch(event, nowMs);
  }

  // ------------------------------------------------------------ tasks and actors

  submitTask(shape: CallShape, call: NewCall): TaskRecord {
    const task = this.#newTask(shape, call, null);
    if (call.parent !== null && !this.#adopt(call.parent, task)) return task;
    this.dispatch({ type: "submitTask", task });
    return task;
  }

  submitActorTask(actor: ActorClient, shape: CallShape, call: NewCall): TaskRecord {
    const task = this.#newTask(shape, call, actor);
    if (call.parent !== null && !this.#adopt(call.parent, task)) return task;
    this.dispatch({ type: "submitActorTask", actor, task });
    return task;
  }

  /** A call whose signal was aborted before: nothing is submitted, its refs have ended. */
  submitAborted(actor: ActorClient | null, shape: CallShape, call: NewCall): TaskRecord {
    const task = this.#newTask(shape, call, actor);
    const cause = "the signal in its options was aborted";
    this.dispatch({ type: "submitCancelled", task, cause });
    return task;
  }

  /** Resolves when the owner of the object has taken it; true if it was refused (force, actor). */
  cancel(entry: ObjectEntry, options: CancelReach): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    return this.#requests.cancel((requestId) => {
      this.dispatch({ type: "cancelCall", requestId, entry, ...options });
    });
  }

  abortCalls(tasks: readonly TaskRecord[]): void {
    this.dispatch({ type: "abortCalls", tasks });
  }

  createActor(
    shape: CallShape,
    call: Omit<NewCall, "parent">,
    options: { registration: Omit<ActorRegistration, "actorId">; spec: CreationSpec },
  ): CreatedActor {
    const serial = this.core.serials.take();
    const actorId = actorIdOf(this.workerId, serial);
    const { className, detached, getIfExists } = options.registration;
    const task = new TaskRecord({
      owner: this.workerId,
      serial,
      template: this.#templates.of(shape),
      actor: null,
      args: call.args,
      refs: call.refs,
      depth: call.depth,
    });
    this.#tellWritten(task, call);
    const registration = { actorId, ...options.registration };
    const creation = { task, spec: options.spec };
    // What is found may be one whose handles count.
    const isDetached = detached && !getIfExists;
    const fields = { actorId, className, isDetached, registration, creation };
    const actor = new ActorClient(fields);
    task.actor = actor;
    const entry = this.core.handles.open(actor);
    if (entry !== null) entry.localRefs = 1;
    this.dispatch({ type: "createActorCall", actor });
    return { actor, entry };
  }

  /** Its actors end with the runtime: nobody is left to kill. */
  killActor(actorId: ActorId, reason: string): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return this.#requests.kill((requestId) => {
      this.dispatch({ type: "killActorCall", requestId, actorId, reason });
    });
  }

  getActorByName(name: string, namespace: string): Promise<FoundActor> {
    return this.#requests.find((requestId) => {
      this.dispatch({ type: "getActorByNameCall", requestId, name, namespace });
    });
  }

  /** Of the processes of this node. */
  listState(kind: NodeStateKind, limit: number): Promise<readonly StatePage[]> {
    return this.#requests.list((requestId) => {
      this.dispatch({ type: "listStateCall", requestId, kind, limit });
    });
  }

  /** Of the GCS. */
  listCluster(kind: ClusterStateKind, limit: number): Promise<readonly StatePage[]> {
    return this.#requests.list((requestId) => {
      this.dispatch({ type: "listClusterCall", requestId, kind, limit });
    });
  }

  // ------------------------------------------------------------ objects

  /**
   * The entry of a value that lies where `outcome` says, or in a file; one JS ref to it is being
   * made.
   */
  putObject(outcome: Outcome, written: WrittenFile | null = null): ObjectEntry {
    const entry = new ObjectEntry(this.workerId, this.core.serials.take(), 0);
    entry.outcome = outcome;
    entry.state = "AVAILABLE";
    entry.localRefs = 1;
    this.dispatch({ type: "putObject", entry, place: written?.place ?? null });
    return entry;
  }

  /** Settles through `onSettled`, later or at once. Then nothing changes, and it is no event. */
  awaitObjects(request: PendingCall): void {
    if (this.core.isMet(request) && !this.host.isClosed) {
      request.settled = true;
      request.onSettled();
    } else this.dispatch({ type: "awaitObjects", request });
  }

  deadlineOf(timeoutMs: number | undefined): number {
    return timeoutMs === undefined ? Infinity : this.host.nowMs + timeoutMs;
  }

  /** The Reclaimer: JS refs, handles and views that are gone. Batched, for nothing waits for it. */
  dropRef(entry: ObjectEntry): void {
    this.#dropped.addRef(entry);
  }

  dropView(entry: ObjectEntry): void {
    this.#dropped.addView(entry);
  }

  /** A view on a copy that was pulled: of another node, or of an owner there. */
  dropCopy(copy: LocalCopy, user: CopyUser): void {
    this.#dropped.addCopy(copy, user);
  }

  /** Asks for room in the arena: what was let go of in this turn may be just that room. */
  requestRoom(requestId: number, size: number, mayWait: boolean): void {
    this.#dropped.tell();
    this.dispatch({ type: "allocateCall", requestId, size, mayWait });
  }

  taskWaiting(task: IncomingTask, waiting: boolean): void {
    this.dispatch({ type: "taskWaiting", task, waiting });
  }

  /** The runtime has ended: whoever still waits is told so. */
  close(error: Error): void {
    this.#isClosed = true;
    for (const request of [...this.core.waitingRequests]) (request as PendingCall).onClosed(error);
    this.#requests.close(error);
  }

  // ------------------------------------------------------------ inside

  /** False when the caller was cancelled with all that it calls: the call is over already. */
  #adopt(parent: IncomingTask, task: TaskRecord): boolean {
    if (parent.refusesCalls) {
      const cause = "the task that called it was cancelled";
      this.dispatch({ type: "submitCancelled", task, cause });
      return false;
    }
    parent.children ??= new ChildTasks();
    parent.children.add(task);
    return true;
  }

  /** User code has a turn of its own for what it does about it. */
  #abortSoon(task: IncomingTask): void {
    this.host.soon(() => {
      if (!this.core.receiver.isRunning(task)) return;
      for (const request of [...this.core.waitingRequests] as PendingCall[]) {
        if (request.task !== task) continue;
        this.dispatch({ type: "abandonAwait", request });
        request.onTaskCancelled();
      }
      task.onAbort?.();
    });
  }

  #newTask(shape: CallShape, call: NewCall, actor: ActorClient | null): TaskRecord {
    const task = new TaskRecord({
      owner: this.workerId,
      serial: this.core.serials.take(),
      template: this.#templates.of(shape),
      depth: call.depth,
      args: call.args,
      refs: call.refs,
      actor,
    });
    task.localRefs = 1;
    const { moved = null } = call;
    if (moved !== null) task.transferred = new TransferredBuffers(moved);
    const { numReturns } = shape.definition;
    if (numReturns > 1) {
      task.moreReturns = [];
      for (let index = 2; index <= numReturns; index++) {
        const entry = new LaterReturn(task, index);
        entry.localRefs = 1;
        task.moreReturns.push(entry);
      }
    }
    this.#tellWritten(task, call);
    return task;
  }

  #tellWritten(task: TaskRecord, { written }: Pick<NewCall, "written">): void {
    if (written === null) return;
    this.dispatch({ type: "argumentsWritten", task, place: written.place });
  }

  #perform(instruction: CoreWorkerInstruction): void {
    switch (instruction.type) {
      case "settle":
        return (instruction as PendingCall).onSettled();
      case "releaseLater":
        return this.dispatch({ type: "releaseUses", entries: instruction.entries });
      case "runTask":
        return this.#executor?.accept(instruction.task);
      case "runConstructor":
        return this.#executor?.construct(instruction.actor);
      case "abortTask":
        return this.#abortSoon(instruction.task);
      case "cancelled":
        return this.#requests.onCancelled(instruction.requestId, instruction.refused);
      case "judgeException":
        return this.#judge(instruction);
      case "allocated":
        return this.arena.onAllocated(instruction);
      case "dropSegment":
        return this.#options.dropSegment(instruction.segment);
      case "watchRef":
        return this.#options.watchRef(instruction.ref, instruction.entry);
      case "hurryCollection":
        return this.reclaimer.hurry?.();
      case "moveBuffers":
        return this.host.moveBuffers(instruction.to, instruction.moved);
      case "copyBuffers": {
        const { asked, buffers } = instruction;
        const stored = this.#options.copyBuffers(buffers);
        return this.dispatch({ type: "buffersStored", asked, stored });
      }
      case "forgetPeer":
        return this.#options.forgetPeer(instruction.workerId);
      case "listed":
        return this.#requests.onListed(instruction.requestId, instruction.page);
      case "listRefs":
        return this.#listRefs(instruction.request);
      case "killed":
        return this.#requests.onKilled(instruction.requestId);
      case "found": {
        const { requestId, actorId, className, detached } = instruction;
        return this.#requests.onFound(requestId, { actorId, className, detached });
      }
    }
  }

  #judge({ task, failed }: JudgeException): void {
    const { retryExceptions } = task.template.retry;
    const tell = ({ retries, why }: Judgement): void =>
      this.dispatch({ type: "exceptionJudged", task, retries, why });
    if (typeof retryExceptions === "boolean") return tell({ retries: retryExceptions, why: "" });
    const judgement = this.#options.judge(retryExceptions, failed);
    if (judgement instanceof Promise) void judgement.then(tell);
    else tell(judgement);
  }

  #listRefs(request: CollectState): void {
    let entries: Iterable<ObjectEntry> = [];
    let note = "";
    try {
      entries = this.#options.referredTo(this);
    } catch (error) {
      note = `small values that only a ref keeps are left out: ${String(error)}`;
    }
    this.dispatch({ type: "refsListed", request, entries, note });
  }

  #updateKeepAlive(): void {
    const needed = this.core.isWaiting || this.#requests.areOpen;
    if (needed === this.#isKeptAlive) return;
    this.#isKeptAlive = needed;
    this.#options.keepAlive(needed);
  }
}
