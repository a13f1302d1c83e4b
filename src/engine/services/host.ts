/**
 * The pump of one thread: takes one event → `handle` → carries out all that was asked → the next.
 *
 * Messages between machines of this thread go through the inbox, so that a laptop and a cluster run
 * the same path. User code never runs inside a drain: what it submits is handled at once.
 */
import { assert } from "#engine/common/assert.ts";
import { Deque } from "#engine/common/deque.ts";
import type { Address } from "#engine/common/ids.ts";
import { deadline, type Machine, type Outbox } from "#engine/protocol/machine.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { MovedBuffers, Transport, TransportReceiver } from "#engine/protocol/transport.ts";
import { LocalTasks } from "./local-tasks.ts";

/** Time one turn may hold the event loop outside user code. */
const turnBudgetMs = 5;
/** Control frames taken between two looks at the clock; a task may be long, so one look a task. */
const framesPerLook = 64;
/** Then user code has its turn: what it submits keeps the workers busy while the rest is read. */
const framesPerTurn = 192;

export interface HostClock {
  nowMs(): number;
  /**
   * Calls back once, no later than asked for as far as the loop allows; the newest call replaces
   * the last.
   */
  wakeAt(atMs: number, wake: () => void): void;
  /** Calls back in a turn of its own. */
  soon(wake: () => void): void;
}

/** What a host needs from the executor side of a core worker. */
export interface TaskSink {
  wantsTask(): boolean;
  /**
   * Starts what has been accepted; the bytes of its message are valid until this returns. True if
   * there was any.
   */
  runAccepted(): boolean;
}

/** `nowMs`: the time, from who has just looked at the clock. */
export type Dispatch<E> = (event: E, nowMs?: number) => void;

interface Attached {
  readonly address: Address;
  readonly machine: Machine<never, never>;
  readonly outbox: Outbox<never>;
  readonly perform: (instruction: never) => void;
  readonly instructions: Deque<unknown>;
  /** It has handled something since its deadline was asked for. */
  isTouched: boolean;
}

export class Host implements TransportReceiver {
  readonly #clock: HostClock;
  readonly #checkInvariants: boolean;
  readonly #attached = new Map<Address, Attached>();
  readonly #expected = new Map<Address, Message[]>();
  readonly #inbox = new Deque<Attached>();
  readonly #events = new Deque<unknown>();
  /** Only these may have another deadline than before. */
  readonly #touched = new Deque<Attached>();
  readonly #localTasks = new LocalTasks();
  #transport: Transport | null = null;
  #tasks: TaskSink | null = null;
  /** Called when a drain has ended: the place to look at what changed. */
  #onDrained: () => void = () => {};
  /** Called when a drain outside the pump has ended: a task may have made room for the next. */
  #onIdleWork: () => void = () => {};
  #draining = false;
  #pumping = false;
  #pumpIsDue = false;
  #closed = false;
  #armedMs = Infinity;
  /** The time for all frames of one look, until user code runs. */
  #lookMs: number | null = null;

