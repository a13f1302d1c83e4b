/**
 * Directories of spilled objects whose process was killed: nobody else removes them, so whoever
 * starts in the same place does. One of a process that may be alive is left alone.
 *
 * A process is known by its id on its machine only: the name has both. Where several machines, or
 * containers, share the place, each looks after its own.
 */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

const beginning = "mobula-spill-";
const nameOfOne = /^mobula-spill-([0-9a-f]{8})-(\d+)-[0-9a-f]{32}$/;
/** Of a clock that was set between the start of a process and its first file. */
const clockErrorMs = 5_000;
/** Of living nodes of this thread; another one of this process may have some, too. */
const ours = new Set<string>();

/** For a node of this process. */
export function spillDirectoryIn(place: string, nodeId: string): string {
  return join(place, `${beginning}${machineKey()}-${process.pid}-${nodeId}`);
}

/**
 * A node begins to use its own, and removes what is left beside it. What cannot be removed stays:
 * perhaps another is just removing it.
 */
export async function beginIn(spillDirectory: string): Promise<void> {
  ours.add(basename(spillDirectory));
  const place = dirname(spillDirectory);
  for (const name of await readdir(place).catch((): string[] => [])) {
    const path = join(place, name);
    if (await isLeft(name, path)) await rm(path, { recursive: true, force: true }).catch(ignore);
  }
}

export function endIn(spillDirectory: string): void {
  ours.delete(basename(spillDirectory));
}

async function isLeft(name: string, path: string): Promise<boolean> {
  const [, machine, pid] = nameOfOne.exec(name) ?? [];
  if (machine !== machineKey() || ours.has(name)) return false;
  if (Number(pid) !== process.pid) return !isAlive(Number(pid));
  // In a container the first process has the same id each time.
  const startMs = Date.now() - process.uptime() * 1_000;
  const changedMs = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Infinity,
  );
  return changedMs + clockErrorMs < startMs;
}

/** Somebody has that id: whether it is the same process nobody can tell. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

let key: string | undefined;

/** Where a process id means one process: containers of one host have ids of their own. */
function machineKey(): string {
  key ??= createHash("sha256")
    .update([hostname(), read("/etc/machine-id"), idsOf("/proc/self/ns/pid")].join("\n"))
    .digest("hex")
    .slice(0, 8);
  return key;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

function idsOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}

function ignore(): void {}
