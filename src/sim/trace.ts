/**
 * What happened in a run: a rolling hash of every step, the last lines in words, and the causes of
 * each.
 */
const linesKept = 100_000;

export interface TraceLine {
  /** From 1, in order. */
  readonly id: number;
  readonly atMs: number;
  readonly kind: string;
  readonly where: string;
  readonly what: string;
  readonly causeId: number;
}

export class Trace {
  #hashLow = 0x811c9dc5;
  #hashHigh = 0x01000193;
  #count = 0;
  readonly #lines = new Map<number, TraceLine>();

  get count(): number {
    return this.#count;
  }

  /** Of everything so far: equal for equal runs. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#hashHigh) + hex(this.#hashLow);
  }

  /** Returns the line's id. */
  add(line: Omit<TraceLine, "id">): number {
    this.#count += 1;
    const id = this.#count;
    this.#mix(`${line.atMs.toFixed(3)}|${line.kind}|${line.where}|${line.what}`);
    this.#lines.set(id, { id, ...line });
    if (this.#lines.size > linesKept) this.#lines.delete(id - linesKept);
    return id;
  }

  /** The last lines, oldest first. */
  tail(count: number): string {
    const lines = [...this.#lines.values()].slice(-count);
    return lines.map(formatLine).join("\n");
  }

  lineOf(id: number): TraceLine | undefined {
    return this.#lines.get(id);
  }

  /** The lines that led to `id`, oldest first, and itself. */
  causesOf(id: number, max: number): TraceLine[] {
    const causes: TraceLine[] = [];
    for (let at = id; at > 0 && causes.length < max;) {
      const line = this.#lines.get(at);
      if (line === undefined) break;
      causes.push(line);
      at = line.causeId;
    }
    return causes.reverse();
  }

  /** The last line that names the entity. */
  lastAbout(entity: string): TraceLine | undefined {
    let last: TraceLine | undefined;
    for (const line of this.#lines.values()) if (line.what.includes(entity)) last = line;
    return last;
  }

  lines(): IterableIterator<TraceLine> {
    return this.#lines.values();
  }

  #mix(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      this.#hashLow = Math.imul(this.#hashLow ^ unit, 0x01000193);
      this.#hashHigh = Math.imul(this.#hashHigh ^ (unit + i), 0x85ebca6b);
    }
  }
}

export function formatLine({ id, atMs, kind, where, what, causeId }: TraceLine): string {
  const cause = causeId === 0 ? "" : ` ← ${causeId}`;
  const time = atMs.toFixed(3).padStart(10);
  return `${String(id).padStart(6)} ${time} ms ${kind} ${where} ${what}${cause}`;
}
