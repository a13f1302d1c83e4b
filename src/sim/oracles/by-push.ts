/** What is remembered of pushes without an answer, by owner, stream and seq. */
type BySeq<V> = Map<number, V>;

export class ByPush<V> {
  readonly #owners = new Map<string, Map<number, BySeq<V>>>();

  // oxlint-disable-next-line max-params -- a push by its three parts, and what is known of it.
  set(owner: string, stream: number, seq: number, value: V): void {
    let streams = this.#owners.get(owner);
    if (streams === undefined) this.#owners.set(owner, (streams = new Map()));
    let seqs = streams.get(stream);
    if (seqs === undefined) streams.set(stream, (seqs = new Map()));
    seqs.set(seq, value);
  }

  /** … and forgotten. */
  take(owner: string, stream: number, seq: number): V | undefined {
    const seqs = this.#owners.get(owner)?.get(stream);
    const value = seqs?.get(seq);
    if (value !== undefined) seqs?.delete(seq);
    return value;
  }
}
