/**
 * 1 Tasks, of those with transferred buffers: these are moved once at most, for one execution, and
 * after that there is no other.
 */
import { taskIdHex } from "#engine/common/ids.ts";
import type { GetRequest } from "#engine/core-worker/memory-store.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { wentWithIt } from "#engine/core-worker/transferred-buffers.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { RareState } from "#sim/report/reached.ts";
import { Oracle, type Violate } from "./oracle.ts";
import { Recent } from "./recent.ts";

export class MovedBuffersOracle extends Oracle {
  readonly name = "1 tasks";
  readonly #mark: (state: RareState) => void;
  /** For which push, by task. */
  readonly #moved = new Recent<Pick<MovedBuffers, "stream" | "seq">>(Infinity);

  constructor(violate: Violate, mark: (state: RareState) => void) {
    super(violate);
    this.#mark = mark;
  }

  override onMoved({ from, serial, stream, seq }: MovedBuffers): void {
    this.#mark("buffersMoved");
    if (this.#moved.get(from, serial) !== undefined) {
      const message = "its transferred buffers were moved twice";
      this.violate({ entity: taskIdHex(from, serial), message });
    }
    this.#moved.set(from, serial, { stream, seq });
  }

  override onStarted({ owner, serial, stream, seq }: IncomingTask): void {
    const moved = this.#moved.get(owner, serial);
    if (moved === undefined || (moved.stream === stream && moved.seq === seq)) return;
    const message = "it runs although its transferred buffers went with an earlier execution";
    this.violate({ entity: taskIdHex(owner, serial), message });
  }

  override onSettled({ entries }: GetRequest): void {
    for (const { outcome } of entries) {
      if (!(outcome instanceof FailedValue)) continue;
      if (outcome.error.message.includes(wentWithIt)) this.#mark("buffersLost");
    }
  }
}
