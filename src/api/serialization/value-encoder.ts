/**
 * Life of an encoding: begin → one walk over the value, writing as it goes → what was deferred for
 * depth → flags and buffer table; then `writeTo` lays it out, once or more, until the next encode.
 *
 * The result means what structuredClone would have made, and more (errors with their class and
 * fields, URLs, registered classes, specials); what cannot travel is a SerializationError that
 * names the place. Getters run once. One encoder a thread; it is not re-entrant: user code that it
 * calls (getters, codecs) must encode with another one while `isBusy`.
 */
import { types } from "node:util";
import type { SerializationError } from "#api/errors.ts";
import { isInstance, thrownText } from "#engine/common/thrown.ts";
import { arrayFields } from "./array-fields.ts";
import { alignUp, BufferCollector } from "./buffer-collector.ts";
import { ByteWriter } from "./byte-writer.ts";
import { errorClassNames, errorFields } from "./error-envelope.ts";
import { packPlainItems, plainListLengthMin, readPlainItems } from "./plain-list.ts";
import { functionAdvice, objectKind, Refusal, symbolAdvice } from "./object-kind.ts";
import { Ordinals } from "./ordinals.ts";
import type { RegisteredClass } from "./registered-classes.ts";
import { Shapes } from "./shapes.ts";
import { unserializable } from "./unserializable.ts";
import { ValuePath } from "./value-path.ts";
import { viewKind } from "./view-kinds.ts";
import * as wire from "./wire.ts";

/** A container whose header is written and whose content is to come. */
interface Deferred {
  readonly container: object;
  readonly content: Content;
  readonly path: string;
}
type Content = "array" | "fields" | "map" | "set" | "error";
type Fields = Readonly<Record<string, unknown>>;

const noItems: readonly unknown[] = [];
const { forEach: forEachEntry } = Map.prototype;
const { forEach: forEachMember } = Set.prototype;

export class ValueEncoder extends ByteWriter {
  /** Bytes beside the body, in order: views on the user's memory, not copied yet. */
  readonly buffers: Uint8Array[] = [];
  /** Objects that `isSpecial` claimed, in order; the body has their index. */
  readonly specials: object[] = [];
  isBusy = false;

  #isSpecial: (value: object) => boolean;
  #ordinals = new Ordinals();
  #shapes = new Shapes();
  #collector = new BufferCollector();
  #path = new ValuePath();
  #deferred: Deferred[] = [];
  #openCodecs: number[] = [];
  #flags = 0;

  constructor(isSpecial: (value: object) => boolean) {
    super();
    this.#isSpecial = isSpecial;
  }

  /** SerializationError names places from `rootPath` on. */
  encode(value: unknown, rootPath: string): void {
    this.#begin(rootPath);
    try {
      this.#writeValue(value);
      this.#finish();
    } catch (thrown) {
      throw this.#failure(thrown);
    } finally {
      this.#end();
    }
  }

  /** Of the last `encodeArguments`: what goes beside the bytes, in the order of the numbers. */
  get moved(): ArrayBuffer[] {
    return this.#collector.moved;
  }

  /**
   * As `encode(args, "args")`, without asking what the list itself is: it is the call's own; and
   * without the bytes of `transferred`.
   */
  encodeArguments(args: readonly unknown[], transferred?: readonly ArrayBuffer[]): void {
    this.#begin("args");
    if (transferred !== undefined) this.#collector.transferred = new Set(transferred);
    try {
      this.#ordinals.addUnmentioned();
      this.writeByte(wire.tagArray);
      this.writeVarint(args.length * 2);
      this.#path.enter();
      for (let i = 0; i < args.length; i++) {
        this.#path.set("index", i);
        this.#writeValue(args[i]);
      }
      this.#path.leave();
      this.#finish();
    } catch (thrown) {
      throw this.#failure(thrown);
    } finally {
      this.#end();
    }
  }

  /** Bytes that `writeTo` writes, gaps included. */
  get byteLength(): number {
    let end = this.length;
    for (const buffer of this.buffers) end = alignUp(end) + buffer.length;
    return end;
  }

  /** The body, then each buffer at the next multiple of 64 from `offset`. */
  writeTo(target: Uint8Array, offset: number): void {
    const body = this.scratch;
    if (this.length > 64) target.set(body.subarray(0, this.length), offset);
    else for (let i = 0; i < this.length; i++) target[offset + i] = body[i] as number;
    let end = this.length;
    for (const buffer of this.buffers) {
      const start = alignUp(end);
      // What was there before is nobody's business: these bytes go to other nodes.
      target.fill(0, offset + end, offset + start);
      target.set(buffer, offset + start);
      end = start + buffer.length;
    }
  }

