/**
 * User values to what the engine carries, and back: small ones inside frames, large ones in the
 * arena of the node, refs, handles and remote functions as specials that the engine sees.
 */
import { ByteSlab } from "#engine/common/byte-slab.ts";
import { engineError, type EngineError } from "#engine/common/error-type.ts";
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
import { SerializationError } from "./errors.ts";
import { toClass } from "./failure.ts";
import { ObjectRef, wrapperFor } from "./object-ref.ts";
import { reasonOf } from "./serialization/unserializable.ts";
import { decodeValue, hasBuffers } from "./serialization/value-decoder.ts";
import { ValueEncoder } from "./serialization/value-encoder.ts";
import { isSpecial, Specials, TopLevelRef } from "./specials.ts";
import { UnplacedResult } from "./unplaced-result.ts";

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

export class Values {
  readonly #client: CoreWorkerClient;
  readonly #arena: SharedArena;
  readonly #files: FallbackFiles;
  readonly #specials: Specials;
  /** More the store cannot hold in one piece, nor beside it. */
  readonly #storedBytesMax: number;
  readonly #inlineBytesMax: number;
  readonly #encoders: ValueEncoder[] = [];
  readonly #slab = new ByteSlab();

  constructor(client: CoreWorkerClient, arena: SharedArena, files: FallbackFiles) {
    this.#client = client;
    this.#arena = arena;
    this.#files = files;
    this.#specials = new Specials(client, this);
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
      const refs = this.#specials.entriesOf(encoder.specials);
      const size = encoder.byteLength;
      const specials = this.#specials.of(encoder.specials);
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
      const specials = this.#specials.of(encoder.specials);
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
      this.#specials.of(encoder.specials);
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
      return this.#inline(encoder, encoder.byteLength, this.#specials.of(encoder.specials));
    } finally {
      this.#giveBack(encoder);
    }
  }

  /**
   * As `encode`, but waits for room in the arena instead of failing for want of a chunk.
   * `mayChange`: user code goes on with it meanwhile, so its bytes are copied before.
   */
  encodeResult(value: unknown, mayChange: boolean): Outcome | Promise<Outcome> {
    const begun = this.beginResult(value, mayChange, null);
    if (!(begun instanceof UnplacedResult)) return begun;
    const release = this.hold(begun.named);
    return begun.place().finally(release);
  }

  /** As `encodeResult`, but leaves to the caller what has no room yet. `named`: by all of them. */
  beginResult(
    value: unknown,
    mayChange: boolean,
    named: ObjectEntry[] | null,
  ): Outcome | UnplacedResult {
    if (isPrimitive(value)) return value;
    const encoder = this.#takeEncoder();
    let begun: Encoded | UnplacedResult | null = null;
    try {
      encoder.encode(value, "result");
      begun = this.#begin(encoder, mayChange);
      if (named !== null && encoder.specials.length > 0) named.push(...this.#namedBy(encoder));
      return begun;
    } finally {
      if (!(begun instanceof UnplacedResult)) this.#giveBack(encoder);
    }
  }

  /** They are in use here until what it returns is called. */
  hold(entries: readonly ObjectEntry[]): () => void {
    for (const entry of entries) entry.localRefs += 1;
    return () => {
      for (const entry of entries) this.#client.dropRef(entry);
    };
  }

  /** Its room goes back; its bytes are kept until there is room again. */
  takeBack(placed: StoredValue): UnplacedResult {
    const { segment, offset, size, specials } = placed;
    const bytes = new Uint8Array(this.#arena.bytes(segment).subarray(offset, offset + size));
    this.discard(placed);
    const write = (extent: ArenaExtent): StoredValue => {
      this.#arena.bytes(extent.segment).set(bytes, extent.offset);
      return new StoredValue(extent.segment, extent.offset, size, specials);
    };
    const ask = (): Promise<ArenaExtent> | ArenaExtent => this.#askForRoom(size);
    return new UnplacedResult({ named: [], ask, write, end: () => {} }, null);
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
    const values =
      specials.length === 0 ? noSpecials : specials.map((s) => this.#specials.revive(s));
    return this.#decodeEncoded(outcome, values, entry);
  }

  /** What a task threw, with whatever of its fields can be made here. */
  decodeThrown({ bytes, start, length, specials }: InlineValue): unknown {
    const revived = specials.map((special) => this.#specials.revive(special));
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
    return this.#specials.revive(special);
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

  // ------------------------------------------------------------ place

  #place(encoder: ValueEncoder): Encoded {
    const size = encoder.byteLength;
    const specials = this.#specials.of(encoder.specials);
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
    if (size > this.#storedBytesMax) throw toClass(tooLarge(size, this.#storedBytesMax));
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

  #begin(encoder: ValueEncoder, mayChange: boolean): Encoded | UnplacedResult {
    const size = encoder.byteLength;
    const specials = this.#specials.of(encoder.specials);
    if (size <= this.#inlineBytesMax) return this.#inline(encoder, size, specials);
    const asked = this.#askForRoom(size);
    if (!(asked instanceof Promise)) return this.#write(encoder, asked, specials);
    if (mayChange) encoder.copyBuffers();
    const parts = {
      named: this.#namedBy(encoder),
      ask: () => this.#askForRoom(size),
      write: (extent: ArenaExtent) => this.#write(encoder, extent, specials),
      end: () => this.#giveBack(encoder),
    };
    return new UnplacedResult(parts, asked);
  }

  #namedBy({ specials }: ValueEncoder): ObjectEntry[] {
    return (this.#specials.entriesOf(specials) ?? []).filter((entry) => entry !== null);
  }

  #askForRoom(size: number): Promise<ArenaExtent> | ArenaExtent {
    const asked = this.#client.arena.placeLater(size);
    if (!(asked instanceof Promise)) return asked;
    return asked.then(
      // A segment that was made for it may not have been announced here yet.
      (extent) => this.whenMapped(extent).then(() => extent),
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

function tooLarge(size: number, most: number): EngineError {
  const text = `no room for ${size} bytes in the object store: one value may have ${most} bytes`;
  const advice = "split it, or give init({ objectStoreMemory }) more";
  return engineError("OBJECT_STORE_FULL", `${text} at most: ${advice}`);
}

function storeError(error: unknown): unknown {
  return error instanceof ArenaFullError ? toClass(error.engineError) : error;
}
