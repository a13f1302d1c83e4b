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

export function signatureOf({ oracle, entity, message }: Failure): string {
  const isId = /^[0-9a-f]+$/.test(entity);
  const kind = isId ? (kinds.get(entity.length) ?? "entity") : entity;
  // An assertion of a machine is told by its words; numbers and ids in them change with the run.
  const isInWords = oracle === "program" || entity === "engine";
  const [firstLine = ""] = message.split("\n");
  const words = isInWords ? `: ${firstLine.replace(/[0-9a-f]*\d[0-9a-f.]*/g, "N")}` : "";
  return `${oracle} (${kind})${words}`;
}
