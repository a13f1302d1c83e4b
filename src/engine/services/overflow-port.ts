/**
 * PORT: makes and drops the segments that the store gives out beyond what it has. Every thread of
 * the node that reads or writes the arena maps them.
 */
export interface OverflowPort {
  /** False when there is no memory for it. */
  make(segment: number, size: number): boolean;
  drop(segment: number): void;
}
