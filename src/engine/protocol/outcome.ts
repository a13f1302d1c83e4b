/**
 * User values as the engine sees them: opaque. A primitive is itself; everything else is encoded
 * bytes inside a frame (inline), bytes in the node's arena (stored), or an error.
 */
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { EngineError } from "#engine/common/error-type.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";

export type Primitive = undefined | null | boolean | number | string;

/** Things inside a value that the engine must see: the encoded body names them by position. */
export type Special = RefSpecial | ActorSpecial | FunctionSpecial;

export interface RefSpecial {
  readonly type: "ref";
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  /** A direct argument: the body gets the value. Otherwise the ref stays a ref. */
  readonly topLevel: boolean;
}

/** A handle: a ref to the actor's own object, which has no value and is owned by its maker. */
export interface ActorSpecial {
  readonly type: "actor";
  readonly owner: WorkerId;
  readonly serial: number;
  /** `actorIndex`: not on the wire. */
  readonly index: number;
  readonly className: string;
  /** Nobody counts its handles. */
  readonly isDetached: boolean;
}

export interface FunctionSpecial {
  readonly type: "function";
  readonly descriptor: FunctionDescriptor;
  /** The options given to `remote` and `.options`, encoded by the api. */
  readonly options: InlineValue;
}

export const noSpecials: readonly Special[] = [];

/**
 * Bytes of one encoded value. Whoever keeps it beyond the handling of its message must own `bytes`.
 */
export class InlineValue {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  readonly specials: readonly Special[];

  constructor(bytes: Uint8Array, start: number, length: number, specials: readonly Special[]) {
    this.bytes = bytes;
    this.start = start;
    this.length = length;
    this.specials = specials;
  }
}

/** Bytes of one encoded value in the arena of a node. */
export class StoredValue {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
  readonly specials: readonly Special[];
  /** Whose arena; null for the node of the process that has this. */
  readonly node: NodeId | null;
  /** The attempt that made it; 0 for what no task made. */
  readonly version: number;

  // oxlint-disable-next-line max-params -- the place is four numbers, and most lie here.
  constructor(
    segment: number,
    offset: number,
    size: number,
    specials: readonly Special[],
    node: NodeId | null = null,
    version = 0,
  ) {
    this.segment = segment;
    this.offset = offset;
    this.size = size;
    this.specials = specials;
    this.node = node;
    this.version = version;
  }
}

/** `cause` is the user's error for TASK_ERROR, encoded; null for the engine's own errors. */
export class FailedValue {
  readonly error: EngineError;
  readonly cause: InlineValue | null;

  constructor(error: EngineError, cause: InlineValue | null) {
    this.error = error;
    this.cause = cause;
  }
}

export type Encoded = InlineValue | StoredValue;
export type Outcome = Primitive | InlineValue | StoredValue | FailedValue;

export const noArguments = new InlineValue(new Uint8Array(0), 0, 0, noSpecials);
