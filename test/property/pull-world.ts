/**
 * Raylets and processes of several nodes, real machines with real memory, and nothing else: which
 * link delivers next, who asks for what, whose node dies, is drawn. Links keep their order and lose
 * nothing but what a dead node had. At the end all that can happen does.
 */
import { type Config, defaultConfig } from "#engine/common/config.ts";
import {
  type Address,
  gcsAddress,
  type NodeId,
  type WorkerId,
  workerIdOf,
} from "#engine/common/ids.ts";
import type { CoreWorkerEvent, CoreWorkerInstruction } from "#engine/core-worker/calls.ts";
import { CoreWorker } from "#engine/core-worker/core-worker.ts";
import { GetRequest } from "#engine/core-worker/memory-store.ts";
import { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import {
  decodeMessage,
  encodeMessage,
  frameBytesMax,
  FrameWriter,
} from "#engine/protocol/codec/codec.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import { FailedValue, noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import { Raylet, type RayletEvent, type RayletInstruction } from "#engine/raylet/raylet.ts";
import { storeChunk } from "#engine/services/store-chunk.ts";
import { doIo, failureOf, type IoInstruction } from "./pull-disk.ts";

export interface PullWorldOptions {
  readonly nodes: number;
  readonly storeBytes: number;
  readonly config: Partial<Config>;
  readonly deaths: boolean;
  /** Disks are full at times, fail, and forget. */
  readonly diskFaults: boolean;
  readonly draws: readonly number[];
}

const chunkMax = 400;

class Machine {
  readonly address: Address;
  readonly node: Node;
  readonly handle: (event: never, nowMs: number, out: Outbox<never>) => void;
  readonly core: CoreWorker | null;
  constructor(address: Address, node: Node, machine: Raylet | CoreWorker) {
    this.address = address;
    this.node = node;
    this.core = machine instanceof CoreWorker ? machine : null;
    this.handle = (event, nowMs, out) => {
      machine.handle(event, nowMs, out);
      machine.checkInvariants();
    };
  }
}

class Node {
  readonly id: NodeId;
  readonly memory: Uint8Array;
  readonly raylet: Raylet;
  readonly processes: Machine[] = [];
  /** Its disk. */
  readonly files = new Map<number, Uint8Array>();
  isDead = false;

  constructor(id: NodeId, raylet: Raylet, storeBytes: number) {
    this.id = id;
    this.raylet = raylet;
    this.memory = new Uint8Array(storeBytes);
  }
}

interface Made {
  readonly owner: Machine;
  readonly entry: ObjectEntry;
  readonly size: number;
  readonly seed: number;
}

interface Io {
  readonly machine: Machine;
  readonly instruction: IoInstruction;
}

/** A JS ref in another process. */
interface Ref {
  readonly process: Machine;
  readonly entry: ObjectEntry;
  readonly made: Made;
}

export class PullWorld {
  readonly reached = new Set<string>();
  readonly nodes: Node[] = [];
  nowMs = 0;
  readonly #options: PullWorldOptions;
  readonly #machines = new Map<Address, Machine>();
  /** `from>to` → frames, oldest first. */
  readonly #links = new Map<string, Uint8Array[]>();
  readonly #made: Made[] = [];
  #refs: Ref[] = [];
  readonly #requests = new Set<GetRequest>();
  /** Replies of tasks under way to their owners. */
  readonly #results: (() => void)[] = [];
  /** What disks are asked for: done in any order. */
  readonly #io: Io[] = [];
  #drawAt = 0;
  #seeds = 0;

  constructor(options: PullWorldOptions) {
    this.#options = options;
    const config = { ...defaultConfig, ...options.config };
    for (let i = 0; i < options.nodes; i++) this.#addNode(i, config);
  }

  // ------------------------------------------------------------ what happens

  run(): void {
    while (this.#drawAt < this.#options.draws.length) this.#step();
    this.#calm();
  }

  /** Nobody holds anything any more: nothing may be left. */
  checkEmpty(): void {
    for (const request of this.#requests) {
      check(request.settled, "a get was never settled");
    }
    for (const ref of this.#refs.splice(0)) this.#drop(ref);
    for (const { owner, entry } of this.#made) {
      if (!owner.node.isDead) this.#tell(owner, { type: "removeRefs", entries: [entry] });
    }
    this.#calm();
    for (const { isDead, raylet, processes, id, files } of this.nodes) {
      if (isDead) continue;
      const { objects, pulls, pushes } = raylet.objects;
      const left = [...objects.all()].map((copy) => `${copy.owner}.${copy.serial}`);
      check(left.length === 0, `node ${id} keeps ${left.join()}`);
      check([...pulls.pulls()].length === 0, `node ${id} still pulls`);
      check(files.size === 0, `node ${id} keeps ${files.size} spill files`);
      check(pulls.chunksInFlight === 0 && pushes.waitingCount === 0, "chunks are on their way");
      const free = raylet.counts.arenaFreeBytes;
      check(free === this.#options.storeBytes, `${free} bytes are free on node ${id}`);
      for (const { core } of processes) {
        check(core !== null && core.copies.size === 0, "a process keeps a copy");
        check([...core.references.directory.all()].length === 0, "a directory lists something");
      }
    }
  }

  #step(): void {
    const links = this.#liveLinks();
    const kind = this.#pick(16);
    if (kind < 6 && links.length > 0) this.#deliver(links[this.#pick(links.length)] as string);
    else if (kind === 6) this.#put();
    else if (kind === 7) this.#share();
    else if (kind === 8) this.#get();
    else if (kind === 9) this.#dropSome();
    else if (kind === 11) this.#compute();
    else if (kind === 12 && this.#results.length > 0) this.#results.shift()?.();
    else if (kind === 10) this.#passTime(this.#pick(50));
    else if (kind > 13 && this.#io.length > 0) {
      const [io] = this.#io.splice(this.#pick(this.#io.length), 1);
      if (io !== undefined) this.#doIo(io, this.#options.diskFaults && this.#pick(4) === 0);
    } else if (this.#options.deaths && this.#pick(12) === 0) this.#kill();
  }

  /** All that can happen without anybody's doing. */
  #calm(): void {
    for (let steps = 0; ; steps++) {
      check(steps < 100_000, "the world does not come to rest");
      for (const settle of this.#results.splice(0)) settle();
      for (let io = this.#io.shift(); io !== undefined; io = this.#io.shift())
        this.#doIo(io, false);
      const [link] = this.#liveLinks();
      if (link !== undefined) {
        this.#deliver(link);
        continue;
      }
      const nextMs = Math.min(...this.#live().map((one) => this.#deadlineOf(one)));
      if (nextMs === Infinity) return;
      this.#passTime(Math.max(0, nextMs - this.nowMs));
    }
  }

  #put(): void {
    const owner = this.#oneOf(this.#processes());
    const size = 1 + this.#pick(chunkMax);
    const extent = owner.node.raylet.objects.store.reserve(
      { size, mayOverflow: false },
      this.nowMs,
      this.#outOf(this.#rayletOf(owner)),
    );
    if (extent === null) return;
    const seed = (this.#seeds += 1);
    fill(owner.node.memory, extent, seed);
    const { core } = owner;
    check(core !== null, "a process owns");
    const entry = new ObjectEntry(owner.address as WorkerId, core.serials.take(), 0);
    entry.outcome = new StoredValue(0, extent.offset, size, noSpecials);
    entry.state = "AVAILABLE";
    entry.localRefs = 1;
    this.#tell(owner, { type: "putObject", entry, place: null });
    core.references.name(entry);
    this.#made.push({ owner, entry, size, seed });
  }

  /** The result of a task that ran on another node: its bytes stay there. */
  #compute(): void {
    const owner = this.#oneOf(this.#processes());
    const others = this.#processes().filter(({ node }) => node !== owner.node);
    if (others.length === 0) return;
    const { address, core, node } = this.#oneOf(others);
    check(core !== null && owner.core !== null, "a process owns and executes");
    const size = 1 + this.#pick(chunkMax);
    const executor = this.#machines.get(address) as Machine;
    const out = this.#outOf(this.#rayletOf(executor));
    const extent = node.raylet.objects.store.reserve({ size, mayOverflow: false }, this.nowMs, out);
    if (extent === null) return;
    const seed = (this.#seeds += 1);
    fill(node.memory, extent, seed);
    const entry = new ObjectEntry(owner.address as WorkerId, owner.core.serials.take(), 1);
    entry.localRefs = 1;
    const name = { owner: entry.owner, serial: entry.serial, index: 1, version: 0 };
    const settle = (): void => {
      if (owner.node.isDead || node.isDead) return;
      const { segment, offset } = extent;
      const outcome = new StoredValue(segment, offset, size, noSpecials, node.id);
      owner.core?.tasks.settle(entry, outcome, this.#outOf(owner));
      this.#made.push({ owner, entry, size, seed });
    };
    core.seals.seal([{ ...name, extent }], () => this.#results.push(settle), this.#outOf(executor));
  }

  /** Another process gets a ref, as a value that names the object would bring it. */
  #share(): void {
    const made = this.#oneOf(this.#made.filter(({ owner }) => !owner.node.isDead));
    if (made === undefined) return;
    if (this.#pick(3) === 0) {
      made.entry.localRefs += 1;
      const ref = { process: made.owner, entry: made.entry, made };
      this.#refs.push(ref);
      this.#get(ref);
      return;
    }
    const others = this.#processes().filter((process) => process !== made.owner);
    const process = this.#oneOf(others);
    if (process === undefined || process.core === null) return;
    const { owner, entry: owned } = made;
    const { core } = process;
    const { serial, index } = owned;
    const entry = core.references.adopt(owner.address as WorkerId, serial, index);
    entry.localRefs += 1;
    this.#refs.push({ process, entry, made });
    const out = this.#outOf(process);
    core.references.subscribe(entry, out);
    this.#get({ process, entry, made });
  }

  #get(ref = this.#oneOf(this.#refs.filter(({ process }) => !process.node.isDead))): void {
    if (ref === undefined) return;
    const deadlineMs = this.#pick(3) === 0 ? this.nowMs + this.#pick(40) : Infinity;
    const others = this.#refs.filter(({ process }) => process === ref.process);
    const more = this.#pick(2) === 0 ? [] : [this.#oneOf(others) ?? ref];
    const entries = [ref, ...more].map(({ entry }) => entry);
    const request = new GetRequest(entries, entries.length, true, deadlineMs);
    this.#requests.add(request);
    this.#tell(ref.process, { type: "awaitObjects", request });
  }

  #dropSome(): void {
    if (this.#refs.length === 0) return;
    const [ref] = this.#refs.splice(this.#pick(this.#refs.length), 1);
    if (ref !== undefined) this.#drop(ref);
  }

  #drop({ process, entry }: Ref): void {
    if (!process.node.isDead) this.#tell(process, { type: "removeRefs", entries: [entry] });
  }

  #passTime(ms: number): void {
    this.nowMs += ms;
    for (const machine of this.#live()) {
      if (this.#deadlineOf(machine) <= this.nowMs) this.#tell(machine, { type: "deadline" });
    }
  }

  /** Told to each of the others in a moment of its own: the order is that of the links. */
  #kill(): void {
    const [, ...mortal] = this.nodes.filter(({ isDead }) => !isDead);
    const node = this.#oneOf(mortal);
    if (node === undefined) return;
    this.reached.add("a node died");
    node.isDead = true;
    for (const request of this.#requests) {
      const isThere = node.processes.some(({ core }) =>
        [...(core?.waitingRequests ?? [])].includes(request),
      );
      if (isThere) this.#requests.delete(request);
    }
    for (const key of [...this.#links.keys()])
      if (key.includes(`>${node.id}`)) this.#links.delete(key);
    const reason = "drawn";
    for (const { id, isDead } of this.nodes) {
      if (!isDead)
        this.#send(gcsAddress, id, { type: "nodeDied", from: gcsAddress, nodeId: node.id, reason });
    }
  }

  // ------------------------------------------------------------ machines

  #addNode(i: number, config: Config): void {
    const id = (i + 1).toString(16).repeat(32) as NodeId;
    const { storeBytes } = this.#options;
    const raylet = new Raylet({
      nodeId: id,
      config,
      isHead: true,
      totals: new Map(),
      labels: new Map(),
      address: "world",
      hostname: "world",
      prestartCount: 0,
      segments: [storeBytes],
    });
    const node = new Node(id, raylet, storeBytes);
    this.nodes.push(node);
    const machine = new Machine(id, node, raylet);
    this.#machines.set(id, machine);
    for (let n = 0; n < 2; n++) {
      const self = workerIdOf(id, n);
      const core = new CoreWorker({ self, raylet: id, gcs: gcsAddress, config });
      const process = new Machine(self, node, core);
      this.#machines.set(self, process);
      node.processes.push(process);
      this.#tell(machine, { type: "attachDriver", workerId: self });
    }
  }

  #tell(machine: Machine, event: CoreWorkerEvent | RayletEvent): void {
    const instructions: (CoreWorkerInstruction | RayletInstruction)[] = [];
    machine.handle(event as never, this.nowMs, this.#outOf(machine, instructions));
    for (const instruction of instructions) this.#perform(machine, instruction);
  }

  #perform(machine: Machine, instruction: CoreWorkerInstruction | RayletInstruction): void {
    if (instruction instanceof GetRequest) return this.#read(machine, instruction);
    switch (instruction.type) {
      case "releaseLater":
        return this.#tell(machine, { type: "releaseUses", entries: instruction.entries });
      case "spillObjects":
      case "restoreObject":
      case "readSpilled":
        return void this.#io.push({ machine, instruction });
      case "deleteSpillFile":
        check(machine.node.files.delete(instruction.file), "a file is deleted once");
        this.reached.add("a file deleted");
        return;
      default:
    }
    if (instruction.type !== "storeChunk") return;
    this.reached.add("a chunk");
    storeChunk({ bytes: () => machine.node.memory }, instruction);
  }

  #doIo({ machine, instruction }: Io, fails: boolean): void {
    const { memory, files, isDead } = machine.node;
    if (isDead) return;
    const failure = fails ? failureOf(instruction, this.#pick(2)) : null;
    const event = doIo(instruction, { memory, files }, failure);
    this.reached.add(failure === null ? event.type : `${instruction.type} failed`);
    this.#tell(machine, event);
  }

  /** Every byte is what its maker wrote. */
  #read({ node, core }: Machine, request: GetRequest): void {
    this.#requests.delete(request);
    if (request.timedOut) this.reached.add("a time-out");
    if (request.timedOut || core === null) return;
    if (request.failure !== null) {
      this.reached.add("no room");
      return;
    }
    const failed = request.entries.find(({ outcome }) => outcome instanceof FailedValue);
    if (failed !== undefined) {
      const mayBeLost = this.#options.deaths || this.#options.diskFaults;
      check(mayBeLost, `lost without a death: ${JSON.stringify(failed.outcome)}`);
      this.reached.add("a lost object");
      return;
    }
    for (const entry of request.entries) {
      const value = core.copies.readable(entry);
      const made = this.#made.find(
        (one) => one.entry.owner === entry.owner && one.entry.serial === entry.serial,
      );
      check(value instanceof StoredValue && made !== undefined, "an object was made and is stored");
      check(value.size === made.size, "an object has its size");
      check(isFilled(node.memory, value, made.seed), "an object has the bytes of another");
    }
  }

  #outOf(machine: Machine, instructions: unknown[] = []): Outbox<never> {
    return {
      send: (to, message) => this.#send(machine.address, to, message),
      sendTask: () => 0,
      retract: () => false,
      isCongested: () => false,
      instruct: (instruction) => void instructions.push(instruction),
    };
  }

  #send(from: Address, to: Address, message: Message): void {
    if (to === gcsAddress) return;
    const target = this.#machines.get(to);
    check(target !== undefined, `nobody is called ${to}`);
    if (target.node.isDead) return;
    this.reached.add(message.type);
    const writer = new FrameWriter(new Uint8Array(frameBytesMax(message)));
    const memory = this.#machines.get(from)?.node.memory;
    writer.arena = memory === undefined ? null : { bytes: () => memory };
    encodeMessage(message, 0, writer);
    const key = `${from}>${to}`;
    const frames = this.#links.get(key) ?? [];
    frames.push(writer.bytes.slice(0, writer.at));
    this.#links.set(key, frames);
  }

  #deliver(key: string): void {
    const frame = this.#links.get(key)?.shift();
    const [from, to] = key.split(">") as [Address, Address];
    const machine = this.#machines.get(to);
    if (frame === undefined || machine === undefined) return;
    const message = decodeMessage(frame, new DataView(frame.buffer), 0, frame.length, from);
    this.#tell(machine, message as never);
    frame.fill(0xee);
  }

  #liveLinks(): string[] {
    const live: string[] = [];
    for (const [key, frames] of this.#links) {
      const to = key.split(">")[1] as Address;
      if (frames.length > 0 && this.#machines.get(to)?.node.isDead === false) live.push(key);
    }
    return live;
  }

  #rayletOf({ node }: Machine): Machine {
    const machine = this.#machines.get(node.id);
    check(machine !== undefined, "a node has a raylet");
    return machine;
  }

  #deadlineOf({ core, node }: Machine): number {
    return core === null ? node.raylet.objects.nextDeadlineMs() : core.nextDeadlineMs();
  }

  #live(): Machine[] {
    return [...this.#machines.values()].filter(({ node }) => !node.isDead);
  }

  #processes(): Machine[] {
    return this.#live().filter(({ core }) => core !== null);
  }

  #pick(count: number): number {
    const drawn = this.#options.draws[this.#drawAt] ?? 0;
    this.#drawAt += 1;
    return count <= 1 ? 0 : drawn % count;
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[this.#pick(items.length)] as T;
  }
}

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function fill(memory: Uint8Array, { offset, size }: ArenaExtent, seed: number): void {
  for (let i = 0; i < size; i++) memory[offset + i] = byteOf(seed, i);
}

function isFilled(memory: Uint8Array, { offset, size }: StoredValue, seed: number): boolean {
  for (let i = 0; i < size; i++) if (memory[offset + i] !== byteOf(seed, i)) return false;
  return true;
}

function byteOf(seed: number, i: number): number {
  return (seed * 37 + i * 11 + (i >> 5)) & 255;
}
