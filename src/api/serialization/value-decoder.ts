/**
 * Makes a value of its bytes: containers are made empty, numbered, and then filled, so that cycles
 * close; what the encoder deferred for depth is filled after the root. Nothing of the source is
 * referred to afterwards, except by views when `zeroCopy`.
 */
import { SerializationError } from "#api/errors.ts";
import { thrownText } from "#engine/common/thrown.ts";
import { BufferTable } from "./buffer-table.ts";
import { ByteReader } from "./byte-reader.ts";
import { reviveError, setErrorField } from "./error-envelope.ts";
import { unpackPlainItems } from "./plain-list.ts";
import { registeredByName, type RegisteredClass } from "./registered-classes.ts";
import * as wire from "./wire.ts";

export interface DecodeOptions {
  /** In the order in which the encoder met them. */
  readonly specials: readonly unknown[];
  /** Typed arrays, DataView and Buffer become views on the source where it is aligned. */
  readonly zeroCopy: boolean;
  /**
   * What cannot be made here does not cost the rest: an instance of a class that is not registered
   * comes as a plain object, what a codec refuses as the SerializationError that says why.
   */
  readonly lenient?: boolean;
  /** Buffers that came beside the bytes, by number. */
  readonly moved?: readonly ArrayBuffer[];
}

interface Deferred {
  readonly container: object;
  readonly tag: number;
}

const nothing = new Uint8Array(0);
const nothingMoved: readonly ArrayBuffer[] = [];
/** Stands for a value whose codec has not made it yet. */
const unmade: unique symbol = Symbol("unmade");
/** One is kept for the next value; a codec that decodes inside gets one of its own. */
let spare: ValueDecoder | undefined;

/** SerializationError when a class is not registered here or its codec throws. */
export function decodeValue(
  source: Uint8Array,
  offset: number,
  length: number,
  options: DecodeOptions,
): unknown {
  const decoder = spare ?? new ValueDecoder(nothing);
  spare = undefined;
  try {
    return decoder.decode(source, offset, length, options);
  } finally {
    decoder.release();
    spare = decoder;
  }
}

/** Whether a value has parts that could be views on its bytes. */
export function hasBuffers(source: Uint8Array, offset: number): boolean {
  return ((source[offset] ?? 0) & wire.flagBuffers) !== 0;
}

class ValueDecoder extends ByteReader {
  #specials: readonly unknown[] = [];
  #buffers: BufferTable | undefined;
  /** By ordinal; undefined when the value refers back to nothing. */
  #objects: unknown[] | undefined;
  #shapes: (readonly string[])[] = [];
  #deferred: Deferred[] = [];
  #isNextDeferred = false;
  #lenient = false;

  decode(source: Uint8Array, offset: number, length: number, options: DecodeOptions): unknown {
    this.startAt(source, offset, offset + length);
    this.#specials = options.specials;
    this.#lenient = options.lenient === true;
    const flags = this.readByte();
    if ((flags & wire.flagReferences) !== 0) this.#objects = [];
    if ((flags & wire.flagBuffers) !== 0) this.#readBufferTable(offset, options);
    const value = this.#readValue();
    for (let i = 0; i < this.#deferred.length; i++) {
      const { container, tag } = this.#deferred[i] as Deferred;
      this.#fill(container, tag);
    }
    if (this.position !== this.end) throw new Error("bytes are left over after the value");
    return value;
  }

