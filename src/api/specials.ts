/**
 * What the codec sets aside for the engine to see, since it counts references: refs, actor handles
 * and remote functions, as they are in a process and as they travel.
 */
import { actorIdOf } from "#engine/common/ids.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import {
  InlineValue,
  noArguments,
  noSpecials,
  type Outcome,
  type Special,
} from "#engine/protocol/outcome.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import { actorSpecial, handleEntry, handleInternals, newHandle } from "./actor-handle.ts";
import { refIn } from "./captured-refs.ts";
import { newRef, ObjectRef } from "./object-ref.ts";
import { remoteInternals, reviveRemote } from "./remote-internals.ts";
import { portableOptions } from "./retry-exceptions.ts";

/**
 * A direct argument that is a ref: the body gets its value. Told from the same ref inside a value.
 */
export class TopLevelRef {
  readonly ref: ObjectRef<unknown>;

  constructor(ref: ObjectRef<unknown>) {
    this.ref = ref;
  }
}

/** What the codec sets aside for the engine to see. */
export function isSpecial(value: object): boolean {
  return (
    ObjectRef.is(value) ||
    value instanceof TopLevelRef ||
    remoteInternals(value) !== undefined ||
    handleInternals(value) !== undefined
  );
}

/** Options of a remote function are values, too. */
export interface OptionsCodec {
  encode(value: unknown, path: string): Outcome;
  decode(outcome: Outcome, entry: null): unknown;
}

export class Specials {
  readonly #client: CoreWorkerClient;
  readonly #options: OptionsCodec;

  constructor(client: CoreWorkerClient, options: OptionsCodec) {
    this.#client = client;
    this.#options = options;
  }

  /** As they travel. */
  of(values: readonly object[]): readonly Special[] {
    if (values.length === 0) return noSpecials;
    return values.map((value) => this.#specialOf(value));
  }

  #specialOf(value: object): Special {
    if (value instanceof TopLevelRef) return this.#refSpecial(value.ref, true);
    if (ObjectRef.is(value)) return this.#refSpecial(value, false);
    const remote = remoteInternals(value);
    if (remote !== undefined) {
      const options = this.#options.encode(portableOptions(remote.options), "options");
      const encoded = options instanceof InlineValue ? options : noArguments;
      return { type: "function", descriptor: remote.registered.descriptor, options: encoded };
    }
    const handle = handleInternals(value);
    if (handle === undefined) throw new TypeError("a special is a ref, a handle or a function");
    return actorSpecial(this.#client, handle);
  }

  #refSpecial(ref: ObjectRef<unknown>, topLevel: boolean): Special {
    const own = refIn(this.#client, ref);
    // Others are about to hear of it, so they must be told when it ends here.
    ObjectRef.watch(own);
    const entry = ObjectRef.entryOf(own);
    const { owner, serial, index } = entry;
    // Inside a value it is only a name: its owner must be able to find it by that.
    if (!topLevel) this.#client.core.references.name(entry);
    return { type: "ref", owner, serial, index, topLevel };
  }

  /** The objects that they stand for; null for what is none, and where there are none. */
  entriesOf(values: readonly object[]): (ObjectEntry | null)[] | null {
    if (values.length === 0) return null;
    return values.map((value) => {
      const ref = value instanceof TopLevelRef ? value.ref : value;
      if (ObjectRef.is(ref)) return ObjectRef.entryOf(refIn(this.#client, ref));
      const handle = handleInternals(ref);
      return handle === undefined ? null : handleEntry(this.#client, handle);
    });
  }

  revive(special: Special): unknown {
    switch (special.type) {
      case "ref": {
        const { references } = this.#client.core;
        const entry = references.adopt(special.owner, special.serial, special.index);
        return newRef(entry, this.#client);
      }
      case "actor": {
        const { owner, serial, className, isDetached } = special;
        const { actors } = this.#client.core;
        const actor = actors.clientOf(actorIdOf(owner, serial), className, isDetached);
        return newHandle(actor, this.#client);
      }
      case "function":
        return reviveRemote(special.descriptor, this.#options.decode(special.options, null));
    }
  }
}
