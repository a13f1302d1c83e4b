/** Shows all that user code of a process gets to the oracles, from now on. */
import type { Outcome } from "#engine/protocol/outcome.ts";
import type { Values } from "#api/values.ts";

export function watchValues(
  values: Values,
  onGiven: (value: unknown, outcome: Outcome) => void,
): void {
  const { decode } = values;
  const watched: typeof decode = (outcome, entry) => {
    const value = decode.call(values, outcome, entry);
    onGiven(value, outcome);
    return value;
  };
  values.decode = watched;
}
