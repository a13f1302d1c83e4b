/**
 * The disk of a simulated machine as two volumes, of memfs or plain: *cache*, what its processes
 * see, and *platter*, what a crash leaves. Files are inodes, so that a name and its bytes become
 * durable apart.
 *
 * State:  both volumes, names as seen and as durable, what changed of them since they were synced,
 *         sectors written since the last sync.
 * In/out: the Disk port of the machine's processes, each call a step of the world; faults; crash.
 * Bounds: `capacityBytes`; beyond `nameChangesMax` changes of names the oldest becomes durable by
 *         itself.
 * Errors: ENOENT, ENOSPC, EIO as a real disk. A call of a process that has died never ends. What
 *         is not synced may be lost or torn without a word, and then its next sync fails.
 * Source: simulation.md, Faults; protocols §10; what fsync means to applications (Rebello 2020).
 */
import { assert } from "#engine/common/assert.ts";
import { Prng } from "#engine/common/prng.ts";
import { type Disk, DiskError, type DiskErrorCode } from "#engine/services/disk.ts";
import type { DiskNow } from "#engine/services/fallback-files.ts";
import type { FileMoment } from "#sim/faults/moments.ts";
import { ProcessExited } from "#sim/virtual/exit.ts";
import type { Life, World } from "#sim/world/world.ts";

export type DiskFault = "full" | "ioError" | "lostFsync" | "tornWrite" | "bitRot" | "slow";

const sectorBytes = 512;
const nameChangesMax = 1_000;
const opDelayMs = { least: 0.02, spread: 0.3, slowFactor: 200 };

/** Of one call: they become durable together. Null: the name is gone. */
type NameChange = readonly (readonly [path: string, inode: Inode | null])[];

interface Inode {
  readonly file: string;
  /** Sectors whose bytes are not on the platter. */
  readonly dirty: Set<number>;
  /** Some could not be brought there, and went out of memory: the next sync says so. */
  hasLost: boolean;
}

export interface SimDiskOptions {
  readonly world: World;
  readonly random: Prng;
  readonly capacityBytes: number;
  /** A sync under `lostFsync` says that all is well, instead of that it failed. */
  readonly isHostile?: boolean;
  readonly cache: Volume;
  readonly platter: Volume;
}

/** Of one process. */
export interface WriteMoments {
  /** Whether its end may hang on it. */
  isAwaited(moment: FileMoment): boolean;
  /** The process may have ended when this returns. */
  come(moment: FileMoment): void;
}

/** What is needed of a file system: memfs has it, too. */
export interface Volume {
  writeFileSync(file: string, bytes: Uint8Array): void;
  readFileSync(file: string): unknown;
  statSync(file: string): { readonly size: number };
}

export class PlainVolume implements Volume {
  readonly #files = new Map<string, Uint8Array>();

  writeFileSync(file: string, bytes: Uint8Array): void {
    this.#files.set(file, bytes);
  }

  readFileSync(file: string): Uint8Array {
    const bytes = this.#files.get(file);
    assert(bytes !== undefined, `the volume has no file ${file}`);
    return bytes;
  }

  statSync(file: string): { readonly size: number } {
    return { size: this.readFileSync(file).length };
  }
}

export class SimDisk {
  readonly #options: SimDiskOptions;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  /** Since the last syncNames, oldest first. */
  #nameChanges: NameChange[] = [];
  readonly #faultUntilMs = new Map<DiskFault, number>();
  #nextInode = 1;
  #usedBytes = 0;
  #hasFailed = false;

  constructor(options: SimDiskOptions) {
    this.#options = options;
  }

