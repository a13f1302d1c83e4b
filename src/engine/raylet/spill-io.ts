/**
 * What the raylet asks to be done with files, and what it hears of it. Machines know neither bytes
 * nor paths: a file is a number, given out once, and its place in it is where the raylet said.
 */
import type { FrameBytes } from "#engine/protocol/arena.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";

/** Parts of an object can be read, and looked at, block by block. */
export const checksumBlockBytes: number = 1 << 20;

/** Write these, one behind the other, as a new file. Answered by objectsSpilled. */
export interface SpillObjects {
  readonly type: "spillObjects";
  readonly requestId: number;
  readonly file: number;
  readonly parts: readonly ArenaExtent[];
}

/** Read them back, and look whether they are the same. Answered by objectRestored. */
export interface RestoreObject {
  readonly type: "restoreObject";
  readonly requestId: number;
  readonly place: SpilledPlace;
  readonly to: ArenaExtent;
}

/** Read a part of it for another node, and look whether it is the same. Answered by spilledRead. */
export interface ReadSpilled {
  readonly type: "readSpilled";
  readonly requestId: number;
  readonly place: SpilledPlace;
  readonly offset: number;
  readonly size: number;
}

/** Nothing in it is needed any more. */
export interface DeleteSpillFile {
  readonly type: "deleteSpillFile";
  readonly file: number;
}

export type SpillInstruction = SpillObjects | RestoreObject | ReadSpilled | DeleteSpillFile;

/** `full`: no room on the disk, or less than is to be left free. */
export interface SpillFailure {
  readonly kind: "full" | "io" | "corrupt";
  readonly text: string;
}

export interface ObjectsSpilled {
  readonly type: "objectsSpilled";
  readonly requestId: number;
  /** Of each part, of each of its blocks. */
  readonly checksums: readonly (readonly number[])[];
  /** Then there is no such file. */
  readonly failure: SpillFailure | null;
}

export interface ObjectRestored {
  readonly type: "objectRestored";
  readonly requestId: number;
  readonly failure: SpillFailure | null;
}

export interface SpilledRead {
  readonly type: "spilledRead";
  readonly requestId: number;
  /** Null if it failed. */
  readonly bytes: FrameBytes | null;
  readonly failure: SpillFailure | null;
}

export type SpillEvent = ObjectsSpilled | ObjectRestored | SpilledRead;

/**
 * A process has ended that may have been writing this file for a value it put. Comes behind all
 * that the process had sent, so we know of the file if anybody but the dead does.
 */
export interface FileLeft {
  readonly type: "fileLeft";
  readonly file: number;
}
