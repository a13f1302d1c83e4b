/**
 * A ref in the process that uses it. Where processes share a realm (local mode, simulator) a
 * closure may carry a ref into another process than the one it was made in: that one gets a ref of
 * its own, which lives as long as the captured one.
 */
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { newRef, ObjectRef } from "./object-ref.ts";
import { isOfRuntime } from "./runtime.ts";

type AnyRef = ObjectRef<unknown>;

const counterparts = new WeakMap<AnyRef, WeakMap<CoreWorkerClient, AnyRef>>();

/** `verb` begins the message of the TypeError for a ref that cannot be used there. */
export function refIn(client: CoreWorkerClient, ref: AnyRef, verb?: string): AnyRef {
  const maker = ObjectRef.clientOf(ref);
  const isDisposed = ObjectRef.isDisposed(ref);
  if (maker === client && !isDisposed) return ref;
  const where = verb === undefined ? "" : `${verb}: `;
  if (isDisposed) {
    throw new TypeError(`${where}ref ${ref.id} was disposed and cannot be used any more`);
  }
  if (!isOfRuntime(maker, client)) {
    throw new TypeError(
      `${where}ref ${ref.id} belongs to another runtime: it ended with the one it was made in; ` +
        "get() its value before shutdown() and pass that",
    );
  }
  const known = counterparts.get(ref) ?? new WeakMap<CoreWorkerClient, AnyRef>();
  counterparts.set(ref, known);
  let made = known.get(client);
  if (made === undefined) {
    const entry = ObjectRef.entryOf(ref);
    maker.core.references.nameOutOfBand(entry);
    const { owner, serial, index } = entry;
    made = newRef(client.core.references.adopt(owner, serial, index), client);
    known.set(client, made);
  }
  return made;
}
