/** Where the bytes of one object lie on this node's disk. */
export interface SpilledPlace {
  readonly file: number;
  readonly offset: number;
  readonly size: number;
  /** Of each block of the bytes, made when they were written. */
  readonly checksums: readonly number[];
}