  /** The disk as one process sees it: its calls end only while it lives. */
  portFor(life: Life): Disk {
    const call = <T>(what: string, path: string, run: () => T): Promise<T> =>
      this.#call(life, `${what} ${path}`, run);
    return {
      write: (path, offset, bytes) => {
        const own = bytes.slice();
        return call("write", path, () => this.#write(path, offset, own));
      },
      writeAll: (path, parts) => {
        const own = joined(parts);
        return call("write", path, () => {
          if (this.#names.has(path)) this.#remove(path);
          this.#write(path, 0, own);
        });
      },
      readInto: (path, offset, target) =>
        call("read", path, () => {
          const bytes = this.#read(path, offset, target.length);
          target.set(bytes);
          return bytes.length;
        }),
      read: (path, offset, length) => call("read", path, () => this.#read(path, offset, length)),
      size: (path) => call("size", path, () => this.#sizeOf(this.#find(path))),
      rename: (from, to) => call("rename", from, () => this.#rename(from, to)),
      remove: (path) => call("remove", path, () => this.#remove(path)),
      list: (prefix) =>
        call("list", prefix, () => {
          return [...this.#names.keys()].filter((path) => path.startsWith(prefix)).sort();
        }),
      sync: (path) => call("sync", path, () => this.#sync(path)),
      usedShare: (path) => call("statfs", path, () => this.#usedShare),
      syncNames: () => call("syncNames", "", () => void this.#syncNames()),
    };
  }

  /**
   * For a process that waits for the disk: its faults act at that instant. It may end in the midst
   * of what it writes: what it has written by then is there, and no call of it ever returns.
   */
  nowFor(life: Life, moments: WriteMoments): DiskNow {
    const call = <T>(what: string, path: string, run: () => T): T => {
      failIfEnded(life);
      this.#failIfIll(`${what} ${path}`);
      const result = run();
      failIfEnded(life);
      return result;
    };
    return {
      writeAll: (path, bytes) =>
        call("write", path, () => {
          if (moments.isAwaited("fileBegun")) {
            const length = this.#options.random.split(path).below(bytes.length);
            this.#write(path, 0, bytes.subarray(0, length));
            moments.come("fileBegun");
            failIfEnded(life);
          }
          this.#write(path, 0, bytes);
          moments.come("fileWritten");
        }),
      remove: (path) => call("remove", path, () => this.#remove(path)),
      usedShare: (path) => call("statfs", path, () => this.#usedShare),
    };
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  get fileCount(): number {
    return this.#names.size;
  }

  /** A call that was to remove something has failed, or the look for it: it may be there. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  fail(fault: DiskFault, untilMs: number): void {
    this.#faultUntilMs.set(fault, Math.max(this.#faultUntilMs.get(fault) ?? 0, untilMs));
    if (fault === "bitRot") this.#rot();
    if (fault !== "lostFsync" && fault !== "tornWrite") return;
    for (const inode of new Set(this.#names.values())) this.#writeBackBadly(inode, fault);
  }

  heal(): void {
    this.#faultUntilMs.clear();
  }

  /**
   * Power is lost. What was not durable is gone, but for any of the sectors under way: each may
   * have been written or not. Of the changes of names the first may have become durable, as those
   * of a journal do, whatever became of the bytes under them.
   */
  crash(): void {
    const { random } = this.#options;
    const survivorCount = random.below(this.#nameChanges.length + 1);
    for (const change of this.#nameChanges.slice(0, survivorCount))
      apply(change, this.#durableNames);
    this.#nameChanges = [];
    this.#names = new Map(this.#durableNames);
    this.#usedBytes = 0;
    for (const inode of new Set(this.#names.values())) {
      this.#tear(inode);
      const bytes = this.#durable(inode);
      this.#options.cache.writeFileSync(inode.file, bytes);
      this.#usedBytes += bytes.length;
    }
  }

  /** Another disk was put in. */
  wipe(): void {
    this.#names.clear();
    this.#durableNames.clear();
    this.#nameChanges = [];
    this.#usedBytes = 0;
  }

  // ------------------------------------------------------------ calls

  #call<T>(life: Life, what: string, run: () => T): Promise<T> {
    const { world, random } = this.#options;
    const slow = this.#isFailing("slow") ? opDelayMs.slowFactor : 1;
    const delayMs = (opDelayMs.least + random.float() * opDelayMs.spread) * slow;
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          this.#failIfIll(what);
          resolve(run());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      world.after(life, delayMs, { kind: "disk", what, run: step });
    });
  }

  #failIfIll(what: string): void {
    if (!this.#isFailing("ioError")) return;
    if (/^(?:remove|list) /.test(what)) this.#hasFailed = true;
    throw diskError("EIO", what, "input/output error");
  }

  get #usedShare(): number {
    return this.#isFailing("full") ? 1 : this.#usedBytes / this.#options.capacityBytes;
  }

  #write(path: string, offset: number, bytes: Uint8Array): void {
    const known = this.#names.get(path);
    const size = known === undefined ? 0 : this.#sizeOf(known);
    if (offset > size)
      throw new RangeError(`write at ${offset} of ${path}, which has ${size} bytes`);
    const growth = Math.max(0, offset + bytes.length - size);
    const isFull = this.#usedBytes + growth > this.#options.capacityBytes;
    if (isFull || this.#isFailing("full")) throw diskError("ENOSPC", path, "no space left");
    const inode = known ?? this.#make(path);
    const content = new Uint8Array(size + growth);
    content.set(this.#seen(inode));
    content.set(bytes, offset);
    this.#options.cache.writeFileSync(inode.file, content);
    this.#usedBytes += growth;
    const last = Math.floor((offset + Math.max(1, bytes.length) - 1) / sectorBytes);
    for (let sector = Math.floor(offset / sectorBytes); sector <= last; sector++) {
      inode.dirty.add(sector);
    }
    for (const fault of ["lostFsync", "tornWrite"] as const) {
      if (this.#isFailing(fault)) this.#writeBackBadly(inode, fault);
    }
  }

  #read(path: string, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(this.#seen(this.#find(path)).subarray(offset, offset + length));
    // Spoilt on its way: what lies on the disk is well.
    const { random } = this.#options;
    if (bytes.length > 0 && this.#isFailing("bitRot") && random.below(4) === 0) {
      turnBit(bytes, random.below(bytes.length * 8));
    }
    return bytes;
  }

  #rename(from: string, to: string): void {
    const inode = this.#find(from);
    const replaced = this.#names.get(to);
    if (replaced !== undefined && replaced !== inode) this.#usedBytes -= this.#sizeOf(replaced);
    this.#changeNames([
      [from, null],
      [to, inode],
    ]);
  }

  #remove(path: string): void {
    this.#usedBytes -= this.#sizeOf(this.#find(path));
    this.#changeNames([[path, null]]);
  }

  #sync(path: string): void {
    const inode = this.#find(path);
    if (this.#isFailing("lostFsync")) {
      // The drive keeps them in a cache of its own.
      if (this.#options.isHostile === true) return;
      // As Linux does: the pages count as clean from now on, though they never reached the disk.
      inode.dirty.clear();
      throw diskError("EIO", path, "fsync failed");
    }
    const { hasLost } = inode;
    inode.hasLost = false;
    if (hasLost) throw diskError("EIO", path, "fsync failed: some of it was lost before");
    this.#flush(inode, (whole) => whole);
  }

  #syncNames(): void {
    if (this.#isFailing("lostFsync")) {
      if (this.#options.isHostile === true) return;
      throw diskError("EIO", "", "fsync of the directory failed");
    }
    this.#durableNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  // ------------------------------------------------------------ inside

  #isFailing(fault: DiskFault): boolean {
    return (this.#faultUntilMs.get(fault) ?? 0) > this.#options.world.nowMs();
  }

  #find(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw diskError("ENOENT", path, "no such file");
    return inode;
  }

  #make(path: string): Inode {
    const inode: Inode = { file: `/${this.#nextInode}`, dirty: new Set(), hasLost: false };
    this.#nextInode += 1;
    this.#options.cache.writeFileSync(inode.file, new Uint8Array(0));
    this.#options.platter.writeFileSync(inode.file, new Uint8Array(0));
    this.#changeNames([[path, inode]]);
    return inode;
  }

  #changeNames(change: NameChange): void {
    apply(change, this.#names);
    this.#nameChanges.push(change);
    if (this.#nameChanges.length <= nameChangesMax) return;
    const oldest = this.#nameChanges.shift();
    if (oldest !== undefined) apply(oldest, this.#durableNames);
  }

  #sizeOf(inode: Inode): number {
    return this.#options.cache.statSync(inode.file).size;
  }

  #seen({ file }: Inode): Uint8Array {
    return this.#options.cache.readFileSync(file) as Uint8Array;
  }

  #durable({ file }: Inode): Uint8Array {
    return this.#options.platter.readFileSync(file) as Uint8Array;
  }

  /** Each sector under way is on the platter or not; with `tornWrite` also a part of one. */
  #tear(inode: Inode): void {
    const { random } = this.#options;
    const tears = this.#isFailing("tornWrite");
    this.#flush(inode, (whole) => {
      if (random.below(2) === 0) return 0;
      return tears ? random.below(whole + 1) : whole;
    });
  }

  /** Brings of each dirty sector to the platter what `lengthOf` says. */
  #flush(inode: Inode, lengthOf: (whole: number) => number): void {
    const seen = this.#seen(inode);
    const durable = this.#durable(inode);
    const content = new Uint8Array(Math.max(durable.length, seen.length));
    content.set(durable);
    let size = durable.length;
    for (const sector of inode.dirty) {
      const from = sector * sectorBytes;
      const length = lengthOf(Math.min(sectorBytes, seen.length - from));
      if (length <= 0) continue;
      // A sector behind one that is missing leaves a hole of zeros, as on a real disk.
      content.set(seen.subarray(from, from + length), from);
      size = Math.max(size, from + length);
    }
    inode.dirty.clear();
    this.#options.platter.writeFileSync(inode.file, content.slice(0, size));
  }

  /**
   * Whoever never syncs is not told: a file is brought to the platter by itself, some sectors of it
   * cannot be written, or none behind a place in the midst of one, and it goes out of memory.
   */
  #writeBackBadly(inode: Inode, fault: "lostFsync" | "tornWrite"): void {
    const { random, cache, isHostile } = this.#options;
    // A drive that lies has taken them, as far as anybody sees before a crash.
    if (isHostile === true || inode.dirty.size === 0 || random.below(2) === 0) return;
    let wholeCount = random.below(inode.dirty.size);
    const size = this.#sizeOf(inode);
    this.#flush(inode, (whole) => {
      if (fault === "lostFsync") return random.below(2) * whole;
      wholeCount -= 1;
      if (wholeCount >= 0) return whole;
      return wholeCount === -1 ? random.below(whole) : 0;
    });
    const content = new Uint8Array(size);
    content.set(this.#durable(inode));
    cache.writeFileSync(inode.file, content);
    inode.hasLost = true;
  }

  /** One bit of one file turns over, unnoticed. */
  #rot(): void {
    const { random, platter, cache } = this.#options;
    const inodes = [...this.#names.values()].filter((inode) => this.#sizeOf(inode) > 0);
    const inode = inodes[random.below(Math.max(1, inodes.length))];
    if (inode === undefined) return;
    const bit = random.below(this.#sizeOf(inode) * 8);
    for (const volume of [cache, platter]) {
      const bytes = Uint8Array.from(volume.readFileSync(inode.file) as Uint8Array);
      if (bit >> 3 >= bytes.length) continue;
      turnBit(bytes, bit);
      volume.writeFileSync(inode.file, bytes);
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function turnBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

function apply(change: NameChange, names: Map<string, Inode>): void {
  for (const [path, inode] of change) {
    if (inode === null) names.delete(path);
    else names.set(path, inode);
  }
}

function diskError(code: DiskErrorCode, path: string, text: string): DiskError {
  return new DiskError(code, path, text);
}

function failIfEnded({ isAlive, name }: Life): void {
  if (!isAlive) throw new ProcessExited(`${name} has ended`);
}
