/** Digests of outcomes, by which the oracles tell values apart without decoding them. */
import { FailedValue, InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { Special } from "#engine/protocol/outcome.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { WrittenFile } from "#engine/services/fallback-files.ts";
import type { Digest } from "./oracle.ts";

/** `bytesOf` gives a segment of the arena in which stored values of the process lie. */
export function digestIn(bytesOf: (segment: number) => Uint8Array): Digest {
  const digest: Digest = (outcome) => {
    if (outcome instanceof InlineValue) {
      const { bytes, start, length, specials } = outcome;
      return encoded(bytes, start, length, specials);
    }
    if (outcome instanceof StoredValue) {
      const { segment, offset, size, specials } = outcome;
      return encoded(bytesOf(segment), offset, size, specials);
    }
    if (outcome instanceof FailedValue) {
      const { type, subject, message } = outcome.error;
      const cause = outcome.cause === null ? "" : digest(outcome.cause);
      return `failed ${type} ${subject} ${message} ${cause}`;
    }
    return `${typeof outcome} ${Object.is(outcome, -0) ? "-0" : String(outcome)}`;
  };
  return digest;
}

/** Of a value that was put; one without a place in memory is looked at as it was written. */
export function digestOfPut(
  { outcome }: ObjectEntry,
  written: WrittenFile | null,
  digest: Digest,
): string {
  if (written === null || !(outcome instanceof StoredValue)) return digest(outcome);
  return digest(new InlineValue(written.bytes, 0, outcome.size, outcome.specials));
}

// oxlint-disable-next-line max-params -- the fields of both kinds of encoded values.
function encoded(
  bytes: Uint8Array,
  start: number,
  length: number,
  specials: readonly Special[],
): string {
  const names = specials.map((special) => ` ${nameOf(special)}`).join("");
  return `${length} bytes #${hashOf(bytes, start, length)}${names}`;
}

const basis = 0x811c9dc5;
const prime = 0x01000193;

/** FNV on four lanes of words: a large value is read about as fast as memory gives it. */
function hashOf(bytes: Uint8Array, start: number, length: number): string {
  // The same words wherever the value lies, and on every machine.
  const words = new DataView(bytes.buffer, bytes.byteOffset + start, length);
  let [a, b, c, d] = [basis, basis, basis, basis];
  const end = length - (length % 16);
  for (let i = 0; i < end; i += 16) {
    a = Math.imul(a ^ words.getInt32(i, true), prime);
    b = Math.imul(b ^ words.getInt32(i + 4, true), prime);
    c = Math.imul(c ^ words.getInt32(i + 8, true), prime);
    d = Math.imul(d ^ words.getInt32(i + 12, true), prime);
  }
  for (let i = end; i < length; i++) a = Math.imul(a ^ words.getUint8(i), prime);
  if (end === 0) return hex(a);
  return hex(a) + hex(b) + hex(c) + hex(d);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

function nameOf(special: Special): string {
  switch (special.type) {
    case "ref":
    case "actor":
      return `${special.owner}.${special.serial}.${special.index}`;
    case "function":
      return `${special.descriptor.moduleUrl}#${special.descriptor.displayName}`;
  }
}
