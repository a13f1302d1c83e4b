/**
 * One endpoint as the suite sees it: sends numbered frames, takes what comes only when it is woken,
 * and looks at every byte of it. A frame's number says what its bytes must be.
 */
import { expect } from "vitest";
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import { type Encoded, InlineValue, noSpecials } from "#engine/protocol/outcome.ts";
import { ownEncoded } from "#engine/protocol/own-value.ts";
import type { MovedBuffers, Transport, TransportReceiver } from "#engine/protocol/transport.ts";

export interface SentTask {
  readonly number: number;
  readonly position: number;
  isRetracted: boolean;
}

interface Kept {
  readonly number: number;
  readonly value: Encoded;
}

export class Station implements TransportReceiver {
  readonly address: Address;
  readonly sentTasks = new Map<Address, SentTask[]>();
  /** Whose room it waits for: it was told that frames to them wait. */
  readonly waitsFor = new Set<Address>();
  /** Who has ended, and how many of their control frames had come when that was told. */
  readonly ends: { readonly peer: Address; readonly controlCount: number }[] = [];
  /** Bytes of the buffers that came, with what they came with. */
  readonly moved: { readonly from: Address; readonly seq: number; readonly bytes: number[] }[] = [];
  writableCount = 0;
  /** A thread that is busy looks at nothing. */
  reads = true;
  wantsTasks = true;
  hasEnded = false;
  /** Inside of the handler of a control frame. */
  onControl: (from: Address, number: number) => void = () => {};
  onTask: (from: Address, number: number) => void = () => {};
  #transport: Transport | null = null;
  readonly #budget: number;
  readonly #sentControl = new Map<Address, number>();
  readonly #control = new Map<Address, number[]>();
  readonly #tasks = new Map<Address, number[]>();
  readonly #kept: Kept[] = [];
  #isPumping = false;
  #takenOfPoll = 0;

  constructor(address: Address, budget: number) {
    this.address = address;
    this.#budget = budget;
  }

  connect(transport: Transport): void {
    this.#transport = transport;
  }