  release(): void {
    this.startAt(nothing, 0, 0);
    this.#specials = [];
    this.#buffers = undefined;
    this.#objects = undefined;
    this.#isNextDeferred = false;
    if (this.#shapes.length > 0) this.#shapes = [];
    if (this.#deferred.length > 0) this.#deferred = [];
  }

  #readBufferTable(start: number, { zeroCopy, moved }: DecodeOptions): void {
    let tableStart = 0;
    for (let i = 0; i < 4; i++) tableStart += this.readByte() * 2 ** (8 * i);
    const bodyStart = this.position;
    const table = new BufferTable(this.bytes, zeroCopy, moved ?? nothingMoved);
    this.position = start + tableStart;
    table.read(() => this.readVarint());
    table.locate(start, this.position, this.end);
    this.#buffers = table;
    this.position = bodyStart;
    this.end = start + tableStart;
  }

  // -------------------------------------------------------------- values

  #readValue(): unknown {
    const tag = this.readByte();
    if (tag < wire.tagShortString) return tag;
    if (tag < wire.tagUndefined) return this.readLatin1(tag - wire.tagShortString);
    switch (tag) {
      case wire.tagUndefined:
        return undefined;
      case wire.tagNull:
        return null;
      case wire.tagFalse:
        return false;
      case wire.tagTrue:
        return true;
      case wire.tagInteger:
        return this.readInteger();
      case wire.tagFloat:
        return this.readFloat();
      case wire.tagLatin1:
      case wire.tagTwoByte:
        return this.readTaggedString(tag);
      case wire.tagBigInt64:
        return this.readBigInt64();
      case wire.tagBigIntHex:
        return this.#readBigIntHex();
      default:
        return this.#readObject(tag);
    }
  }

