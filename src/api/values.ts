/**
 * User values to what the engine carries, and back: small ones inside frames, large ones in the
 * arena of the node, refs, handles and remote functions as specials that the engine sees.
 */
import { ByteSlab } from "#engine/common/byte-slab.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
import { actorIdOf } from "#engine/common/ids.ts";
import { thrownText } from "#engine/common/thrown.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { managedSegment, objectBytesMax, ownSegmentsFrom } from "#engine/protocol/arena.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import {
  type Encoded,
  FailedValue,
  InlineValue,
  noArguments,
  noSpecials,
  type Outcome,
  type Special,
  StoredValue,
} from "#engine/protocol/outcome.ts";
import { ArenaFullError } from "#engine/services/arena-writer.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { FallbackFiles, WrittenFile } from "#engine/services/fallback-files.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import { actorSpecial, handleEntry, handleInternals, newHandle } from "./actor-handle.ts";
import { refIn } from "./captured-refs.ts";
import { SerializationError } from "./errors.ts";
import { toClass } from "./failure.ts";
import { newRef, ObjectRef, wrapperFor } from "./object-ref.ts";
import { remoteInternals, reviveRemote } from "./remote-internals.ts";
import { portableOptions } from "./retry-exceptions.ts";
import { reasonOf } from "./serialization/unserializable.ts";
import { decodeValue, hasBuffers } from "./serialization/value-decoder.ts";
import { ValueEncoder } from "./serialization/value-encoder.ts";

/**
 * A direct argument that is a ref: the body gets its value. Told from the same ref inside a value.
 */
class TopLevelRef {
  readonly ref: ObjectRef<unknown>;

  constructor(ref: ObjectRef<unknown>) {
    this.ref = ref;
  }
}

export interface EncodedCall {
  readonly args: Encoded;
  readonly refs: (ObjectEntry | null)[] | null;
  /** The file that the arguments lie in, if memory had no room for them. */
  readonly written: WrittenFile | null;
  /** Of what is transferred, what the arguments refer to: to be moved before the call is made. */
  readonly moved: readonly ArrayBuffer[] | null;
}

interface Written {
  readonly value: StoredValue;
  readonly written: WrittenFile;
}

const noCall: EncodedCall = { args: noArguments, refs: null, written: null, moved: null };
const nothingMoved: readonly ArrayBuffer[] = [];
/** Strings longer than this are encoded like other values, so that they may go to the arena. */
const primitiveStringMax = 1024;

/** What the codec sets aside for the engine to see. */
export function isSpecial(value: object): boolean {
  return (
    ObjectRef.is(value) ||
    value instanceof TopLevelRef ||
    remoteInternals(value) !== undefined ||
    handleInternals(value) !== undefined
  );
}

export class Values {
  readonly #client: CoreWorkerClient;
  readonly #arena: SharedArena;
  readonly #files: FallbackFiles;
  /** More the store cannot hold in one piece, nor beside it. */
  readonly #storedBytesMax: number;
  readonly #inlineBytesMax: number;
  readonly #encoders: ValueEncoder[] = [];
  readonly #slab = new ByteSlab();

  constructor(client: CoreWorkerClient, arena: SharedArena, files: FallbackFiles) {
    this.#client = client;
    this.#arena = arena;
    this.#files = files;
    const { inlineBytesMax, overflowBytesMax } = client.core.context.config;
    const inStore = arena.segments().filter(([segment]) => segment < ownSegmentsFrom);
    const sizes = inStore.map(([, { byteLength }]) => byteLength);
    this.#storedBytesMax = Math.max(Math.min(overflowBytesMax, objectBytesMax), ...sizes);
    this.#inlineBytesMax = inlineBytesMax;
  }

  // ------------------------------------------------------------ encode

