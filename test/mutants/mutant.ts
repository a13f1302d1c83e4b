/** A bug that is planted on purpose: small, and of a kind that somebody might write. */
export interface Mutant {
  readonly name: string;
  readonly why: string;
  readonly edits: readonly Edit[];
  /** Of test/simulation, instead of random ones: those hardly ever spill, and transfer nothing. */
  readonly program?: string;
}

/** The text to find is in the file exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** An example bug of docs/internals/simulation.md that has nothing to be planted in yet. */
export interface LaterMutant {
  readonly name: string;
  readonly waitsFor: string;
}
