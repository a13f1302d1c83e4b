/**
 * The disk of a real machine, as far as spilling needs it. Calls go through Node's thread pool, so
 * the event loop does not wait in them. Bytes may lie in shared memory: they are written from
 * there, and read to there.
 */
import { type FileHandle, open, readdir, rm, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DiskError, type DiskErrorCode } from "#engine/services/disk.ts";
import type { SpillDisk } from "#engine/services/spill-files.ts";
import { makeDirectory } from "./make-directory.ts";

export const nodeDisk: SpillDisk = {
  writeAll: (path, parts) =>
    told(path, async () => {
      await makeDirectory(dirname(path));
      await using(path, "w", async (file) => {
        let at = 0;
        for (const part of parts) {
          await writeWhole(file, part, at);
          at += part.length;
        }
      });
    }),
  readInto: (path, offset, target) =>
    told(path, () => using(path, "r", (file) => readWhole(file, target, offset))),
  remove: (path) => told(path, () => rm(path)),
  list: (prefix) =>
    told(prefix, async () => {
      const directory = dirname(prefix);
      const paths = (await readdir(directory)).map((name) => join(directory, name));
      return paths.filter((path) => path.startsWith(prefix)).sort();
    }),
  usedShare: (path) =>
    told(path, async () => {
      await makeDirectory(dirname(path));
      const { blocks, bavail } = await statfs(dirname(path));
      return blocks === 0 ? 0 : 1 - bavail / blocks;
    }),
};

async function using<T>(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** One call may write less than it was given. */
async function writeWhole(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/** … or read less. */
async function readWhole(file: FileHandle, target: Uint8Array, at: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await file.read(target, done, target.length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function told<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DiskError(codeOf(code), path, message);
  }
}

export function codeOf(code: string | undefined): DiskErrorCode {
  if (code === "ENOENT") return code;
  return code === "ENOSPC" || code === "EDQUOT" ? "ENOSPC" : "EIO";
}