  /**
   * Throws ObjectStoreFullError when there is no room in memory nor on the disk, as `put`. Of
   * buffers that are transferred no byte is copied.
   */
  encodeArguments(args: unknown[], transferred?: readonly ArrayBuffer[]): EncodedCall {
    if (args.length === 0) return noCall;
    let list = args;
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (typeof arg !== "object" || arg === null || !ObjectRef.is(arg)) continue;
      if (list === args) list = [...args];
      list[i] = new TopLevelRef(arg);
    }
    const encoder = this.#takeEncoder();
    try {
      encoder.encodeArguments(list, transferred);
      const moved = encoder.moved.length === 0 ? null : [...encoder.moved];
      const refs = this.#refsOf(encoder.specials);
      const size = encoder.byteLength;
      const specials = this.#specialsOf(encoder.specials);
      if (size <= this.#inlineBytesMax) {
        return { args: this.#inline(encoder, size, specials), refs, written: null, moved };
      }
      const placed = this.#placeNow(encoder, size, specials);
      return placed instanceof StoredValue
        ? { args: placed, refs, written: null, moved }
        : { args: placed.value, refs, written: placed.written, moved };
    } finally {
      this.#giveBack(encoder);
    }
  }

  /**
   * The entry of a new object; one JS ref to it is being made. Throws ObjectStoreFullError when
   * there is no room in memory nor on the disk.
   */
  put(value: unknown): ObjectEntry {
    if (isPrimitive(value)) return this.#client.putObject(value);
    const encoder = this.#takeEncoder();
    try {
      encoder.encode(value, "value");
      const size = encoder.byteLength;
      const specials = this.#specialsOf(encoder.specials);
      if (size <= this.#inlineBytesMax)
        return this.#client.putObject(this.#inline(encoder, size, specials));
      const placed = this.#placeNow(encoder, size, specials);
      return placed instanceof StoredValue
        ? this.#client.putObject(placed)
        : this.#client.putObject(placed.value, placed.written);
    } finally {
      this.#giveBack(encoder);
    }
  }

  /** For what needs no waiting; throws ObjectStoreFullError. */
  encode(value: unknown, path: string): Outcome {
    if (isPrimitive(value)) return value;
    const encoder = this.#takeEncoder();
    try {
      encoder.encode(value, path);
      return this.#place(encoder);
    } finally {
      this.#giveBack(encoder);
    }
  }

  /** Why a value cannot travel from here, without sending it; undefined when it can. */
  whyNotEncodable(value: unknown, bytesMax: number): string | undefined {
    const encoder = this.#takeEncoder();
    try {
      encoder.encode(value, "value");
      this.#specialsOf(encoder.specials);
      const { byteLength } = encoder;
      return byteLength > bytesMax ? `it takes ${byteLength} bytes` : undefined;
    } catch (error) {
      return error instanceof SerializationError ? reasonOf(error) : thrownText(error);
    } finally {
      this.#giveBack(encoder);
    }
  }

  /** Inside a message: errors go further than anybody counts. Throws for more than `bytesMax`. */
  encodeInline(value: unknown, bytesMax: number): InlineValue {
    const encoder = this.#takeEncoder();
    try {
      encoder.encode(value, "error");
      const { byteLength } = encoder;
      if (byteLength > bytesMax) {
        throw new SerializationError(`it takes ${byteLength} bytes, ${bytesMax} are the most`);
      }
      return this.#inline(encoder, encoder.byteLength, this.#specialsOf(encoder.specials));
    } finally {
      this.#giveBack(encoder);
    }
  }

  /**
   * As `encode`, but waits for room in the arena instead of failing for want of a chunk.
   * `mayChange`: user code goes on with it meanwhile, so its bytes are copied before.
   */
  encodeResult(value: unknown, mayChange: boolean): Outcome | Promise<Outcome> {
    if (isPrimitive(value)) return value;
    const encoder = this.#takeEncoder();
    let placed: Encoded | Promise<Encoded>;
    try {
      encoder.encode(value, "result");
      placed = this.#placeLater(encoder, mayChange);
    } catch (error) {
      this.#giveBack(encoder);
      throw error;
    }
    if (!(placed instanceof Promise)) {
      this.#giveBack(encoder);
      return placed;
    }
    // User code may dispose of the refs in it while it waits for room: they are ours until then.
    const held = (this.#refsOf(encoder.specials) ?? []).filter((entry) => entry !== null);
    for (const entry of held) entry.localRefs += 1;
    return placed.finally(() => {
      this.#giveBack(encoder);
      for (const entry of held) this.#client.dropRef(entry);
    });
  }

  /** An encoded result that nobody will have: its room goes back. */
  discard(outcome: Outcome): void {
    if (!(outcome instanceof StoredValue)) return;
    const { segment, offset, size } = outcome;
    this.#client.dispatch({ type: "releaseExtentCall", extent: { segment, offset, size } });
  }

  // ------------------------------------------------------------ decode

  /** A fresh copy, or for stored typed arrays a view that holds `entry` while it lives. */
  decode(outcome: Outcome, entry: ObjectEntry | null): unknown {
    if (typeof outcome !== "object" || outcome === null) return outcome;
    if (outcome instanceof FailedValue) throw new TypeError("a failed value has no value");
    const { specials } = outcome;
    const values = specials.length === 0 ? noSpecials : specials.map((s) => this.#revive(s));
    return this.#decodeEncoded(outcome, values, entry);
  }

  /** What a task threw, with whatever of its fields can be made here. */
  decodeThrown({ bytes, start, length, specials }: InlineValue): unknown {
    const revived = specials.map((special) => this.#revive(special));
    return decodeValue(bytes, start, length, { specials: revived, zeroCopy: false, lenient: true });
  }

  /**
   * The arguments of a call; `given` are the values of its top-level refs, by position of the
   * special. `moved`: buffers that came beside them.
   */
  decodeArguments(
    args: Encoded,
    specials: readonly unknown[],
    moved?: readonly ArrayBuffer[],
  ): unknown[] {
    if (args === noArguments || (args instanceof InlineValue && args.length === 0)) return [];
    return this.#decodeEncoded(args, specials, null, moved) as unknown[];
  }

  revive(special: Special): unknown {
    return this.#revive(special);
  }

  /** The outcome with its bytes in this node's arena, where they have been brought. */
  readable(entry: ObjectEntry): Outcome {
    return this.#client.core.copies.readable(entry);
  }

  /** True when the bytes of a stored value are mapped in this thread. */
  isMapped(outcome: Outcome): boolean {
    return !(outcome instanceof StoredValue) || this.#arena.has(outcome.segment);
  }

  whenMapped({ segment }: ArenaExtent): Promise<void> {
    return new Promise((resolve) => this.#arena.whenAdded(segment, resolve));
  }

  #decodeEncoded(
    encoded: Encoded,
    specials: readonly unknown[],
    entry: ObjectEntry | null,
    moved: readonly ArrayBuffer[] = nothingMoved,
  ): unknown {
    if (encoded instanceof InlineValue) {
      const { bytes, start, length } = encoded;
      return decodeValue(bytes, start, length, { specials, zeroCopy: false, moved });
    }
    const { segment, offset, size } = encoded;
    const bytes = this.#arena.bytes(segment);
    // Without a view on them the bytes are free to go as soon as they are read.
    if (entry === null || !hasBuffers(bytes, offset)) {
      return decodeValue(bytes, offset, size, { specials, zeroCopy: false, moved });
    }
    const extent = { segment, offset, size };
    const place = { buffer: this.#arena.buffer(segment), extent };
    const wrapper = wrapperFor(place, entry, this.#client);
    return decodeValue(new Uint8Array(wrapper), offset, size, { specials, zeroCopy: true });
  }

  #revive(special: Special): unknown {
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
        return reviveRemote(special.descriptor, this.decode(special.options, null));
    }
  }

  // ------------------------------------------------------------ place

  #place(encoder: ValueEncoder): Encoded {
    const size = encoder.byteLength;
    const specials = this.#specialsOf(encoder.specials);
    if (size <= this.#inlineBytesMax) return this.#inline(encoder, size, specials);
    try {
      return this.#write(encoder, this.#client.arena.place(size), specials);
    } catch (error) {
      throw storeError(error);
    }
  }

  /** In memory, or else in a file, while the caller waits. */
  #placeNow(
    encoder: ValueEncoder,
    size: number,
    specials: readonly Special[],
  ): StoredValue | Written {
    let extent: ArenaExtent;
    try {
      extent = this.#client.arena.place(size);
    } catch (error) {
      if (!(error instanceof ArenaFullError)) throw error;
      return this.#placeInFile(encoder, specials, error.engineError);
    }
    return this.#write(encoder, extent, specials);
  }

  /** As if it had been spilled: who needs it has it read back, once there is room for it. */
  #placeInFile(encoder: ValueEncoder, specials: readonly Special[], noRoom: EngineError): Written {
    const size = encoder.byteLength;
    if (size > this.#storedBytesMax) throw toClass(noRoom);
    const bytes = new Uint8Array(size);
    encoder.writeTo(bytes, 0);
    const written = this.#files.write(bytes);
    if ("kind" in written) {
      const text = `${noRoom.message}; nor can it be written to the disk: ${written.text}`;
      throw toClass(engineError("OBJECT_STORE_FULL", text, noRoom.subject));
    }
    const { raylet } = this.#client.core.context;
    return { value: new StoredValue(managedSegment, 0, size, specials, raylet), written };
  }

  #placeLater(encoder: ValueEncoder, mayChange: boolean): Encoded | Promise<Encoded> {
    const size = encoder.byteLength;
    const specials = this.#specialsOf(encoder.specials);
    if (size <= this.#inlineBytesMax) return this.#inline(encoder, size, specials);
    const extent = this.#client.arena.placeLater(size);
    if (!(extent instanceof Promise)) return this.#write(encoder, extent, specials);
    if (mayChange) encoder.copyBuffers();
    return extent.then(
      (granted) => this.#writeWhenMapped(encoder, granted, specials),
      (error: unknown) => {
        throw storeError(error);
      },
    );
  }

  #inline(encoder: ValueEncoder, size: number, specials: readonly Special[]): InlineValue {
    const slab = this.#slab;
    slab.reserve(size);
    const { bytes, start } = slab;
    encoder.writeTo(bytes, start);
    return new InlineValue(bytes, start, size, specials);
  }

  #write(encoder: ValueEncoder, extent: ArenaExtent, specials: readonly Special[]): StoredValue {
    const { segment, offset, size } = extent;
    encoder.writeTo(this.#arena.bytes(segment), offset);
    return new StoredValue(segment, offset, size, specials);
  }

  /** A segment that was made for it may not have been announced here yet. */
  async #writeWhenMapped(
    encoder: ValueEncoder,
    extent: ArenaExtent,
    specials: readonly Special[],
  ): Promise<StoredValue> {
    await this.whenMapped(extent);
    return this.#write(encoder, extent, specials);
  }

  #specialsOf(values: readonly object[]): readonly Special[] {
    if (values.length === 0) return noSpecials;
    return values.map((value) => this.#specialOf(value));
  }

  #specialOf(value: object): Special {
    if (value instanceof TopLevelRef) return this.#refSpecial(value.ref, true);
    if (ObjectRef.is(value)) return this.#refSpecial(value, false);
    const remote = remoteInternals(value);
    if (remote !== undefined) {
      const options = this.encode(portableOptions(remote.options), "options");
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

  #refsOf(values: readonly object[]): (ObjectEntry | null)[] | null {
    if (values.length === 0) return null;
    return values.map((value) => {
      const ref = value instanceof TopLevelRef ? value.ref : value;
      if (ObjectRef.is(ref)) return ObjectRef.entryOf(refIn(this.#client, ref));
      const handle = handleInternals(ref);
      return handle === undefined ? null : handleEntry(this.#client, handle);
    });
  }

  // ------------------------------------------------------------ encoders

  /**
   * User code inside an encoding (getters, codecs) may encode in turn, with an encoder of its own.
   */
  #takeEncoder(): ValueEncoder {
    return this.#encoders.pop() ?? new ValueEncoder(isSpecial);
  }

  #giveBack(encoder: ValueEncoder): void {
    if (encoder.buffers.length > 0) encoder.buffers.length = 0;
    if (encoder.specials.length > 0) encoder.specials.length = 0;
    if (encoder.moved.length > 0) encoder.moved.length = 0;
    this.#encoders.push(encoder);
  }
}

export function isPrimitive(value: unknown): value is undefined | null | boolean | number | string {
  switch (typeof value) {
    case "undefined":
    case "boolean":
    case "number":
      return true;
    case "string":
      return value.length <= primitiveStringMax;
    default:
      return value === null;
  }
}

function storeError(error: unknown): unknown {
  return error instanceof ArenaFullError ? toClass(error.engineError) : error;
}
