/**
 * PORT: files that outlive their process, for whoever spills or logs: append, sync, rename.
 *
 * What was written is durable once `sync` of its file has ended, a name (a file made, renamed or
 * removed) once `syncNames` has. Before that a crash may undo any part of it. Every call may end
 * with a DiskError; then nothing is known of what it was to do, and a failed `sync` means that what
 * was not durable may be gone.
 */

export type DiskErrorCode = "ENOENT" | "ENOSPC" | "EIO";

export class DiskError extends Error {
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, text: string) {
    super(`${code}: ${text}: ${path}`);
    this.code = code;
    this.path = path;
  }
}

export interface Disk {
  /** Writes at `offset`, at most the file's length; makes the file if there is none. */
  write(path: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the file, or makes it anew, of these bytes, one behind the other. */
  writeAll(path: string, parts: readonly Uint8Array[]): Promise<void>;
  /** How many bytes came: fewer where the file ends. */
  readInto(path: string, offset: number, target: Uint8Array): Promise<number>;
  /** Fewer bytes where the file ends. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
  /** In bytes. */
  size(path: string): Promise<number>;
  /** Replaces what has the new name. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Paths with this beginning, in rising order. */
  list(prefix: string): Promise<string[]>;
  sync(path: string): Promise<void>;
  syncNames(): Promise<void>;
  /** How full the disk is under this path, from 0 to 1. */
  usedShare(path: string): Promise<number>;
}
