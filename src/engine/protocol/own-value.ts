/**
 * Copies of what must outlive the frame it came in: a transport lends the bytes of a message only
 * until its handler returns, so whoever keeps a value, or sends it on to its own process, owns it
 * first.
 */
import type { ActorSpec, FailedCreation } from "./gcs.ts";
import { FailedValue, InlineValue, StoredValue } from "./outcome.ts";
import type { Encoded, Outcome, Special } from "./outcome.ts";

export function ownEncoded(value: Encoded): Encoded {
  return value instanceof InlineValue ? ownInline(value) : ownStored(value);
}

export function ownOutcome(outcome: Outcome): Outcome {
  if (outcome instanceof InlineValue) return ownInline(outcome);
  if (outcome instanceof StoredValue) return ownStored(outcome);
  if (outcome instanceof FailedValue) {
    const { error, cause } = outcome;
    return cause === null ? outcome : new FailedValue(error, ownInline(cause));
  }
  return outcome;
}

export function ownFailure(failure: FailedCreation): FailedCreation {
  const { error, cause } = failure;
  return cause === null ? failure : { error, cause: ownInline(cause) };
}

export function ownActorSpec(spec: ActorSpec): ActorSpec {
  const values = spec.values === null ? null : spec.values.map(ownOutcome);
  return { ...spec, args: ownEncoded(spec.args), values };
}

function ownInline(value: InlineValue): InlineValue {
  const bytes = value.bytes.slice(value.start, value.start + value.length);
  return new InlineValue(bytes, 0, value.length, ownSpecials(value.specials));
}

function ownStored(value: StoredValue): StoredValue {
  const { segment, offset, size, node, version } = value;
  return new StoredValue(segment, offset, size, ownSpecials(value.specials), node, version);
}

/** Only a remote function carries bytes of its own: its options. */
export function ownSpecials(specials: readonly Special[]): readonly Special[] {
  if (!specials.some((special) => special.type === "function")) return specials;
  return specials.map((special) =>
    special.type === "function" ? { ...special, options: ownInline(special.options) } : special,
  );
}
