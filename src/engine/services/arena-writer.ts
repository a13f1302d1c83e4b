/**
 * Room in the arena for one thread: small objects from a granted chunk, large ones by asking.
 *
 * On the node's own thread an answer comes within the call. Elsewhere it comes too late for a
 * synchronous `place`. What has no room at hand gets a segment of its own, which is announced to
 * the other threads, up to a bound: `put` never waits.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";

const alignment = 64;

/** What the arena said to a request. */
export interface Allocation {
  readonly requestId: number;
  readonly segment: number;
  readonly offset: number;
  readonly error: EngineError | null;
}

export class ArenaFullError extends Error {
  readonly engineError: EngineError;

  constructor(engineError: EngineError) {
    super(engineError.message);
    this.engineError = engineError;
  }
}

export interface ArenaWriterOptions {
  readonly chunkBytes: number;
  /** Asks the object store; `onAllocated` follows, perhaps before this returns. */
  request(requestId: number, size: number, mayWait: boolean): void;
  /** Gives back room that was granted and not used. */
  release(extent: ArenaExtent): void;
  /**
   * Makes a segment for one object and announces it to the other threads; undefined when they have
   * too many already.
   */
  makeSegment(size: number): ArenaExtent | undefined;
}

interface Waiting {
  readonly size: number;
  readonly settle: (allocation: Allocation) => void;
}

export class ArenaWriter {
  readonly #options: ArenaWriterOptions;
  readonly #waiting = new Map<number, Waiting>();
  #nextRequestId = 1;
  #chunk: ArenaExtent = { segment: 0, offset: 0, size: 0 };
  #nextChunk: ArenaExtent | null = null;
  #chunkIsRequested = false;
  #used = 0;

  constructor(options: ArenaWriterOptions) {
    this.#options = options;
  }

  /** Of the chunks that were granted: what no object lies in. For status and tests. */
  get unusedBytes(): number {
    return this.#chunk.size - this.#used + (this.#nextChunk?.size ?? 0);
  }

  /** Asks for the first chunk ahead of its use. */
  warmUp(): void {
    this.#requestChunk();
  }

  /** Synchronous; throws ArenaFullError. */
  place(size: number): ArenaExtent {
    const small = this.#placeInChunk(size);
    if (small !== undefined) return small;
    let answer: Allocation | undefined;
    const requestId = this.#request(size, false, (allocation) => {
      answer = allocation;
    });
    const { error } = answer ?? {};
    if (answer !== undefined && error === null) return extentOf(answer, size);
    // The answer will come when nobody needs it: its room goes back then.
    const settle = ({ segment, offset, error: refusal }: Allocation): void => {
      if (refusal === null) this.#options.release({ segment, offset, size });
    };
    if (answer === undefined) this.#waiting.set(requestId, { size, settle });
    const own = this.#options.makeSegment(size);
    if (own === undefined) throw new ArenaFullError(error ?? nothingAtHand(size));
    return own;
  }

  /** Waits for room where `place` would not. */
  placeLater(size: number): Promise<ArenaExtent> | ArenaExtent {
    const small = this.#placeInChunk(size);
    if (small !== undefined) return small;
    let answer: Allocation | undefined;
    const requestId = this.#request(size, true, (allocation) => {
      answer = allocation;
    });
    if (answer !== undefined && answer.error === null) return extentOf(answer, size);
    return new Promise((resolve, reject) => {
      const settle = (allocation: Allocation): void => {
        if (allocation.error === null) resolve(extentOf(allocation, size));
        else reject(new ArenaFullError(allocation.error));
      };
      if (answer === undefined) this.#waiting.set(requestId, { size, settle });
      else settle(answer);
    });
  }

  onAllocated(allocation: Allocation): void {
    const waiting = this.#waiting.get(allocation.requestId);
    if (waiting === undefined) return;
    this.#waiting.delete(allocation.requestId);
    waiting.settle(allocation);
  }

  #request(size: number, mayWait: boolean, settle: (allocation: Allocation) => void): number {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    this.#waiting.set(requestId, { size, settle });
    this.#options.request(requestId, size, mayWait);
    return requestId;
  }

  #placeInChunk(size: number): ArenaExtent | undefined {
    const { chunkBytes } = this.#options;
    const aligned = Math.ceil(size / alignment) * alignment;
    if (aligned > chunkBytes / 4) return undefined;
    if (this.#used + aligned > this.#chunk.size) {
      if (this.#nextChunk === null) this.#requestChunk();
      if (this.#nextChunk === null) return undefined;
      this.#releaseRest();
      this.#chunk = this.#nextChunk;
      this.#nextChunk = null;
      this.#used = 0;
    }
    const { segment, offset } = this.#chunk;
    const extent = { segment, offset: offset + this.#used, size };
    this.#used += aligned;
    if (this.#used > this.#chunk.size / 2 && this.#nextChunk === null) this.#requestChunk();
    return extent;
  }

  /** What is left of the chunk was too small for an object. */
  #releaseRest(): void {
    const { segment, offset, size } = this.#chunk;
    const rest = { segment, offset: offset + this.#used, size: size - this.#used };
    if (rest.size > 0) this.#options.release(rest);
  }

  #requestChunk(): void {
    if (this.#chunkIsRequested) return;
    this.#chunkIsRequested = true;
    const { chunkBytes } = this.#options;
    this.#request(chunkBytes, false, (allocation) => {
      this.#chunkIsRequested = false;
      const { segment, offset, error } = allocation;
      if (error === null) this.#nextChunk = { segment, offset, size: chunkBytes };
    });
  }
}

/** What the store would have said this thread cannot wait for. */
function nothingAtHand(size: number): EngineError {
  const text = `no room for ${size} bytes at hand in the object store, nor beside it`;
  const advice = "let go of refs to large values that are no longer needed (a ref is disposable)";
  return engineError("OBJECT_STORE_FULL", `${text}; ${advice}`);
}

function extentOf({ segment, offset, error }: Allocation, size: number): ArenaExtent {
  if (error !== null) throw new ArenaFullError(error);
  assert(segment >= 0 && offset >= 0, "room has a place");
  return { segment, offset, size };
}
