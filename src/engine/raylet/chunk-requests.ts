/**
 * Chunks that were asked of other nodes and have not come.
 *
 * State:  by request, for which pull, of whom, and which part.
 * In/out: parts to ask for → pullChunk; answers → what they were for.
 * Bounds: `pullBytesInFlightMax` and `chunksInFlightMax` at once, one chunk at least.
 * Errors: an answer from another node than was asked is not one.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import type { NodeId } from "#engine/common/ids.ts";
import { nameOf } from "./copy.ts";
import type { RayletOut } from "./placement-queue.ts";
import type { Pull } from "./pull.ts";

const chunksInFlightMax = 64;

export interface ChunkRequest {
  /** Null once nobody waits for it: its answer only ends the account. */
  pull: Pull | null;
  readonly source: NodeId;
  readonly offset: number;
  readonly size: number;
}

export class ChunkRequests {
  readonly #self: NodeId;
  readonly #config: Config;
  readonly #chunks = new Map<number, ChunkRequest>();
  #bytesInFlight = 0;
  #nextRequestId = 1;

  constructor(self: NodeId, config: Config) {
    this.#self = self;
    this.#config = config;
  }

  get size(): number {
    return this.#chunks.size;
  }

  /** As many of the pull as are allowed at once. */
  askFor(pull: Pull, out: RayletOut): void {
    const { pullChunkBytes } = this.#config;
    while (this.mayAsk(Math.min(pullChunkBytes, pull.size))) {
      const next = pull.takeNext(pullChunkBytes);
      if (next === null) return;
      const { source, offset, size } = next;
      const requestId = this.#nextRequestId++;
      this.#chunks.set(requestId, { pull, source, offset, size });
      this.#bytesInFlight += size;
      const { owner } = pull;
      const copy = nameOf(pull);
      const from = this.#self;
      out.send(source, { type: "pullChunk", from, requestId, owner, copy, offset, size });
    }
  }

  mayAsk(size: number): boolean {
    if (this.#chunks.size === 0) return true;
    if (this.#chunks.size >= chunksInFlightMax) return false;
    return this.#bytesInFlight + size <= this.#config.pullBytesInFlightMax;
  }

  take(requestId: number, from: NodeId): ChunkRequest | undefined {
    const chunk = this.#chunks.get(requestId);
    if (chunk === undefined || chunk.source !== from) return undefined;
    this.#chunks.delete(requestId);
    this.#bytesInFlight -= chunk.size;
    return chunk;
  }

  /** Nothing of that node will come. */
  takeAllOf(source: NodeId): ChunkRequest[] {
    const ids = [...this.#chunks].filter(([, chunk]) => chunk.source === source);
    return ids.flatMap(([requestId]) => this.take(requestId, source) ?? []);
  }

  /** What is under way of it is not for what comes in its place. */
  disown(pull: Pull): void {
    for (const chunk of this.#chunks.values()) if (chunk.pull === pull) chunk.pull = null;
  }

  checkInvariants(): void {
    let bytes = 0;
    for (const { size } of this.#chunks.values()) bytes += size;
    assert(bytes === this.#bytesInFlight, "bytes in flight are counted");
  }
}
