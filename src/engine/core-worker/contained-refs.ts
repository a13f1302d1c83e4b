/** The refs inside an outcome: what it keeps alive wherever it is kept. */
import { FailedValue, noSpecials, type Outcome, type Special } from "#engine/protocol/outcome.ts";

/** An error may name things too: fields of what user code threw. */
export function specialsOf(outcome: Outcome): readonly Special[] {
  if (typeof outcome !== "object" || outcome === null) return noSpecials;
  if (outcome instanceof FailedValue) return outcome.cause?.specials ?? noSpecials;
  return outcome.specials;
}
