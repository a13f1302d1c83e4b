/**
 * Bytes in this node's arena that others may read from now on: told to the raylet first, so that
 * whoever hears of them finds them there.
 *
 * State:  what is done once the raylet has answered, by request.
 * In/out: seal, offer, written → objectSealed, objectsOffered, objectWritten; objectsKept → what
 *         waited for it.
 * Bounds: as many as have results, or requests of other nodes, under way.
 * Errors: none: the raylet answers while this process lives.
 */
import type { CopyName, ObjectsKept, ObjectsOffered, SealedObject } from "#engine/protocol/copy.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { Out, ProcessContext } from "./process-context.ts";

export class ObjectSeals {
  readonly #context: ProcessContext;
  readonly #waiting = new Map<number, (out: Out) => void>();
  #nextRequestId = 1;

  constructor(context: ProcessContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#waiting.size;
  }

  seal(objects: readonly SealedObject[], then: (out: Out) => void, out: Out): void {
    const requestId = this.#nextRequestId++;
    this.#waiting.set(requestId, then);
    const { self, raylet } = this.#context;
    out.send(raylet, { type: "objectSealed", from: self, requestId, objects });
  }

  /** The answer to offerObjects: they are the raylet's to move, or will be. */
  offer(
    offered: Pick<ObjectsOffered, "objects" | "told">,
    then: (out: Out) => void,
    out: Out,
  ): void {
    const requestId = this.#nextRequestId++;
    this.#waiting.set(requestId, then);
    const { self, raylet } = this.#context;
    out.send(raylet, { type: "objectsOffered", from: self, requestId, ...offered });
  }

  /** It lies in a file that this process has written. */
  written(object: CopyName, place: SpilledPlace, then: (out: Out) => void, out: Out): void {
    const requestId = this.#nextRequestId++;
    this.#waiting.set(requestId, then);
    const { self, raylet } = this.#context;
    const { serial, index, version } = object;
    const name = { serial, index, version };
    out.send(raylet, { type: "objectWritten", from: self, requestId, ...name, place });
  }

  onObjectsKept({ requestId }: ObjectsKept, out: Out): void {
    const then = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    then?.(out);
  }
}