  get transport(): Transport {
    if (this.#transport === null) throw new Error("a station without a transport");
    return this.#transport;
  }

  // ------------------------------------------------------------ sending

  send(to: Address, sizeBytes: number): void {
    const number = (this.#sentControl.get(to) ?? 0) + 1;
    this.#sentControl.set(to, number);
    this.transport.send(to, {
      type: "taskReply",
      from: this.address,
      stream: 1,
      seq: number,
      durationMs: 0,
      outcome: valueOf(number, sizeBytes),
      outcomes: null,
      keptRefs: null,
      holds: null,
    });
  }

  sendTask(to: Address, sizeBytes: number): SentTask {
    const tasks = listOf(this.sentTasks, to);
    const number = tasks.length + 1;
    const position = this.transport.sendTask(to, {
      type: "pushTask",
      from: this.address,
      stream: 1,
      seq: number,
      serial: number,
      attempt: 0,
      depth: 0,
      functionNumber: 0,
      definition: null,
      args: valueOf(number, sizeBytes),
      values: null,
      gpuIds: null,
      holds: null,
      hasBuffers: false,
    });
    const task = { number, position, isRetracted: false };
    tasks.push(task);
    return task;
  }

  /** Those that the transport was given: the sender's from then on no more. */
  moveBuffers(to: Address, seq: number, byteLists: readonly (readonly number[])[]): ArrayBuffer[] {
    const buffers = byteLists.map((bytes) => Uint8Array.from(bytes).buffer);
    this.transport.moveBuffers(to, {
      from: this.address as WorkerId,
      serial: seq,
      stream: 1,
      seq,
      buffers,
    });
    return buffers;
  }

  retract(to: Address, task: SentTask): boolean {
    const isRetracted = this.transport.retract(to, task.position);
    if (isRetracted) task.isRetracted = true;
    return isRetracted;
  }

  /** As whoever has something optional to send: waits when there is no room. */
  asksForRoom(to: Address): boolean {
    if (!this.transport.isCongested(to)) return true;
    this.waitsFor.add(to);
    return false;
  }

  sentControlTo(to: Address): number[] {
    return Array.from({ length: this.#sentControl.get(to) ?? 0 }, (_, i) => i + 1);
  }

  /** Those that were not taken back. */
  sentTasksTo(to: Address): number[] {
    const tasks = listOf(this.sentTasks, to).filter((task) => !task.isRetracted);
    return tasks.map((task) => task.number);
  }

  // ------------------------------------------------------------ receiving

  controlFrom(from: Address): number[] {
    return listOf(this.#control, from);
  }

  tasksFrom(from: Address): number[] {
    return listOf(this.#tasks, from);
  }

  /** Takes all there is; true if there was anything. */
  pump(): boolean {
    if (!this.reads || this.hasEnded || this.#isPumping) return false;
    this.#isPumping = true;
    let hasWorked = false;
    try {
      while (this.#look()) hasWorked = true;
    } finally {
      this.#isPumping = false;
    }
    return hasWorked;
  }

  onMessage(to: Address, message: Message): void {
    expect(this.hasEnded).toBe(false);
    expect(to).toBe(this.address);
    if (message.type === "pushTask") {
      this.tasksFrom(message.from).push(message.seq);
      this.onTask(message.from, message.seq);
      this.#keep(message.seq, message.args);
    } else {
      expect(message.type).toBe("taskReply");
      if (message.type !== "taskReply") return;
      this.#takenOfPoll += 1;
      this.controlFrom(message.from).push(message.seq);
      this.onControl(message.from, message.seq);
      // Also behind the sends of its handler it is what it was.
      this.#keep(message.seq, message.outcome as InlineValue);
    }
  }

  onBuffersMoved(_to: Address, { from, seq, buffers }: MovedBuffers): void {
    for (const buffer of buffers) {
      this.moved.push({ from, seq, bytes: [...new Uint8Array(buffer)] });
    }
  }

  onWritable(peer: Address): void {
    expect(this.transport.isCongested(peer)).toBe(false);
    expect(this.waitsFor.delete(peer), "room is told once, to those that wait").toBe(true);
    this.writableCount += 1;
  }

  onWork(): void {
    this.pump();
  }

  onPeerEnded(peer: Address): void {
    this.ends.push({ peer, controlCount: this.controlFrom(peer).length });
  }

  /** What it owns has not changed since, whatever became of the frames. */
  checkKept(): void {
    for (const { number, value } of this.#kept) checkBytes(number, value as InlineValue);
  }

  #look(): boolean {
    if (!this.reads || this.hasEnded) return false;
    this.#takenOfPoll = 0;
    const hasControl = this.transport.poll(this.#budget);
    // Over several links, each with its share.
    expect(this.#takenOfPoll).toBeLessThanOrEqual(2 * this.#budget);
    return (this.wantsTasks && this.transport.pollTask()) || hasControl;
  }

  #keep(number: number, value: Encoded): void {
    checkBytes(number, value as InlineValue);
    this.#kept.push({ number, value: ownEncoded(value) });
  }
}

function listOf<T>(lists: Map<Address, T[]>, address: Address): T[] {
  let list = lists.get(address);
  if (list === undefined) lists.set(address, (list = []));
  return list;
}

/** Not at the beginning of its memory, and its neighbours there are none of its own. */
function valueOf(number: number, sizeBytes: number): InlineValue {
  const bytes = new Uint8Array(sizeBytes + 2).fill(0xee);
  bytes.set(bytesOf(number, sizeBytes), 1);
  return new InlineValue(bytes, 1, sizeBytes, noSpecials);
}

function bytesOf(number: number, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, at) => number * 31 + sizeBytes + at * 7);
}

function checkBytes(number: number, { bytes, start, length }: InlineValue): void {
  const isSame = Buffer.from(bytes.subarray(start, start + length)).equals(bytesOf(number, length));
  expect(isSame, `bytes of frame ${number}`).toBe(true);
}
