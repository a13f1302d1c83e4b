/**
 * Spilled objects as files on a Disk: what a thread for spilling, or the one thread of a local node
 * or of the simulator, does when the raylet asks for it. Each file is written once and never
 * changed; it need not survive a crash, so nothing is synced.
 */
import { type ArenaBytes, FrameBytes } from "#engine/protocol/arena.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import {
  checksumBlockBytes,
  type ObjectRestored,
  type ObjectsSpilled,
  type ReadSpilled,
  type RestoreObject,
  type SpilledRead,
  type SpillFailure,
  type SpillObjects,
} from "#engine/raylet/spill-io.ts";
import { checksumOf } from "./checksum.ts";
import { type Disk, DiskError } from "./disk.ts";

export type SpillDisk = Pick<Disk, "writeAll" | "readInto" | "remove" | "list" | "usedShare">;

export class SpillFilesOnDisk {
  readonly #disk: SpillDisk;
  readonly #arena: ArenaBytes;
  /** What the name of every file begins with. */
  readonly #prefix: string;
  /** … and those of former lives of this node. */
  readonly #area: string;
  readonly #diskUsedMax: number;

  constructor(parts: {
    disk: SpillDisk;
    arena: ArenaBytes;
    prefix: string;
    area?: string;
    diskUsedMax: number;
  }) {
    this.#disk = parts.disk;
    this.#arena = parts.arena;
    this.#prefix = parts.prefix;
    this.#area = parts.area ?? parts.prefix;
    this.#diskUsedMax = parts.diskUsedMax;
  }

  async spill({ requestId, file, parts }: SpillObjects): Promise<ObjectsSpilled> {
    const path = this.#pathOf(file);
    const bytes = parts.map((part) => this.#bytesOf(part));
    try {
      const failure = await this.#whyNoRoom();
      if (failure !== null) return spilled(requestId, [], failure);
      const checksums = bytes.map(checksumsOf);
      await this.#disk.writeAll(path, bytes);
      return spilled(requestId, checksums, null);
    } catch (error) {
      // What was written of it takes room that is short already.
      await this.delete(file);
      return spilled(requestId, [], failureOf(error));
    }
  }

  async restore({ requestId, place, to }: RestoreObject): Promise<ObjectRestored> {
    const type = "objectRestored";
    const failure = await this.#read(place, { fromBlock: 0, bytes: this.#bytesOf(to) });
    return { type, requestId, failure };
  }

  /** With all blocks that have a part of it, so that they can be looked at. */
  async readPart({ requestId, place, offset, size }: ReadSpilled): Promise<SpilledRead> {
    const type = "spilledRead";
    const fromBlock = Math.floor(offset / checksumBlockBytes);
    const from = fromBlock * checksumBlockBytes;
    const blocks = Math.ceil((offset + size - from) / checksumBlockBytes);
    const bytes = new Uint8Array(Math.min(blocks * checksumBlockBytes, place.size - from));
    const failure = await this.#read(place, { fromBlock, bytes });
    const part = failure === null ? new FrameBytes(bytes, offset - from, size) : null;
    return { type, requestId, bytes: part, failure };
  }

  /** It is of no use, and of no harm either when it cannot be removed. */
  async delete(file: number): Promise<void> {
    await this.#disk.remove(this.#pathOf(file)).catch(ignore);
  }

  /**
   * Of this node's former lives, which have left without tidying up. Returns how many have gone;
   * throws when some could not be removed.
   */
  async clearOthers(): Promise<number> {
    let count = 0;
    let failure: unknown = null;
    for (const path of await this.#disk.list(this.#area)) {
      if (path.startsWith(this.#prefix)) continue;
      await this.#disk.remove(path).then(
        () => (count += 1),
        (error: unknown) => (failure = error),
      );
    }
    if (failure !== null) throw failure;
    return count;
  }

  async clear(): Promise<void> {
    const paths = await this.#disk.list(this.#prefix).catch((): string[] => []);
    for (const path of paths) await this.#disk.remove(path).catch(ignore);
  }

  async #read(
    { file, offset, checksums }: SpilledPlace,
    { fromBlock, bytes }: { readonly fromBlock: number; readonly bytes: Uint8Array },
  ): Promise<SpillFailure | null> {
    const path = this.#pathOf(file);
    const at = offset + fromBlock * checksumBlockBytes;
    try {
      const length = await this.#disk.readInto(path, at, bytes);
      const isSame = checksumsOf(bytes).every((one, i) => one === checksums[fromBlock + i]);
      if (length === bytes.length && isSame) return null;
    } catch (error) {
      return failureOf(error);
    }
    const text = `${bytes.length} bytes at ${at} of ${path} are not those that were written`;
    return { kind: "corrupt", text };
  }

  async #whyNoRoom(): Promise<SpillFailure | null> {
    return whyTooFull(await this.#disk.usedShare(this.#prefix), this.#diskUsedMax);
  }

  #bytesOf({ segment, offset, size }: SpillObjects["parts"][number]): Uint8Array {
    return this.#arena.bytes(segment).subarray(offset, offset + size);
  }

  #pathOf(file: number): string {
    return `${this.#prefix}${file}`;
  }
}

function spilled(
  requestId: number,
  checksums: ObjectsSpilled["checksums"],
  failure: SpillFailure | null,
): ObjectsSpilled {
  return { type: "objectsSpilled", requestId, checksums, failure };
}

export function whyTooFull(share: number, most: number): SpillFailure | null {
  if (share < most) return null;
  const [used, allowed] = [share, most].map((one) => `${Math.round(one * 100)} %`);
  return { kind: "full", text: `the disk is ${used} full, ${allowed} is the most` };
}

export function failureOf(error: unknown): SpillFailure {
  const text = error instanceof Error ? error.message : String(error);
  const isFull = error instanceof DiskError && error.code === "ENOSPC";
  return { kind: isFull ? "full" : "io", text };
}

export function checksumsOf(bytes: Uint8Array): number[] {
  const checksums: number[] = [];
  for (let at = 0; at < bytes.length; at += checksumBlockBytes) {
    checksums.push(checksumOf(bytes.subarray(at, at + checksumBlockBytes)));
  }
  return checksums;
}

function ignore(): void {}
