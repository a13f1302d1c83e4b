/** The refs inside an outcome: what it keeps alive wherever it is kept. */
import {
  FailedValue,
  noSpecials,
  type Outcome,
  type Special,
  StoredValue,
} from "#engine/protocol/outcome.ts";

/** An error may name things too: fields of what user code threw. */
export function specialsOf(outcome: Outcome): readonly Special[] {
  if (typeof outcome !== "object" || outcome === null) return noSpecials;
  if (outcome instanceof FailedValue) return outcome.cause?.specials ?? noSpecials;
  return outcome.specials;
}

/** Bytes that the outcome has in the arena, its own or its error's. */
export function storedIn(outcome: Outcome): StoredValue | null {
  const encoded = outcome instanceof FailedValue ? outcome.cause : outcome;
  return encoded instanceof StoredValue ? encoded : null;
}