  /** From here to `writeTo` the user may change them, or give them away. */
  copyBuffers(): void {
    for (let i = 0; i < this.buffers.length; i++) {
      this.buffers[i] = new Uint8Array(this.buffers[i] as Uint8Array);
    }
  }

  // -------------------------------------------------------------- begin and end

  #begin(rootPath: string): void {
    if (this.isBusy) throw new Error("this encoder is at work: user code inside needs another");
    this.isBusy = true;
    this.rewind();
    if (this.buffers.length > 0) this.buffers.length = 0;
    if (this.specials.length > 0) this.specials.length = 0;
    if (this.moved.length > 0) this.moved.length = 0;
    this.#flags = 0;
    this.#path.start(rootPath);
    this.writeByte(0);
  }

  #finish(): void {
    for (let i = 0; i < this.#deferred.length; i++) {
      const { container, content, path } = this.#deferred[i] as Deferred;
      this.#path.start(path);
      this.#writeContent(container, content);
    }
    if (!this.#collector.isEmpty) this.#writeBufferTable();
    this.scratch[0] = this.#flags;
  }

  #writeBufferTable(): void {
    this.#flags |= wire.flagBuffers;
    this.reserve(4);
    this.scratch.copyWithin(5, 1, this.length);
    this.length += 4;
    this.scratch.writeUInt32LE(this.length, 1);
    const inline: Uint8Array[] = [];
    for (const number of this.#collector.finish(inline, this.buffers)) this.writeVarint(number);
    for (const bytes of inline) this.writeBytes(bytes);
  }

  #failure(thrown: unknown): SerializationError {
    const path = this.#path.text();
    this.length = 0;
    this.buffers.length = 0;
    this.specials.length = 0;
    this.moved.length = 0;
    if (isInstance(thrown, Refused))
      return unserializable(path, `${thrown.what}. ${thrown.advice}`);
    if (isStackOverflow(thrown)) return unserializable(path, "nested too deeply", thrown);
    return unserializable(path, `reading it threw: ${thrownText(thrown)}`, thrown);
  }

  /** Lets go of everything of the user's that the result does not need. */
  #end(): void {
    this.isBusy = false;
    this.#ordinals.clear();
    this.#shapes.clear();
    this.#collector.clear();
    this.#path.clear();
    if (this.#deferred.length > 0) this.#deferred = [];
    if (this.#openCodecs.length > 0) this.#openCodecs = [];
  }

  // -------------------------------------------------------------- values

  #writeValue(value: unknown): void {
    switch (typeof value) {
      case "number":
        return this.writeNumber(value);
      case "string":
        return this.writeString(value);
      case "boolean":
        return this.writeByte(value ? wire.tagTrue : wire.tagFalse);
      case "undefined":
        return this.writeByte(wire.tagUndefined);
      case "bigint":
        return this.writeBigInt(value);
      case "object":
        return value === null ? this.writeByte(wire.tagNull) : this.#writeObject(value);
      case "function":
        if (this.#isSpecial(value)) return this.#writeSpecial(value);
        throw new Refused(`function${nameOf(value)}`, functionAdvice);
      case "symbol":
        throw new Refused("symbol", symbolAdvice);
    }
  }

  #writeObject(value: object): void {
    if (this.#isSpecial(value)) return this.#writeSpecial(value);
    if (this.#writeReference(value)) return;
    const kind = objectKind(value);
    switch (kind) {
      case "plain":
        return this.#writeContainer(value, wire.tagObject, "fields");
      case "array":
        return this.#writeArray(value as readonly unknown[]);
      case "map":
        return this.#writeContainer(value, wire.tagMap, "map");
      case "set":
        return this.#writeContainer(value, wire.tagSet, "set");
      case "error":
        return this.#writeError(value);
      case "view":
        this.writeByte(wire.tagView);
        this.writeByte(viewKind(value as ArrayBufferView));
        return this.#collector.addView(value as ArrayBufferView);
      case "arrayBuffer":
        this.writeByte(wire.tagArrayBuffer);
        return this.#collector.addWhole(value as ArrayBuffer);
      case "sharedArrayBuffer":
        this.writeByte(wire.tagSharedArrayBuffer);
        return this.#collector.addWhole(value as SharedArrayBuffer);
      default:
        if (kind instanceof Refusal) throw new Refused(kind.what, kind.advice);
        if (typeof kind === "string") return this.#writeLeaf(value, kind);
        return this.#writeInstance(value, kind);
    }
  }

  #writeSpecial(value: object): void {
    if (this.#writeReference(value)) return;
    this.writeByte(wire.tagSpecial);
    this.writeVarint(this.specials.length);
    this.specials.push(value);
  }

  /** True when the object was mentioned before and is now referred to. */
  #writeReference(value: object): boolean {
    const ordinal = this.#ordinals.findOrAdd(value);
    if (ordinal < 0) return false;
    if (this.#openCodecs.length > 0 && this.#openCodecs.includes(ordinal)) {
      throw new Refused(
        "cycle through a codec",
        "What serialize() returns must not hold its value.",
      );
    }
    this.#flags |= wire.flagReferences;
    this.writeByte(wire.tagReference);
    this.writeVarint(ordinal);
    return true;
  }

  #writeLeaf(
    value: object,
    kind: "boxed" | "date" | "domException" | "regExp" | "url" | "urlSearchParams",
  ): void {
    switch (kind) {
      case "date":
        this.writeByte(wire.tagDate);
        return this.writeFloat(Date.prototype.getTime.call(value));
      case "regExp":
        this.writeByte(wire.tagRegExp);
        this.writeString((value as RegExp).source);
        return this.writeString((value as RegExp).flags);
      case "url":
        this.writeByte(wire.tagUrl);
        return this.writeString((value as URL).href);
      case "urlSearchParams":
        this.writeByte(wire.tagUrlSearchParams);
        return this.writeString(String(value));
      case "boxed":
        this.writeByte(wire.tagBoxed);
        return this.#writeValue(unboxed(value));
      case "domException":
        this.writeByte(wire.tagDomException);
        for (const key of ["name", "message", "stack"]) {
          this.writeString(String((value as Fields)[key] ?? ""));
        }
    }
  }

  #writeInstance(value: object, registered: RegisteredClass): void {
    const { name, codec } = registered;
    if (codec === undefined) {
      if (value instanceof Error) return this.#writeError(value);
      return this.#writeContainer(value, wire.tagInstance, "fields", [name]);
    }
    if (this.#path.depth >= wire.codecDepthMax) {
      throw new Refused("nested too deeply", `A chain of ${name} codecs cannot be this long.`);
    }
    this.writeByte(wire.tagCodec);
    this.writeString(name);
    this.#openCodecs.push(this.#ordinals.count - 1);
    this.#path.enter();
    this.#path.set("codec", name);
    this.#writeValue(codec.serialize(value));
    this.#path.leave();
    this.#openCodecs.pop();
  }

  #writeError(error: object): void {
    this.#writeContainer(error, wire.tagError, "error", errorClassNames(error));
  }

  // -------------------------------------------------------------- containers

  #writeContainer(value: object, tag: number, content: Content, names?: readonly string[]): void {
    const isDeferred = this.#mustDefer();
    if (isDeferred) this.writeByte(wire.tagDeferred);
    this.writeByte(tag);
    if (tag === wire.tagError && names !== undefined) this.writeVarint(names.length);
    if (names !== undefined) for (const name of names) this.writeString(name);
    if (!isDeferred) this.#writeContent(value, content);
    else this.#deferred.push({ container: value, content, path: this.#path.text() });
  }

  /** Not inside a codec: what deserialize() is given must be whole. */
  #mustDefer(): boolean {
    if (this.#path.depth < wire.deferDepth) return false;
    if (this.#openCodecs.length === 0) return true;
    if (this.#path.depth < wire.codecDepthMax) return false;
    throw new Refused("nested too deeply", "What a codec returns cannot be this deep.");
  }

  #writeContent(value: object, content: Content): void {
    this.#path.enter();
    switch (content) {
      case "fields":
        this.#writeFields(value as Fields, Object.keys(value));
        break;
      case "array":
        this.#writeItems(value as readonly unknown[], arrayFields(value as unknown[]), noItems);
        break;
      case "map":
        this.#writeEntries(value as ReadonlyMap<unknown, unknown>);
        break;
      case "set":
        this.#writeMembers(value as ReadonlySet<unknown>);
        break;
      case "error":
        this.#writeErrorFields(value);
        break;
    }
    this.#path.leave();
  }

  #writeFields(value: Fields, keys: readonly string[]): void {
    this.#writeShape(keys);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      this.#path.set("property", key);
      this.#writeValue(value[key]);
    }
  }

  #writeShape(keys: readonly string[]): void {
    const number = this.#shapes.findOrAdd(keys);
    this.writeVarint(number);
    if (number !== 0) return;
    this.writeVarint(keys.length);
    for (let i = 0; i < keys.length; i++) this.writeString(keys[i] as string);
  }

  #writeArray(array: readonly unknown[]): void {
    const path = this.#path;
    if (this.#mustDefer()) {
      return this.#writeContainer(array, wire.tagArray, "array");
    }
    const fields = arrayFields(array);
    path.enter();
    if (array.length < plainListLengthMin || fields.length > 0) {
      this.writeByte(wire.tagArray);
      this.#writeItems(array, fields, noItems);
    } else {
      const { items, isPlain } = readPlainItems(array, path);
      this.writeByte(isPlain ? wire.tagPlainList : wire.tagArray);
      if (isPlain) this.#writePlainList(items);
      else this.#writeItems(array, fields, items);
    }
    path.leave();
  }

  #writePlainList(items: readonly unknown[]): void {
    const packed = packPlainItems(items);
    this.writeVarint(packed.length);
    this.writeBytes(packed);
  }

  /** `read`: the first items, where reading them again would run getters again. */
  #writeItems(
    array: readonly unknown[],
    fields: readonly string[],
    read: readonly unknown[],
  ): void {
    const { length } = array;
    this.writeVarint(length * 2 + (fields.length === 0 ? 0 : 1));
    for (let i = 0; i < length; i++) {
      this.#path.set("index", i);
      const item = i < read.length ? read[i] : array[i];
      if (item !== undefined || i in array) this.#writeValue(item);
      else {
        this.#writeSparse(array, i, length);
        break;
      }
    }
    if (fields.length > 0) this.#writeFields(array as unknown as Fields, fields);
  }

  /** The rest of an array from its first hole on: runs of holes between the items there are. */
  #writeSparse(array: readonly unknown[], firstHole: number, length: number): void {
    let next = firstHole;
    for (const key of Object.keys(array)) {
      const index = Number(key);
      if (!(index >= next && index < length) || String(index) !== key) continue;
      this.#path.set("index", index);
      this.#writeHoles(index - next);
      this.#writeValue(array[index]);
      next = index + 1;
    }
    this.#writeHoles(length - next);
  }

  #writeHoles(count: number): void {
    if (count === 0) return;
    this.writeByte(wire.tagHoles);
    this.writeVarint(count);
  }

  /** A copy of the entries first: a getter may change the map on the way. */
  #writeEntries(map: ReadonlyMap<unknown, unknown>): void {
    const entries: unknown[] = [];
    forEachEntry.call(map, (value, key) => void entries.push(key, value));
    this.writeVarint(entries.length / 2);
    for (let i = 0; i < entries.length; i += 2) {
      this.#path.set("mapKey", i / 2);
      this.#writeValue(entries[i]);
      this.#path.setMapValue(entries[i]);
      this.#writeValue(entries[i + 1]);
    }
  }

  #writeMembers(set: ReadonlySet<unknown>): void {
    const members: unknown[] = [];
    forEachMember.call(set, (member) => void members.push(member));
    this.writeVarint(members.length);
    for (let i = 0; i < members.length; i++) {
      this.#path.set("member", i);
      this.#writeValue(members[i]);
    }
  }

  #writeErrorFields(error: object): void {
    const { keys, values, hiddenCount } = errorFields(error, (key, convert) => {
      this.#path.set("property", key);
      return convert((error as Fields)[key]);
    });
    this.writeVarint(hiddenCount);
    this.#writeShape(keys);
    for (let i = 0; i < keys.length; i++) {
      this.#path.set("property", keys[i]);
      this.#writeValue(values[i]);
    }
  }
}

/** Thrown inside the walk; becomes a SerializationError at its end, where the path is known. */
class Refused extends Refusal {}

function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (types.isStringObject(value)) return String.prototype.valueOf.call(value);
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  if (types.isBigIntObject(value)) return BigInt.prototype.valueOf.call(value);
  return Symbol.prototype.valueOf.call(value);
}

function nameOf(value: { readonly name: unknown }): string {
  return typeof value.name === "string" && value.name !== "" ? ` ${value.name}` : "";
}

function isStackOverflow(thrown: unknown): boolean {
  return isInstance(thrown, RangeError) && /call stack/i.test(thrownText(thrown));
}
