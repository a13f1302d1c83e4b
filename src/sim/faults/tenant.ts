/**
 * Memory pressure: a process that takes room in the store of its machine, as any other does →
 * asks for all it wants, where that does not fit for half as much → gives everything back.
 *
 * State:  the extents it holds; one request under way at most.
 * In/out: arenaAllocated → allocateArena, freeArena.
 * Bounds: nothing below `pieceBytesMin` is asked for, so it asks for few extents.
 * Errors: none; what the store does not give is somebody else's.
 */
import { extentAlignment } from "#engine/object-store/allocator.ts";
import type { Address, NodeId } from "#engine/common/ids.ts";
import type { Message } from "#engine/protocol/message.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { TransportReceiver } from "#engine/protocol/transport.ts";
import type { Endpoint, Network } from "#transports/simulated/network.ts";
import type { Life, World } from "#sim/world/world.ts";

const pieceBytesMin = 4_096;

export interface TenantOptions {
  readonly world: World;
  readonly network: Network;
  /** Of the machine, in its present life. */
  readonly host: Life;
  readonly nodeId: NodeId;
  /** Among those of this node. */
  readonly index: number;
}

export class Tenant implements TransportReceiver {
  readonly #life: Life;
  readonly #options: TenantOptions;
  /** As of a node, not of a worker: so the raylet neither lists it nor asks it anything. */
  readonly #address: NodeId;
  readonly #endpoint: Endpoint;
  #held: ArenaExtent[] = [];
  #wantedBytes = 0;
  #requestId = 0;
  #askedBytes = 0;

  constructor(options: TenantOptions) {
    const { world, network, host, nodeId, index } = options;
    this.#options = options;
    const name = `${host.name}.tenant${index}`;
    this.#life = { name, node: host.node, hasUserCode: false, isAlive: true };
    const id = world.random.split(name);
    const digits = Array.from({ length: nodeId.length }, () => id.below(16).toString(16));
    this.#address = digits.join("") as NodeId;
    world.addLife(this.#life);
    this.#endpoint = network.join(this.#life, [this.#address], this);
  }

  get heldBytes(): number {
    return this.#held.reduce((sum, { size }) => sum + size, 0);
  }

  take(bytes: number): void {
    this.#wantedBytes = wholeUnits(bytes);
    this.#ask(this.#wantedBytes);
  }

  giveBack(): void {
    this.#wantedBytes = 0;
    if (this.#held.length > 0) this.#free(this.#held);
    this.#held = [];
  }

  /** With its machine. */
  end(): void {
    this.#life.isAlive = false;
    this.#options.network.leave(this.#endpoint);
  }

  onBuffersMoved(): void {}

  onMessage(_to: Address, message: Message): void {
    if (message.type !== "arenaAllocated" || message.requestId !== this.#requestId) return;
    const { segment, offset, error } = message;
    const size = this.#askedBytes;
    if (error !== null) {
      this.#ask(Math.min(this.#wantedBytes, wholeUnits(size / 2)));
    } else if (this.#wantedBytes === 0) {
      // It came when nothing was wanted any more.
      this.#free([{ segment, offset, size }]);
    } else {
      this.#held.push({ segment, offset, size });
      this.#wantedBytes -= size;
      this.#ask(Math.min(this.#wantedBytes, size));
    }
  }

  onWritable(): void {}

  onWork(): void {
    const run = (): void => void this.#endpoint.poll(Infinity);
    this.#options.world.after(this.#life, 0, { kind: "turn", what: "", run });
  }

  #ask(size: number): void {
    if (size < pieceBytesMin) return;
    this.#requestId += 1;
    this.#askedBytes = size;
    const [from, requestId] = [this.#address, this.#requestId];
    const request = { type: "allocateArena", from, requestId, size, mayWait: false } as const;
    this.#endpoint.send(this.#options.nodeId, request);
  }

  #free(extents: readonly ArenaExtent[]): void {
    this.#endpoint.send(this.#options.nodeId, { type: "freeArena", from: this.#address, extents });
  }
}

function wholeUnits(size: number): number {
  return Math.ceil(size / extentAlignment) * extentAlignment;
}
