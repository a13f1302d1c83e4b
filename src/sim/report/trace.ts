/**
 * What happened in a run: a rolling hash of every step, the last lines in words, and the causes of
 * each.
 *
 * A line is a row in columns: there are many, hardly one is ever read, and an object each would be
 * moved by the collector again and again.
 */
import type { Said } from "#transports/simulated/network-world.ts";

const linesKept = 100_000;
const fnvPrime = 0x01000193;
const highPrime = 0x85ebca6b;

export interface Happening {
  readonly atMs: number;
  readonly kind: string;
  readonly where: string;
  /** A frame's digest is part of it: two payloads that differ are two events. */
  readonly what: string | Said;
  /** Where it came from; "" for what has come from nowhere else. */
  readonly from: string;
  readonly causeId: number;
  /** Heartbeats and the like: of no interest to who looks for what went wrong. */
  readonly isUpkeep: boolean;
}

export interface TraceLine extends Omit<Happening, "what" | "from"> {
  /** From 1, in order. */
  readonly id: number;
  /** With where it came from. */
  readonly what: string;
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
  /** Of the newest lines, at most twice `linesKept`: a column each. */
  #times: number[] = [];
  #kinds: string[] = [];
  #places: string[] = [];
  #whats: (string | Said)[] = [];
  #sources: string[] = [];
  #causes: number[] = [];
  #upkeep: boolean[] = [];

  get count(): number {
    return this.#count;
  }

  /** Of everything so far: equal for equal runs. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#hashHigh) + hex(this.#hashLow);
  }

  /** Returns the line's id. */
  add({ atMs, kind, where, what, from, causeId, isUpkeep }: Happening): number {
    timeNumber[0] = atMs;
    this.#mixWord(timeWords[0] as number);
    this.#mixWord(timeWords[1] as number);
    this.#mixWord(this.#wordOf(kind));
    this.#mixWord(this.#wordOf(where));
    if (typeof what === "string") this.#mix(what);
    else this.#mixWord(what.digest);
    if (from !== "") this.#mixWord(this.#wordOf(from));
    this.#hashes.push(this.#hashLow);
    this.#times.push(atMs);
    this.#kinds.push(kind);
    this.#places.push(where);
    this.#whats.push(what);
    this.#sources.push(from);
    this.#causes.push(causeId);
    this.#upkeep.push(isUpkeep);
    if (this.#times.length >= 2 * linesKept) this.#forget(linesKept);
    this.#count += 1;
    return this.#count;
  }

  /** The oldest. */
  #forget(count: number): void {
    this.#times = this.#times.slice(count);
    this.#kinds = this.#kinds.slice(count);
    this.#places = this.#places.slice(count);
    this.#whats = this.#whats.slice(count);
    this.#sources = this.#sources.slice(count);
    this.#causes = this.#causes.slice(count);
    this.#upkeep = this.#upkeep.slice(count);
  }

  /** Of the events up to this one. Two runs that have parted do not meet again. */
  hashAfter(id: number): number {
    return this.#hashes[id - 1] ?? 0;
  }

  /** All that is kept, oldest first. */
  whole(): string {
    return Array.from(this.lines(), formatLine).join("\n");
  }

  /** The last lines up to a step that are no upkeep, and how many of that are left out between. */
  tail(
    count: number,
    untilId: number,
  ): { readonly lines: readonly string[]; readonly leftOut: number } {
    const lines: string[] = [];
    let leftOut = 0;
    for (let id = Math.min(untilId, this.#count); lines.length < count; id--) {
      const line = this.lineOf(id);
      if (line === undefined) break;
      if (line.isUpkeep) leftOut += 1;
      else lines.push(formatLine(line));
    }
    return { lines: lines.reverse(), leftOut };
  }

  lineOf(id: number): TraceLine | undefined {
    const row = id - this.#oldestId;
    const what = this.#whats[row];
    if (what === undefined) return undefined;
    const text = typeof what === "string" ? what : what.text;
    const source = this.#sources[row] as string;
    return {
      id,
      atMs: this.#times[row] as number,
      kind: this.#kinds[row] as string,
      where: this.#places[row] as string,
      what: source === "" ? text : `${text} from ${source}`,
      causeId: this.#causes[row] as number,
      isUpkeep: this.#upkeep[row] as boolean,
    };
  }

  /** The last line that names the entity. */
  lastAbout(entity: string): TraceLine | undefined {
    for (let id = this.#count; id >= this.#oldestId; id--) {
      const line = this.lineOf(id);
      if (line?.what.includes(entity) === true) return line;
    }
    return undefined;
  }

  /** Oldest first. */
  *lines(): IterableIterator<TraceLine> {
    for (let id = this.#oldestId; id <= this.#count; id++) yield this.lineOf(id) as TraceLine;
  }

  get #oldestId(): number {
    return this.#count - this.#times.length + 1;
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
