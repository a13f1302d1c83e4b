/**
 * What happened in a run: a rolling hash of every step, the last lines in words, and the causes of
 * each.
 */
const linesKept = 100_000;
const fnvPrime = 0x01000193;
const highPrime = 0x85ebca6b;

export interface TraceLine {
  /** From 1, in order. */
  readonly id: number;
  readonly atMs: number;
  readonly kind: string;
  readonly where: string;
  /** A frame's digest is part of it: two payloads that differ are two events. */
  readonly what: string;
  readonly causeId: number;
  /** Heartbeats and the like: of no interest to who looks for what went wrong. */
  readonly isUpkeep: boolean;
}

const timeWords = new Uint32Array(2);
const timeNumber = new Float64Array(timeWords.buffer);

export class Trace {
  #hashLow = 0x811c9dc5;
  #hashHigh = fnvPrime;
  #count = 0;
  /** The low word of the rolling hash after each event. */
  readonly #hashes: number[] = [];
  /** Of texts that come again and again: kinds and places. */
  readonly #wordByText = new Map<string, number>();
  /** The newest, at most twice `linesKept`. */
  #lines: TraceLine[] = [];

  get count(): number {
    return this.#count;
  }

  /** Of everything so far: equal for equal runs. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#hashHigh) + hex(this.#hashLow);
  }

  /** Returns the line's id. */
  add({ atMs, kind, where, what, causeId, isUpkeep }: Omit<TraceLine, "id">): number {
    timeNumber[0] = atMs;
    this.#mixWord(timeWords[0] as number);
    this.#mixWord(timeWords[1] as number);
    this.#mixWord(this.#wordOf(kind));
    this.#mixWord(this.#wordOf(where));
    this.#mix(what);
    this.#hashes.push(this.#hashLow);
    this.#count += 1;
    const id = this.#count;
    this.#lines.push({ id, atMs, kind, where, what, causeId, isUpkeep });
    if (this.#lines.length >= 2 * linesKept) this.#lines = this.#lines.slice(linesKept);
    return id;
  }

  /** Of the events up to this one. Two runs that have parted do not meet again. */
  hashAfter(id: number): number {
    return this.#hashes[id - 1] ?? 0;
  }

  /** All that is kept, oldest first. */
  whole(): string {
    return this.#lines.map(formatLine).join("\n");
  }

  /** The last lines up to a step that are no upkeep, and how many of that are left out between. */
  tail(
    count: number,
    untilId: number,
  ): { readonly lines: readonly string[]; readonly leftOut: number } {
    const lines: string[] = [];
    let leftOut = 0;
    for (let i = this.#lines.length - 1; i >= 0 && lines.length < count; i--) {
      const line = this.#lines[i] as TraceLine;
      if (line.id > untilId) continue;
      if (line.isUpkeep) leftOut += 1;
      else lines.push(formatLine(line));
    }
    return { lines: lines.reverse(), leftOut };
  }

  lineOf(id: number): TraceLine | undefined {
    return this.#lines[id - this.#count + this.#lines.length - 1];
  }

  /** The last line that names the entity. */
  lastAbout(entity: string): TraceLine | undefined {
    return this.#lines.findLast((line) => line.what.includes(entity));
  }

  lines(): IterableIterator<TraceLine> {
    return this.#lines.values();
  }

  #wordOf(text: string): number {
    let word = this.#wordByText.get(text);
    if (word === undefined) {
      word = 0;
      for (let i = 0; i < text.length; i++) word = Math.imul(word ^ text.charCodeAt(i), fnvPrime);
      word ^= text.length;
      this.#wordByText.set(text, word);
    }
    return word;
  }

  #mix(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mixWord(text.charCodeAt(i));
    // So that ("ab", "c") and ("a", "bc") differ.
    this.#mixWord(text.length);
  }

  #mixWord(word: number): void {
    this.#hashLow = Math.imul(this.#hashLow ^ word, fnvPrime);
    this.#hashHigh = Math.imul(this.#hashHigh ^ (word + (this.#hashLow >>> 15)), highPrime);
  }
}

/** The first event that is not the same in both runs; 0 when all are. */
export function firstDivergence(first: Trace, second: Trace): number {
  const common = Math.min(first.count, second.count);
  let low = 1;
  let high = common + 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (first.hashAfter(middle) === second.hashAfter(middle)) low = middle + 1;
    else high = middle;
  }
  return low > common && first.count === second.count ? 0 : low;
}

export function formatLine({ id, atMs, kind, where, what, causeId }: TraceLine): string {
  const cause = causeId === 0 ? "" : ` ← ${causeId}`;
  const time = atMs.toFixed(3).padStart(10);
  return `${String(id).padStart(6)} ${time} ms ${kind} ${where} ${what}${cause}`;
}
