/** The refs inside an outcome: what it keeps alive wherever it is kept. */
import {
  type ActorSpecial,
  FailedValue,
  noSpecials,
  type Outcome,
  type RefSpecial,
  type Special,
} from "#engine/protocol/outcome.ts";

/** An error may name things too: fields of what user code threw. */
export function specialsOf(outcome: Outcome): readonly Special[] {
  if (typeof outcome !== "object" || outcome === null) return noSpecials;
  if (outcome instanceof FailedValue) return outcome.cause?.specials ?? noSpecials;
  return outcome.specials;
}

/** It names an object: a ref, or a handle, which is a ref to its actor's own object. */
export type CountedSpecial = RefSpecial | ActorSpecial;

export function isCounted(special: Special): special is CountedSpecial {
  return special.type === "ref" || (special.type === "actor" && !special.isDetached);
}
