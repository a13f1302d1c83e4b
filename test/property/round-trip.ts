/** One value through the codec, as a thread would see it; shared by the tests of serialization. */
import { SerializationError } from "#api/errors.ts";
import { decodeValue, type DecodeOptions } from "#api/serialization/value-decoder.ts";
import { ValueEncoder } from "#api/serialization/value-encoder.ts";

/** Bytes before and after the value, so that a wrong offset reads the wrong bytes. */
const marginBytes = 64;

export interface RoundTripOptions {
  readonly isSpecial?: (value: object) => boolean;
  readonly specials?: readonly unknown[];
  readonly zeroCopy?: boolean;
  readonly shared?: boolean;
  readonly offset?: number;
  readonly lenient?: boolean;
  readonly moved?: readonly ArrayBuffer[];
}

export function roundTrip<T>(value: T, options: RoundTripOptions = {}): T {
  const encoder = new ValueEncoder(options.isSpecial ?? (() => false));
  encoder.encode(value, "value");
  return decodeFrom(encoder, options) as T;
}

/** Through memory other than the encoder's, which is then overwritten. */
export function decodeFrom(encoder: ValueEncoder, options: RoundTripOptions = {}): unknown {
  const { byteLength } = encoder;
  const offset = options.offset ?? marginBytes;
  const size = offset + byteLength + marginBytes;
  const memory = options.shared === true ? new SharedArrayBuffer(size) : new ArrayBuffer(size);
  const target = new Uint8Array(memory).fill(0xee);
  encoder.writeTo(target, offset);
  for (let i = 0; i < size; i++) {
    const isOutside = i < offset || i >= offset + byteLength;
    if (isOutside && target[i] !== 0xee) throw new Error(`writeTo wrote outside, at ${i}`);
  }
  const decodeOptions: DecodeOptions = {
    specials: options.specials ?? [...encoder.specials],
    zeroCopy: options.zeroCopy ?? false,
    lenient: options.lenient ?? false,
    moved: options.moved ?? [],
  };
  encoder.encode("something else, to overwrite what the encoder holds", "other");
  const value = decodeValue(target, offset, byteLength, decodeOptions);
  if (options.zeroCopy !== true) target.fill(0xdd);
  return value;
}

/** The error that names what of the value cannot travel, and leaves the encoder clean. */
export function refusal(value: unknown): SerializationError {
  const encoder = new ValueEncoder(() => false);
  try {
    encoder.encode(value, "args");
  } catch (error) {
    const isClean = !encoder.isBusy && encoder.length === 0 && encoder.buffers.length === 0;
    if (error instanceof SerializationError && isClean) return error;
    throw error;
  }
  throw new Error("it was serialized");
}

/** Who refers to whom, as text: equal for values of the same structure and identity. */
export function graphOf(root: unknown): string {
  const numbers = new Map<object, number>();
  const lines: string[] = [];
  const visit = (value: unknown): string => {
    if (typeof value !== "object" || value === null) {
      return Object.is(value, -0) ? "-0" : `${typeof value} ${String(value)}`;
    }
    const known = numbers.get(value);
    if (known !== undefined) return `#${known}`;
    const number = numbers.size;
    numbers.set(value, number);
    const parts: string[] = [];
    if (value instanceof Map) {
      for (const [key, entry] of value) parts.push(`${visit(key)} => ${visit(entry)}`);
    } else if (value instanceof Set) {
      for (const member of value) parts.push(visit(member));
    } else {
      for (const key of Object.keys(value)) {
        parts.push(`${JSON.stringify(key)}: ${visit((value as Record<string, unknown>)[key])}`);
      }
    }
    lines[number] = `#${number} ${Object.prototype.toString.call(value)} {${parts.join(", ")}}`;
    return `#${number}`;
  };
  return `${visit(root)}\n${lines.join("\n")}`;
}
