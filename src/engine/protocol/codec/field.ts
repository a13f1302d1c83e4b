/**
 * How one field of a message is sized, written and read; and fields made of fields. A rare message
 * is described by its fields; a frequent one is written out by hand with the others of its kind.
 */
import type { Message } from "#engine/protocol/message.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { idBytesMax, numberBytesMax, stringBytesMax, varintBytesMax } from "./frame-writer.ts";
import { WireError } from "./wire-error.ts";

export interface Field<T> {
  bytesMax(value: T): number;
  write(writer: FrameWriter, value: T): void;
  read(reader: FrameReader): T;
}

/** A field for each message of a union. */
export type MessageFields<M extends Message> = {
  readonly [T in M["type"]]: Field<Extract<M, { readonly type: T }>>;
};

type Fields<T> = { readonly [K in keyof T]-?: Field<T[K]> };

export const anyNumber: Field<number> = {
  bytesMax: () => numberBytesMax,
  write: (writer, value) => writer.number(value),
  read: (reader) => reader.number(),
};

export const u48: Field<number> = {
  bytesMax: () => 6,
  write: (writer, value) => writer.u48(value),
  read: (reader) => reader.u48(),
};

export const u16: Field<number> = {
  bytesMax: () => 2,
  write: (writer, value) => writer.u16(value),
  read: (reader) => reader.u16(),
};

export const u32: Field<number> = {
  bytesMax: () => 4,
  write: (writer, value) => writer.u32(value),
  read: (reader) => reader.u32(),
};

export const bool: Field<boolean> = {
  bytesMax: () => 1,
  write: (writer, value) => writer.bool(value),
  read: (reader) => reader.bool(),
};

export const text: Field<string> = {
  bytesMax: stringBytesMax,
  write: (writer, value) => writer.string(value),
  read: (reader) => reader.string(),
};

/** The reader cannot know whose id it is: only the place in the message says so. */
export function id<I extends string>(): Field<I> {
  return {
    bytesMax: idBytesMax,
    write: (writer, value) => writer.id(value),
    read: (reader) => reader.id() as I,
  };
}

export function nullableId<I extends string>(): Field<I | null> {
  return {
    bytesMax: (value) => (value === null ? 1 : idBytesMax(value)),
    write: (writer, value) => writer.idOrNull(value),
    read: (reader) => reader.idOrNull() as I | null,
  };
}

/** Names of a fixed set, each with its number on the wire. */
export function oneOf<N extends string>(numbers: Readonly<Record<N, number>>): Field<N> {
  const numberOf = new Map<N, number>();
  const names: N[] = [];
  for (const name of Object.keys(numbers) as N[]) {
    numberOf.set(name, numbers[name]);
    names[numbers[name]] = name;
  }
  return {
    bytesMax: () => 1,
    write: (writer, value) => writer.u8(numberOf.get(value) ?? -1),
    read: (reader) => {
      const name = names[reader.u8()];
      if (name === undefined) throw new WireError("a name is not of its set");
      return name;
    },
  };
}

export function nullable<T>(field: Field<T>): Field<T | null> {
  return {
    bytesMax: (value) => (value === null ? 1 : 1 + field.bytesMax(value)),
    write: (writer, value) => {
      writer.bool(value !== null);
      if (value !== null) field.write(writer, value);
    },
    read: (reader) => (reader.bool() ? field.read(reader) : null),
  };
}

export function list<T>(item: Field<T>, itemBytesMin = 1): Field<readonly T[]> {
  return {
    bytesMax: (items) => {
      let bytes = varintBytesMax;
      for (const value of items) bytes += item.bytesMax(value);
      return bytes;
    },
    write: (writer, items) => {
      writer.varint(items.length);
      for (const value of items) item.write(writer, value);
    },
    read: (reader) => {
      const items: T[] = [];
      for (let count = reader.count(itemBytesMin); count > 0; count--) {
        items.push(item.read(reader));
      }
      return items;
    },
  };
}

/** Entries in the order of the map. */
export function mapOf<V>(item: Field<V>): Field<ReadonlyMap<string, V>> {
  return {
    bytesMax: (map) => {
      let bytes = varintBytesMax;
      for (const [name, value] of map) bytes += stringBytesMax(name) + item.bytesMax(value);
      return bytes;
    },
    write: (writer, map) => {
      writer.varint(map.size);
      for (const [name, value] of map) {
        writer.string(name);
        item.write(writer, value);
      }
    },
    read: (reader) => {
      const map = new Map<string, V>();
      for (let count = reader.count(2); count > 0; count--) {
        const name = reader.string();
        if (map.has(name)) throw new WireError("a name is twice in a map");
        map.set(name, item.read(reader));
      }
      return map;
    },
  };
}

export function record<T extends object>(fields: Fields<T>): Field<T> {
  const entries = Object.entries<Field<unknown>>(fields);
  return {
    bytesMax: (value) => fieldsBytesMax(entries, value),
    write: (writer, value) => writeFields(entries, writer, value),
    read: (reader) => readFields(entries, reader, {}) as T,
  };
}

/** All but `type`, which the number of the message tells, and `from`, which the link knows. */
export function messageOf<M extends Message>(
  type: M["type"],
  fields: Fields<Omit<M, "type" | "from">>,
): Field<M> {
  const entries = Object.entries<Field<unknown>>(fields);
  return {
    bytesMax: (value) => fieldsBytesMax(entries, value),
    write: (writer, value) => writeFields(entries, writer, value),
    read: (reader) => readFields(entries, reader, { type, from: reader.sender }) as unknown as M,
  };
}

type Entries = readonly (readonly [string, Field<unknown>])[];

function fieldsBytesMax(entries: Entries, value: object): number {
  const values = value as Readonly<Record<string, unknown>>;
  let bytes = 0;
  for (const [name, field] of entries) bytes += field.bytesMax(values[name]);
  return bytes;
}

function writeFields(entries: Entries, writer: FrameWriter, value: object): void {
  const values = value as Readonly<Record<string, unknown>>;
  for (const [name, field] of entries) field.write(writer, values[name]);
}

function readFields(
  entries: Entries,
  reader: FrameReader,
  values: Record<string, unknown>,
): Record<string, unknown> {
  for (const [name, field] of entries) values[name] = field.read(reader);
  return values;
}
