/**
 * One object as this process knows it: its own (it is the owner) or borrowed. A JS ref points
 * straight at its entry, so the common path looks nothing up.
 *
 * Kept while anything counts: localRefs (JS refs), uses (arguments of unfinished tasks, values that
 * contain it, live views on its bytes), or holders (other processes, at the owner only).
 */
import type { WorkerId } from "#engine/common/ids.ts";
import type { Encoded, Outcome } from "#engine/protocol/outcome.ts";
import type { TaskTemplate } from "#engine/common/task-spec.ts";
import type { GetRequest } from "./memory-store.ts";
import type { PushStream } from "./push-stream.ts";
import type { TransferredBuffers } from "./transferred-buffers.ts";

/** PENDING → AVAILABLE | FAILED → FREED; final for everybody who looks. */
export type EntryState = "PENDING" | "AVAILABLE" | "FAILED" | "FREED";

export type Waiter = GetRequest | TaskRecord | RemoteWaiter;

/** A borrower in another process that subscribed. */
export class RemoteWaiter {
  readonly borrower: WorkerId;

  constructor(borrower: WorkerId) {
    this.borrower = borrower;
  }
}

export class ObjectEntry {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  state: EntryState = "PENDING";
  outcome: Outcome = undefined;
  localRefs = 0;
  uses = 0;
  waiters: Waiter[] | Waiter | null = null;
  /**
   * The one JS ref to an entry of ours that nobody needs to be told about when it is collected: no
   * bytes to free, no other process to tell. Set while PENDING, so that it can be watched if the
   * outcome needs it.
   */
  unwatched: object | null = null;
  /** Owner: how many holds each other process has on it. Null until the first. */
  holders: Map<WorkerId, number> | null = null;
  /** Owner: listed under its name, since a value names it. Borrower: one hold on it is ours. */
  registered = false;
  /** Borrower: that hold is at the owner, or will be before anything of ours that may end it. */
  held = false;
  /** Borrower: the owner has been asked for the value. */
  subscribed = false;

  constructor(owner: WorkerId, serial: number, index: number) {
    this.owner = owner;
    this.serial = serial;
    this.index = index;
  }
}

/** A return of a task after its first; cancelling it means its task. */
export class LaterReturn extends ObjectEntry {
  readonly task: TaskRecord;

  constructor(task: TaskRecord, index: number) {
    super(task.owner, task.serial, index);
    this.task = task;
  }
}

/** `unresolvedCount` of a task that was cancelled. */
const cancelled = -1;
/** `seq` of a task that stands in a queue of its owner. */
export const queuedSeq = -1;

/** A pending call, merged with its first return: a hundred thousand of them wait at once. */
export class TaskRecord extends ObjectEntry {
  readonly template: TaskTemplate;
  readonly depth: number;
  args: Encoded;
  /**
   * By position of args.specials: the entry of a ref, null for other specials; null if there are
   * none.
   */
  refs: (ObjectEntry | null)[] | null;
  /** Returns after the first; null unless numReturns ≠ 1. */
  moreReturns: ObjectEntry[] | null = null;
  /** Null if none were transferred with the call. */
  transferred: TransferredBuffers | null = null;
  /** The actor it is for, else null. */
  actor: object | null;
  /** Arguments without a value. */
  unresolvedCount = 0;
  /** Of the run that is to come or goes on, from 0. */
  attempt = 0;
  /** Of the budget of failures of the system and exceptions. */
  retriesUsed = 0;
  outOfMemoryCount = 0;
  stream: PushStream | null = null;
  /** On its stream. */
  seq = 0;

  constructor(fields: {
    owner: WorkerId;
    serial: number;
    template: TaskTemplate;
    depth: number;
    args: Encoded;
    refs: (ObjectEntry | null)[] | null;
    actor: object | null;
  }) {
    super(fields.owner, fields.serial, 1);
    this.template = fields.template;
    this.depth = fields.depth;
    this.args = fields.args;
    this.refs = fields.refs;
    this.actor = fields.actor;
  }

  /** Its refs have ended; what an execution that had begun gives later is refused. */
  get isCancelled(): boolean {
    return this.unresolvedCount === cancelled;
  }

  /** In a TaskQueue, which counts those that wait. */
  get isQueued(): boolean {
    return this.seq === queuedSeq;
  }

  markCancelled(): void {
    this.unresolvedCount = cancelled;
  }
}

/** Whether anything in this process counts on it. */
export function isUsed({ localRefs, uses }: ObjectEntry): boolean {
  return localRefs > 0 || uses > 0;
}

/** The task that makes the object, here at its owner; undefined for one that was put. */
export function taskOf(entry: ObjectEntry): TaskRecord | undefined {
  if (entry instanceof TaskRecord) return entry;
  return entry instanceof LaterReturn ? entry.task : undefined;
}

export function isSettled(entry: ObjectEntry): boolean {
  return entry.state !== "PENDING";
}
