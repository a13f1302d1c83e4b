/** Whoever checks the transport's contract sees every frame as it is sent and as it is taken. */
import type { Frame } from "./frame.ts";

/** One direction between two processes. */
export interface Link {
  readonly from: { readonly name: string; readonly isClosed: boolean };
  readonly to: { readonly name: string; readonly isClosed: boolean };
}

export interface NetworkWatch {
  onSent(frame: Frame, link: Link): void;
  onTaken(frame: Frame): void;
}