  #readBigIntHex(): bigint {
    const digits = this.readString();
    return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
  }

  #readObject(tag: number): unknown {
    switch (tag) {
      case wire.tagObject:
        return this.#readContainer({}, tag);
      case wire.tagArray:
        return this.#readContainer([], tag);
      case wire.tagMap:
        return this.#readContainer(new Map(), tag);
      case wire.tagSet:
        return this.#readContainer(new Set(), tag);
      case wire.tagInstance:
        return this.#readContainer(Object.create(this.#readPrototype()), tag);
      case wire.tagError:
        return this.#readContainer(reviveError(this.#readNames()), tag);
      case wire.tagCodec:
        return this.#readThroughCodec();
      case wire.tagReference:
        return this.#readReference();
      case wire.tagSpecial:
        return this.#note(this.#readSpecial());
      case wire.tagDeferred:
        this.#isNextDeferred = true;
        return this.#readObject(this.readByte());
      default:
        return this.#note(this.#readLeaf(tag));
    }
  }

  #readLeaf(tag: number): object {
    switch (tag) {
      case wire.tagDate:
        return new Date(this.readFloat());
      case wire.tagRegExp:
        return new RegExp(this.readString(), this.readString());
      case wire.tagUrl:
        return new URL(this.readString());
      case wire.tagUrlSearchParams:
        return new URLSearchParams(this.readString());
      case wire.tagBoxed:
        return Object(this.#readValue()) as object;
      case wire.tagView:
        return this.#expectBuffers().nextView(this.readByte());
      case wire.tagArrayBuffer:
      case wire.tagSharedArrayBuffer:
        return this.#expectBuffers().nextBuffer();
      case wire.tagPlainList:
        return unpackPlainItems(this.readBytes(this.readVarint()));
      case wire.tagDomException:
        return this.#readDomException();
      default:
        throw new Error(`unknown tag ${tag} in an encoded value`);
    }
  }

  #readDomException(): DOMException {
    const name = this.readString();
    const exception = new DOMException(this.readString(), name);
    const stack = { value: this.readString(), writable: true, configurable: true };
    return Object.defineProperty(exception, "stack", stack);
  }

  #expectBuffers(): BufferTable {
    if (this.#buffers === undefined) throw new Error("a view without a buffer table");
    return this.#buffers;
  }

  #readSpecial(): unknown {
    const index = this.readVarint();
    if (index >= this.#specials.length) throw new Error(`special ${index} is missing`);
    return this.#specials[index];
  }

  #readReference(): unknown {
    const value = this.#objects?.[this.readVarint()] ?? unmade;
    if (value === unmade) throw new Error("reference to an object that is not there yet");
    return value;
  }

  #note<T>(value: T): T {
    this.#objects?.push(value);
    return value;
  }

  // -------------------------------------------------------------- classes

  #readPrototype(): object {
    const name = this.readString();
    const isUnknown = registeredByName(name) === undefined;
    return isUnknown && this.#lenient ? Object.prototype : classOf(name).cls.prototype;
  }

  #readThroughCodec(): object {
    const name = this.readString();
    const objects = this.#objects;
    const ordinal = objects?.push(unmade) ?? 0;
    const encoded = this.#readValue();
    let value: object;
    try {
      value = makeByCodec(name, encoded);
    } catch (error) {
      if (!this.#lenient) throw error;
      value = error as SerializationError;
    }
    if (objects !== undefined) objects[ordinal - 1] = value;
    return value;
  }

  #readNames(): string[] {
    const names: string[] = [];
    for (let count = this.readVarint(); count > 0; count--) names.push(this.readString());
    return names;
  }

  // -------------------------------------------------------------- containers

  #readContainer<T extends object>(container: T, tag: number): T {
    this.#objects?.push(container);
    if (!this.#isNextDeferred) this.#fill(container, tag);
    else {
      this.#isNextDeferred = false;
      this.#deferred.push({ container, tag });
    }
    return container;
  }

  #fill(container: object, tag: number): void {
    switch (tag) {
      case wire.tagObject:
        return this.#fillPlain(container as Record<string, unknown>);
      case wire.tagArray:
        return this.#fillArray(container as unknown[]);
      case wire.tagMap:
        return this.#fillMap(container as Map<unknown, unknown>);
      case wire.tagSet:
        return this.#fillSet(container as Set<unknown>);
      case wire.tagError:
        return this.#fillError(container as Error);
      default:
        return this.#fillDefining(container);
    }
  }

  #readShape(): readonly string[] {
    const number = this.readVarint();
    if (number !== 0) {
      const shape = this.#shapes[number - 1];
      if (shape === undefined) throw new Error(`unknown shape ${number} in an encoded value`);
      return shape;
    }
    const keys: string[] = [];
    for (let count = this.readVarint(); count > 0; count--) keys.push(this.readKey());
    this.#shapes.push(keys);
    return keys;
  }

  #fillPlain(object: Record<string, unknown>): void {
    const keys = this.#readShape();
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      const value = this.#readValue();
      if (key !== "__proto__") object[key] = value;
      else define(object, key, value);
    }
  }

  /** Never through a setter that the prototype may have. */
  #fillDefining(object: object): void {
    for (const key of this.#readShape()) define(object, key, this.#readValue());
  }

  #fillArray(array: unknown[]): void {
    const lengthAndFields = this.readVarint();
    const length = Math.floor(lengthAndFields / 2);
    for (let i = 0; i < length;) {
      if (this.bytes[this.position] !== wire.tagHoles) array[i++] = this.#readValue();
      else {
        this.position += 1;
        i += this.readVarint();
        array.length = i;
      }
    }
    if (lengthAndFields % 2 === 1) this.#fillDefining(array);
  }

  #fillMap(map: Map<unknown, unknown>): void {
    for (let count = this.readVarint(); count > 0; count--) {
      map.set(this.#readValue(), this.#readValue());
    }
  }

  #fillSet(set: Set<unknown>): void {
    for (let count = this.readVarint(); count > 0; count--) set.add(this.#readValue());
  }

  #fillError(error: Error): void {
    let hiddenCount = this.readVarint();
    const keys = this.#readShape();
    if (!keys.includes("stack")) delete error.stack;
    for (const key of keys) setErrorField(error, key, this.#readValue(), hiddenCount-- > 0);
  }
}

function classOf(name: string): RegisteredClass {
  const registered = registeredByName(name);
  if (registered !== undefined) return registered;
  throw new SerializationError(
    `an instance of ${name} arrived, and no such class is registered here: call ` +
      `registerClass(${name}) at the top level of a module that this side imports too`,
  );
}

function makeByCodec(name: string, encoded: unknown): object {
  const { codec } = classOf(name);
  if (codec === undefined) {
    throw new SerializationError(`${name} is registered without its codec here`);
  }
  try {
    return codec.deserialize(encoded);
  } catch (thrown) {
    const message = `deserialize() of the codec of ${name} threw: ${thrownText(thrown)}`;
    throw new SerializationError(message, { cause: thrown });
  }
}

function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
