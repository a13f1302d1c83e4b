/**
 * Makes a directory and those above it, one at a time. Not Node's `recursive`: in a place where
 * nothing can be made and yet nothing is missing (/proc), it begins again for ever.
 */
import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Rejects with the system's error. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (isParentMissing(error, path)) {
      await makeDirectory(dirname(path));
      // Another may have made it meanwhile.
      await mkdir(path).catch((again: unknown) => unlessDirectory(path, again));
    } else await unlessDirectory(path, error);
  }
}

/** By a thread that waits for it. Throws the system's error. */
export function makeDirectoryNow(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isParentMissing(error, path)) return unlessDirectoryNow(path, error);
    makeDirectoryNow(dirname(path));
    try {
      mkdirSync(path);
    } catch (again) {
      unlessDirectoryNow(path, again);
    }
  }
}

function isParentMissing(error: unknown, path: string): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT" && dirname(path) !== path;
}

/** Systems differ in how they refuse to make what is there. */
async function unlessDirectory(path: string, error: unknown): Promise<void> {
  const isThere = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isThere) throw error;
}

function unlessDirectoryNow(path: string, error: unknown): void {
  try {
    if (statSync(path).isDirectory()) return;
  } catch {
    // What was wrong first says more.
  }
  throw error;
}
