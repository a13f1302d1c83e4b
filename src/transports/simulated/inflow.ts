/** Where an endpoint's frames come from: told when one of them has been read, or will never be. */
export interface Inflow {
  onRead(frameBytes: number): void;
}
