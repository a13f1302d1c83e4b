/**
 * What kind of failure a run shows: the oracle that fired and the kind of entity it fired on. While
 * a run shrinks it must stay the same, or another bug would be shrunk.
 */
export interface Failure {
  /** `<number> <name>` of an oracle, or "program" for what the program threw. */
  readonly oracle: string;
  readonly entity: string;
  readonly message: string;
}

/** Ids are hexadecimal, and each kind has a length of its own. */
const kinds: ReadonlyMap<number, string> = new Map([
  [32, "node"],
  [40, "process"],
  [52, "task"],
  [56, "object"],
]);

/** Numbers and ids in words change with the run. */
const numbers = /[0-9a-f]*\d[0-9a-f.]*/g;

export function signatureOf({ oracle, entity, message }: Failure): string {
  const isId = /^[0-9a-f]+$/.test(entity);
  const kind = isId ? (kinds.get(entity.length) ?? "entity") : entity.replace(numbers, "N");
  // What was thrown and an assertion of a machine, real IO and a rejection are told by their words.
  const isInWords = oracle === "program" || oracle === "17 hygiene";
  const [firstLine = ""] = message.split("\n");
  const words = isInWords ? `: ${firstLine.replace(numbers, "N")}` : "";
  return `${oracle} (${kind})${words}`;
}
