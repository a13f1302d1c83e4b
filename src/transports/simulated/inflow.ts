/** Where an endpoint's frames come from: told when one of them has been read, or will never be. */
import type { Link } from "./network-watch.ts";

export interface Inflow {
  readonly link: Link;
  onRead(frameBytes: number): void;
}