  constructor(clock: HostClock, checkInvariants: boolean) {
    this.#clock = clock;
    this.#checkInvariants = checkInvariants;
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** In a turn of its own, on this process's clock. */
  soon(callback: () => void): void {
    this.#clock.soon(callback);
  }

  connect(transport: Transport): void {
    this.#transport = transport;
  }

  execute(tasks: TaskSink): void {
    this.#tasks = tasks;
  }

  afterDrain(callback: () => void): void {
    this.#onDrained = callback;
  }

  onIdleWork(callback: () => void): void {
    this.#onIdleWork = callback;
  }

  wantsTask(): boolean {
    return this.#tasks?.wantsTask() ?? false;
  }

  /** Returns a `dispatch` to this machine. */
  attach<E, I>(
    address: Address,
    machine: Machine<E, I>,
    perform: (instruction: I) => void,
  ): Dispatch<E> {
    assert(!this.#attached.has(address), `one machine per address: ${address}`);
    const instructions = new Deque<unknown>();
    const attached: Attached = {
      address,
      machine: machine as unknown as Machine<never, never>,
      outbox: this.#outboxOf(instructions),
      perform: perform as (instruction: never) => void,
      instructions,
      isTouched: false,
    };
    this.#attached.set(address, attached);
    this.#touch(attached);
    const kept = this.#expected.get(address) ?? [];
    this.#expected.delete(address);
    for (const message of kept) this.dispatch(address, message);
    return (event, nowMs) => this.#dispatch(attached, event, nowMs ?? this.#lookMs);
  }

  /** Machines that will be attached soon: what is sent to them until then is kept, in order. */
  expect(addresses: readonly Address[]): void {
    for (const address of addresses) this.#expected.set(address, []);
  }

  /**
   * A call of the api or a completion: handled, with all that follows on this thread, before it
   * returns.
   */
  dispatch(address: Address, event: unknown): void {
    const target = this.#attached.get(address);
    if (target !== undefined) this.#dispatch(target, event, this.#lookMs);
  }

  #dispatch(target: Attached, event: unknown, nowMs: number | null): void {
    if (this.#closed) return;
    if (!this.#draining) {
      this.#drain(target, event, nowMs ?? this.nowMs);
      return;
    }
    this.#inbox.push(target);
    this.#events.push(event);
  }

  /** To a machine of this node; one of this thread has them in this very drain. */
  moveBuffers(to: Address, moved: MovedBuffers): void {
    if (this.#attached.has(to)) this.dispatch(to, { type: "buffersMoved", ...moved });
    else if (!this.#closed) this.#transport?.moveBuffers(to, moved);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** A process ends: nothing is handled or sent any more. */
  close(): void {
    this.#closed = true;
  }

  // ------------------------------------------------------------ from the transport

  onMessage(to: Address, message: Message): void {
    this.dispatch(to, message);
    // Not only with its frame: one that waited for arguments starts with whatever brings the last.
    const lookMs = this.#lookMs;
    this.#lookMs = null;
    if (this.#tasks?.runAccepted() !== true) this.#lookMs = lookMs;
  }

  onBuffersMoved(to: Address, moved: MovedBuffers): void {
    this.dispatch(to, { type: "buffersMoved", ...moved });
    this.#tasks?.runAccepted();
  }

  onWritable(peer: Address): void {
    for (const address of this.#attached.keys()) this.dispatch(address, { type: "writable", peer });
  }

  onWork(): void {
    this.pump();
  }

  /**
   * Takes what has arrived until nothing is left or the turn is over; then goes on in a later turn.
   * True if there was anything.
   */
  pump(): boolean {
    if (this.#pumping || this.#draining || this.#closed) return false;
    this.#pumping = true;
    const startMs = this.nowMs;
    this.#lookMs = startMs;
    let worked = false;
    try {
      for (let frames = 0; this.#step(); frames += framesPerLook) {
        worked = true;
        this.#lookMs = this.nowMs;
        if (frames < framesPerTurn && this.#lookMs - startMs < turnBudgetMs) continue;
        this.#pumpSoon();
        break;
      }
    } finally {
      this.#pumping = false;
      this.#lookMs = null;
    }
    if (worked) this.#arm();
    return worked;
  }

  /** True if there was something to do. */
  #step(): boolean {
    if (this.#closed) return false;
    const worked = this.#transport?.poll(framesPerLook) ?? false;
    return this.#takeTask() || worked;
  }

  #takeTask(): boolean {
    const tasks = this.#tasks;
    if (tasks === null || !tasks.wantsTask()) return false;
    const local = this.#localTasks.take();
    if (local === undefined) return this.#transport?.pollTask() ?? false;
    this.onMessage(local.to, local.message);
    return true;
  }

  #pumpSoon(): void {
    if (this.#pumpIsDue) return;
    this.#pumpIsDue = true;
    this.#clock.soon(() => {
      this.#pumpIsDue = false;
      this.pump();
    });
  }

  #drain(first: Attached, event: unknown, nowMs: number): void {
    this.#draining = true;
    try {
      this.#handle(first, event, nowMs);
      for (let target = this.#inbox.shift(); target; target = this.#inbox.shift()) {
        this.#handle(target, this.#events.shift(), nowMs);
      }
    } finally {
      this.#draining = false;
    }
    if (!this.#pumping) this.#arm();
    // Tasks for this very thread start in a turn of their own: their owner is still running.
    if (this.#localTasks.size > 0 && !this.#pumping) this.#pumpSoon();
    this.#onDrained();
    if (!this.#pumping) this.#onIdleWork();
  }

  #handle(target: Attached, event: unknown, nowMs: number): void {
    const { machine, instructions } = target;
    this.#touch(target);
    machine.handle(event as never, nowMs, target.outbox);
    for (let asked = instructions.shift(); asked; asked = instructions.shift()) {
      target.perform(asked as never);
    }
    if (this.#checkInvariants) machine.checkInvariants();
  }

  #touch(target: Attached): void {
    if (target.isTouched) return;
    target.isTouched = true;
    this.#touched.push(target);
  }

  /** One timer a host, set anew only when something is due earlier. */
  #arm(): void {
    let nextMs = Infinity;
    for (let target = this.#touched.shift(); target; target = this.#touched.shift()) {
      target.isTouched = false;
      const atMs = target.machine.nextDeadlineMs();
      if (atMs < nextMs) nextMs = atMs;
    }
    if (nextMs >= this.#armedMs) return;
    this.#armedMs = nextMs;
    this.#clock.wakeAt(nextMs, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#armedMs = Infinity;
    const nowMs = this.#clock.nowMs();
    for (const target of this.#attached.values()) this.#touch(target);
    for (const target of this.#attached.values()) {
      if (target.machine.nextDeadlineMs() <= nowMs) this.dispatch(target.address, deadline);
    }
    this.#arm();
  }

  #outboxOf(instructions: Deque<unknown>): Outbox<never> {
    return {
      send: (to, message) => this.#send(to, message),
      sendTask: (to, message) => this.#sendTask(to, message),
      retract: (to, position) =>
        this.#attached.has(to)
          ? this.#localTasks.retract(position)
          : (this.#transport?.retract(to, position) ?? false),
      isCongested: (to) => !this.#attached.has(to) && (this.#transport?.isCongested(to) ?? false),
      instruct: (instruction) => instructions.push(instruction),
    };
  }

  #send(to: Address, message: Message): void {
    if (this.#closed) return;
    const target = this.#attached.get(to);
    if (target !== undefined) {
      this.#inbox.push(target);
      this.#events.push(message);
      return;
    }
    const kept = this.#expected.size === 0 ? undefined : this.#expected.get(to);
    if (kept !== undefined) {
      kept.push(message);
      return;
    }
    assert(this.#transport !== null, `no way to ${to}`);
    this.#transport.send(to, message);
  }

  #sendTask(to: Address, message: PushTask): number {
    if (this.#attached.has(to)) return this.#localTasks.add(to, message);
    assert(this.#transport !== null, `no way to ${to}`);
    return this.#transport.sendTask(to, message);
  }
}
