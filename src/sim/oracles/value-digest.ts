/** Digests of outcomes, by which the oracles tell values apart without decoding them. */
import { FailedValue, InlineValue, StoredValue } from "#engine/protocol/outcome.ts";
import type { Special } from "#engine/protocol/outcome.ts";
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

// oxlint-disable-next-line max-params -- the fields of both kinds of encoded values.
function encoded(
  bytes: Uint8Array,
  start: number,
  length: number,
  specials: readonly Special[],
): string {
  let hash = 0x811c9dc5;
  for (let i = start; i < start + length; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  }
  const names = specials.map(nameOf).join(" ");
  return `${length} bytes #${(hash >>> 0).toString(16)} ${names}`;
}

function nameOf(special: Special): string {
  switch (special.type) {
    case "ref":
      return `${special.owner}.${special.serial}.${special.index}`;
    case "actor":
      return special.actorId;
    case "function":
      return `${special.descriptor.moduleUrl}#${special.descriptor.displayName}`;
  }
}
