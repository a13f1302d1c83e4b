/**
 * What a simulated network asks of the world it is in: time, chance, and what stands in the way.
 */
import type { MessageType } from "#engine/protocol/message.ts";

/** A process on the network, as far as the world must know it. */
export interface Place {
  readonly name: string;
  /** Number of its machine. */
  readonly node: number;
  readonly isClosed: boolean;
}

/** In words when somebody reads it. */
export interface Said {
  /** Of all that it says: equal for what is equal. */
  readonly digest: number;
  readonly text: string;
}

/** Something under way. */
export interface Flight {
  readonly from: Place;
  readonly to: Place;
  /** For the trace. */
  readonly said: string | Said;
  /** Null for what is no message: a worker's exit, an acknowledgement. */
  readonly type: MessageType | null;
  /** The step of the world that sent it. */
  readonly causeId: number;
  /** When it is there unless a fault holds it, in virtual time: once the world has healed. */
  readonly freeMs: number;
  /** The link under it has been cut: it does not arrive. */
  isDropped(): boolean;
  /** Whether one of them that comes behind it is `wanted`: those have no step of their own yet. */
  isFollowedBy(wanted: (flight: Flight) => boolean): boolean;
  /** It is there. */
  arrive(): void;
}

/**
 * What becomes of a frame that is put on a link between nodes. replay: the link is cut behind it,
 * and once the session goes on over the next one, it arrives there from the old one.
 */
export type Fate = "pass" | "cut" | "lose" | "duplicate" | "reorder" | "replay";

export interface NetworkWorld {
  /** A link without life for so long is given up by both ends. */
  readonly linkTimeoutMs: number;
  /** So much may be under way to one peer before what is optional waits. */
  readonly linkWindowBytes: number;
  nowMs(): number;
  /** The step that is happening. */
  readonly stepId: number;
  /** Virtual time a frame is under way; the world draws it. */
  delayMs(from: Place, to: Place): number;
  /** What faults add to it until the world heals. */
  faultDelayMs(from: Place, to: Place, sizeBytes: number): number;
  /** It arrives once, at a virtual time with what faults add, or as soon as that is past. */
  deliverAt(atMs: number, flight: Flight): void;
  /** A step of the process at `place`, if it lives then. */
  linkStep(place: Place, delayMs: number, step: LinkStep): void;
  /** From 0 up to 1, from the stream of this link. */
  draw(from: Place, to: Place): number;
  /** Until when nothing gets from one node to the other; 0 when nothing is in the way. */
  blockedUntilMs(fromNode: number, toNode: number): number;
  isPaused(node: number): boolean;
  fateOf(from: Place, to: Place, type: MessageType): Fate;
  /** Whether the link is cut once this frame has been handled. */
  cutsBehind(from: Place, to: Place, type: MessageType): boolean;
  onSessionResumed(): void;
  /** Somebody who waited for room on a link is told of it. */
  onRoomTold(): void;
  /** A frame that was put on a link before goes on the next one. */
  onResent(type: MessageType): void;
}

export interface LinkStep {
  readonly what: string;
  /** Nothing follows from it but more of its kind. */
  readonly isUpkeep: boolean;
  run(): void;
}
