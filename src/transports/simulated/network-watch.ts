/** Whoever checks the transport's contract sees every frame as it is sent and as it is taken. */
import type { Frame } from "./frame.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { Place } from "./network-world.ts";

/** One direction between two processes: one object for as long as both live. */
export interface Link {
  readonly from: Place;
  readonly to: Place;
}

export interface NetworkWatch {
  onSent(frame: Frame, link: Link): void;
  onTaken(frame: Frame, link: Link): void;
  /** Its sender has had it back: it is never taken. */
  onRetracted(frame: Frame, link: Link): void;
  /** Buffers leave their owner. */
  onMoved(moved: MovedBuffers): void;
}
