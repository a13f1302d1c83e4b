/**
 * Life of one pull: LOCATING at the owner → WAITING for room in the store → FETCHING chunks → over.
 * One serves all who wait for the object on this node, and goes on at the next node with a copy of
 * the same version when its source is lost. One of a copy that was spilled here waits for room, and
 * its FETCHING is to read it back.
 */
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type { PullPriority } from "#engine/protocol/copy.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import type { Copy } from "./copy.ts";

/** What one process asked for, until it lets go of it. */
export interface CopyRequest {
  readonly process: WorkerId;
  readonly requestId: number;
  priority: PullPriority;
  /** While it waits. */
  pull: Pull | null;
  /** Once it is here: pinned. */
  copy: Copy | null;
}

export class Pull {
  readonly owner: WorkerId;
  readonly serial: number;
  readonly index: number;
  /** Rises with every pull of the node: first come, first served. */
  readonly order: number;
  readonly requests = new Set<CopyRequest>();
  state: "new" | "locating" | "waiting" | "fetching" | "over" = "new";
  /** On the disk of this node: nothing is asked of others. */
  copy: Copy | null = null;
  version = 0;
  size = 0;
  /** Nodes with a copy of the version. */
  sources: NodeId[] = [];
  extent: ArenaExtent | null = null;
  receivedBytes = 0;
  /** When it gives up waiting for room. */
  roomDeadlineMs = Infinity;
  /** … however often others have given up before it. */
  roomLatestMs = Infinity;
  #turn = 0;
  #askedThrough = 0;
  /** Asked of a source that was lost. */
  #again: { readonly offset: number; readonly size: number }[] = [];

  constructor(owner: WorkerId, name: { serial: number; index: number }, order: number) {
    this.owner = owner;
    this.serial = name.serial;
    this.index = name.index;
    this.order = order;
  }

  /** Of the most urgent of its requests. */
  get priority(): PullPriority {
    let least: PullPriority = 2;
    for (const { priority } of this.requests) if (priority < least) least = priority;
    return least;
  }

  waitForRoom(nowMs: number, timeoutMs: number): void {
    if (this.roomDeadlineMs < Infinity) return;
    this.roomDeadlineMs = nowMs + timeoutMs;
    this.roomLatestMs = this.roomDeadlineMs + timeoutMs;
  }

  /** Another one has given up, and who asked for that lets go of more: perhaps it is enough. */
  waitLonger(untilMs: number): void {
    if (this.roomDeadlineMs === Infinity) return;
    this.roomDeadlineMs = Math.max(this.roomDeadlineMs, Math.min(untilMs, this.roomLatestMs));
  }

  /** Nothing of another version, or of none, is kept. */
  begin(version: number, size: number): void {
    this.version = version;
    this.size = size;
    this.receivedBytes = 0;
    this.#askedThrough = 0;
    this.#again = [];
  }

  /** The next part to ask for, and of whom; null when all has been asked for. */
  takeNext(chunkBytes: number): { source: NodeId; offset: number; size: number } | null {
    const source = this.sources[this.#turn % Math.max(1, this.sources.length)];
    if (source === undefined) return null;
    const again = this.#again.pop();
    const offset = again?.offset ?? this.#askedThrough;
    const size = again?.size ?? Math.min(chunkBytes, this.size - this.#askedThrough);
    if (size === 0) return null;
    if (again === undefined) this.#askedThrough += size;
    this.#turn += 1;
    return { source, offset, size };
  }

  askAgain(part: { readonly offset: number; readonly size: number }): void {
    this.#again.push({ offset: part.offset, size: part.size });
  }
}
