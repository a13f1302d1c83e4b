/** A copy of an object on this node, wherever its bytes are. */
import type { WorkerId } from "#engine/common/ids.ts";
import type { CopyName, SealedObject } from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";

export class Copy implements CopyName {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  readonly version: number;
  readonly size: number;
  /** In memory, or null. */
  extent: ArenaExtent | null;
  /** On the disk, or null. */
  spilled: SpilledPlace | null = null;
  /** It is being read back from there. */
  isRestoring = false;
  /** Nobody reads it without a pin. */
  isManaged: boolean;
  /** Before, its place was told to others than its owner. */
  wasTold = false;
  /** Its owner counts on it; others go when room is needed. */
  isPrimary: boolean;
  /** The owner itself wrote it, in this node's arena. */
  readonly isOwners: boolean;
  /** Its owner died while it had a pin, and processes of this node may read it where it lies. */
  isForsaken = false;
  /** Processes of this node that read it, and what is written or read of it. */
  pinCount = 0;
  /** When it was brought here, among all that were; 0 for what was made here. */
  arrival = 0;

  constructor({ owner, serial, index, version, extent }: SealedObject, kind: CopyKind) {
    this.owner = owner;
    this.serial = serial;
    this.index = index;
    this.version = version;
    this.extent = extent;
    this.size = extent.size;
    this.isPrimary = kind !== "secondary";
    this.isOwners = kind === "owner's";
    this.isManaged = kind !== "owner's";
  }
}

export type CopyKind = "owner's" | "primary" | "secondary";

export function nameOf({ serial, index, version }: CopyName): CopyName {
  return { serial, index, version };
}
