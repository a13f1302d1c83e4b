/** A core worker with an outbox, a hand-moved clock, and checked invariants after every event. */
import { type Config, defaultConfig } from "#engine/common/config.ts";
import { engineError } from "#engine/common/error-type.ts";
import { type Address, gcsAddress, type WorkerId } from "#engine/common/ids.ts";
import { noRetries, type RetryPolicy, type TaskTemplate } from "#engine/common/task-spec.ts";
import type { CoreWorkerEvent, CoreWorkerInstruction } from "#engine/core-worker/calls.ts";
import { CoreWorker } from "#engine/core-worker/core-worker.ts";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import { ObjectEntry, TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import {
  type Encoded,
  InlineValue,
  type Outcome,
  type RefSpecial,
  type Special,
} from "#engine/protocol/outcome.ts";
import type { ObjectName, PushTask, TaskReply } from "#engine/protocol/task.ts";
import { driver, nodeId, resources } from "./raylet-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";

export function template(functionNumber = 1, numReturns = 1, retry = noRetries): TaskTemplate {
  const taskName = `work${functionNumber}`;
  return {
    definition: {
      descriptor: null,
      method: "",
      taskName,
      numReturns,
      resources: resources({ CPU: 1 }),
      timeoutMs: 0,
    },
    functionNumber,
    schedulingKey: taskName,
    strategy: { type: "default" },
    retry,
  };
}

export function inline(...specials: Special[]): InlineValue {
  return new InlineValue(new Uint8Array([1, 2, 3]), 0, 3, specials);
}

export function refTo({ owner, serial, index }: ObjectEntry, topLevel = false): RefSpecial {
  return { type: "ref", owner, serial, index, topLevel };
}

export const crashed = engineError("WORKER_CRASHED", "it crashed");

export class CoreWorkerHarness {
  readonly out = new RecordingOutbox<CoreWorkerInstruction>();
  readonly core: CoreWorker;
  readonly self: WorkerId;
  nowMs = 0;

  constructor(options: { self?: WorkerId; config?: Partial<Config> } = {}) {
    this.self = options.self ?? driver;
    const config = { ...defaultConfig, ...options.config };
    this.core = new CoreWorker({ self: this.self, raylet: nodeId, gcs: gcsAddress, config });
  }

  /** Of many thousand objects each look takes long: who makes them may look at the end. */
  looksAfterEach = true;

  handle(event: CoreWorkerEvent): void {
    this.core.handle(event, this.nowMs, this.out);
    if (this.looksAfterEach) this.core.checkInvariants();
  }

  /** Forgets what was recorded before the event. */
  only(event: CoreWorkerEvent): RecordingOutbox<CoreWorkerInstruction> {
    this.out.clear();
    this.handle(event);
    return this.out;
  }

  instructions<T extends CoreWorkerInstruction["type"]>(type: T) {
    type Wanted = Extract<CoreWorkerInstruction, { type: T }>;
    return this.out.instructions.filter((one): one is Wanted => one.type === type);
  }

  // ------------------------------------------------------------ as an owner

  /** As the api does: the entries of the arguments by position, one JS ref to each return. */
  task(
    args: readonly ObjectEntry[] = [],
    options: { nested?: boolean; shape?: TaskTemplate; actor?: object } = {},
  ): TaskRecord {
    const { nested = false, shape = template(), actor = null } = options;
    if (nested) for (const entry of args) this.core.references.name(entry);
    const specials = args.map((entry) => refTo(entry, !nested));
    const task = new TaskRecord({
      owner: this.self,
      serial: this.core.serials.take(),
      template: shape,
      depth: 0,
      args: inline(...specials),
      refs: args.length === 0 ? null : [...args],
      actor,
    });
    task.localRefs = 1;
    const { numReturns } = shape.definition;
    if (numReturns > 1) {
      task.moreReturns = [];
      for (let index = 2; index <= numReturns; index++) {
        const entry = new ObjectEntry(this.self, task.serial, index);
        entry.localRefs = 1;
        task.moreReturns.push(entry);
      }
    }
    return task;
  }

  submit(args: readonly ObjectEntry[] = [], options: { nested?: boolean } = {}): TaskRecord {
    const task = this.task(args, options);
    this.handle({ type: "submitTask", task });
    return task;
  }

  /** A task that may run again. */
  submitRetriable(retry: Partial<RetryPolicy>, args: readonly ObjectEntry[] = []): TaskRecord {
    const shape = template(1, 1, { maxRetries: 3, retryExceptions: false, ...retry });
    const task = this.task(args, { shape });
    this.handle({ type: "submitTask", task });
    return task;
  }

  /** The worker of the lease dies with all that it had started. */
  revoke(leaseId = this.out.last("pushTask").stream, error = crashed): void {
    this.handle({ type: "leaseRevoked", from: nodeId, leaseId, error });
  }

  put(outcome: Outcome = 1): ObjectEntry {
    const entry = new ObjectEntry(this.self, this.core.serials.take(), 0);
    entry.outcome = outcome;
    entry.state = "AVAILABLE";
    entry.localRefs = 1;
    this.handle({ type: "putObject", entry, place: null });
    return entry;
  }

  /** A value that names the entries, as encoding one makes it. */
  naming(...entries: ObjectEntry[]): InlineValue {
    for (const entry of entries) this.core.references.name(entry);
    return inline(...entries.map((entry) => refTo(entry)));
  }

  drop(...entries: ObjectEntry[]): void {
    this.handle({ type: "removeRefs", entries });
  }

  grant(workerId: WorkerId, leaseId = this.out.last("requestWorkerLease").leaseId): number {
    this.handle({ type: "leaseGranted", from: nodeId, leaseId, workerId, gpuIds: [] });
    return leaseId;
  }

  /** The executor's answer to a push, as the last one sent if none is given. */
  reply(outcome: Outcome, fields: Partial<TaskReply> & { to?: PushTask; by?: Address } = {}): void {
    const { to = this.out.last("pushTask"), by, ...rest } = fields;
    const pushed = this.out.sent.find((sent) => sent.message === to);
    this.handle({
      type: "taskReply",
      from: by ?? pushed?.to ?? driver,
      stream: to.stream,
      seq: to.seq,
      durationMs: 1,
      outcome,
      outcomes: null,
      keptRefs: null,
      holds: null,
      ...rest,
    });
  }

  get(...entries: ObjectEntry[]): GetRequest {
    return this.wait(entries, entries.length, true);
  }

  wait(
    entries: readonly ObjectEntry[],
    neededCount: number,
    failsEarly = false,
    deadlineMs = Infinity,
  ): GetRequest {
    const request = new GetRequest(entries, neededCount, failsEarly, deadlineMs);
    this.handle({ type: "awaitObjects", request });
    return request;
  }

  died(workerId: WorkerId): void {
    this.handle({ type: "workerDied", from: nodeId, workerId, error: crashed });
  }

  // ------------------------------------------------------------ as a borrower and executor

  /** A JS ref to an object that a value named. */
  adopt(owner: WorkerId, name: ObjectName): ObjectEntry {
    const entry = this.core.references.adopt(owner, name.serial, name.index);
    entry.localRefs += 1;
    return entry;
  }

  push(
    from: WorkerId,
    fields: {
      seq?: number;
      stream?: number;
      args?: Encoded;
      values?: Outcome[];
      holds?: HeldRef[];
      hasBuffers?: boolean;
    } = {},
  ) {
    const { seq = 0, stream = 1, args = inline(), values = null, holds = null } = fields;
    const { hasBuffers = false } = fields;
    this.handle({
      type: "pushTask",
      from,
      stream,
      seq,
      serial: 1 + seq,
      attempt: 0,
      depth: 0,
      functionNumber: 1,
      definition: template().definition,
      args,
      values,
      gpuIds: null,
      holds,
      hasBuffers,
    });
    return this.instructions("runTask").at(-1)?.task;
  }
}
