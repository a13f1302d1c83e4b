/** The disk of a real machine for a thread that waits for it: `put` in a store that is full. */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { DiskError } from "#engine/services/disk.ts";
import type { DiskNow } from "#engine/services/fallback-files.ts";
import { makeDirectoryNow } from "./make-directory.ts";
import { codeOf } from "./node-disk.ts";

export const nodeDiskNow: DiskNow = {
  writeAll: (path, bytes) =>
    told(path, () => {
      makeDirectoryNow(dirname(path));
      const file = openSync(path, "w");
      try {
        // One call may write less than it was given.
        for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      } finally {
        closeSync(file);
      }
    }),
  remove: (path) => told(path, () => rmSync(path)),
  usedShare: (path) =>
    told(path, () => {
      makeDirectoryNow(dirname(path));
      const { blocks, bavail } = statfsSync(dirname(path));
      return blocks === 0 ? 0 : 1 - bavail / blocks;
    }),
};

function told<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DiskError(codeOf(code), path, message);
  }
}
