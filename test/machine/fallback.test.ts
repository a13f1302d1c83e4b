/** What is put while the store is full: segments of the threads' own, then files. */
import { describe, expect, test, vi } from "vitest";
import { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import {
  managedSegment,
  ownFilesFrom,
  ownSegmentsFrom,
  overflowSegmentsFrom,
} from "#engine/protocol/arena.ts";
import { noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import { checksumOf } from "#engine/services/checksum.ts";
import { DiskError, type DiskErrorCode } from "#engine/services/disk.ts";
import { FallbackFiles } from "#engine/services/fallback-files.ts";
import { MemoryWords } from "#engine/services/memory-words.ts";
import { OwnSegments, tellingFreeBytes } from "#engine/services/own-segments.ts";
import { SharedArena } from "#transports/threads/shared-arena.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";
import { driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const size = 200;
const place: SpilledPlace = { file: 7_000, offset: 0, size, checksums: [7] };

function wordsOf(storeBytes = 0, threads = 2): MemoryWords {
  return MemoryWords.of({ storeBytes, threads });
}

/** Of two threads of a node. */
function ownOf(words: MemoryWords, bytesMax: number, thread = 0): OwnSegments {
  return new OwnSegments({ words, thread, bytesMax });
}

describe("own segments", () => {
  test("of all threads of a node are counted together", () => {
    const words = wordsOf();
    const [a, b] = [ownOf(words, 8_192), ownOf(words, 8_192, 1)];
    expect(a.take(5_000)).toBe(ownSegmentsFrom);
    expect(b.take(5_000)).toBeUndefined();
    expect(b.take(3_000)).toBe(ownSegmentsFrom + 1);
    a.giveBack(5_000);
    expect(b.take(5_000)).toBe(ownSegmentsFrom + 2);
    b.giveBack(3_000);
    b.giveBack(5_000);
    expect(words.ownBytes).toBe(0);
  });

  test("may take what the store has free, and the bound beside it", () => {
    const words = wordsOf(4_096);
    const own = ownOf(words, 8_192);
    expect(own.take(12_288)).toBe(ownSegmentsFrom);
    expect(own.take(1)).toBeUndefined();
    let freeBytes = 8_192;
    const handle = (): void => void (freeBytes -= 1_000);
    const machine = { handle, nextDeadlineMs: () => Infinity, checkInvariants: () => {} };
    const telling = tellingFreeBytes(machine, words, () => freeBytes);
    telling.handle({ type: "deadline" }, 0, new RecordingOutbox<never>());
    expect(own.take(3_072)).toBe(ownSegmentsFrom + 1);
    expect(own.take(1)).toBeUndefined();
  });

  test("have numbers for as long as anybody can make some, and each one once", () => {
    const words = wordsOf();
    const threads = [ownOf(words, 2 ** 30), ownOf(new MemoryWords(words.shared), 2 ** 30, 1)];
    const taken = new Set<number | undefined>();
    for (let n = 0; n < 200_000; n++) {
      const own = threads[n % 3 === 0 ? 1 : 0];
      taken.add(own?.take(1));
      own?.giveBack(1);
    }
    expect(taken.size).toBe(200_000);
    expect(taken.has(undefined)).toBe(false);
  });

  test("end with the last number below those of others, and count nothing then", () => {
    const words = wordsOf();
    words.shared.numbers[0] = BigInt(overflowSegmentsFrom - 1);
    const own = ownOf(words, 2 ** 30);
    expect(own.take(5_000)).toBe(overflowSegmentsFrom - 1);
    own.giveBack(5_000);
    for (let n = 0; n < 2; n++) expect(own.take(5_000)).toBeUndefined();
    expect(words.ownBytes).toBe(0);
  });

  test("that the system has no memory for are not counted", () => {
    const words = wordsOf();
    const own = ownOf(words, 2 ** 30);
    expect(own.make(5_000)?.buffer.byteLength).toBe(5_000);
    vi.stubGlobal("SharedArrayBuffer", function noMemory() {
      throw new RangeError("Array buffer allocation failed");
    });
    try {
      expect(own.make(7_000)).toBeUndefined();
    } finally {
      vi.unstubAllGlobals();
    }
    own.giveBack(5_000);
    expect(words.ownBytes).toBe(0);
  });

  test("of an ended thread count as the host's, as far as they were announced", () => {
    const words = wordsOf();
    const [host, ended] = [ownOf(words, 16_384), ownOf(words, 16_384, 1)];
    host.take(1_000);
    for (const size of [2_000, 3_000, 4_000]) ended.take(size);
    // The last one was never announced: the thread ended while it made it.
    words.takeOver(1, 0, [2_000, 3_000]);
    expect(words.ownBytes).toBe(1_024 + 2_048 + 3_072);
    for (const size of [2_000, 3_000]) words.removeOwn(0, size);
    expect(words.ownBytes).toBe(1_024);
    const next = ownOf(words, 16_384, 1);
    expect(next.take(15_000)).toBe(ownSegmentsFrom + 4);
  });

  test("of one process are found in the arena, and dropped but for some", () => {
    const [maker, other] = [workerIdOf(nodeId, 1), workerIdOf(nodeId, 2)];
    const dropped: number[] = [];
    const arena = new SharedArena([[0, new SharedArrayBuffer(4_096)]]);
    const add = (segment: number, size: number, its: WorkerId): void =>
      arena.add(segment, new SharedArrayBuffer(size), its);
    for (const n of [1, 2, 3]) add(n, 10 * n, maker);
    for (const n of [4, 5]) add(n, 10 * n, other);
    arena.onDropped = ({ byteLength }) => void dropped.push(byteLength);
    expect(arena.ownOf(maker).map(({ size }) => size)).toEqual([10, 20, 30]);
    arena.drop(3);
    expect(arena.dropOwn(maker, [2]).map(({ size }) => size)).toEqual([10]);
    expect(arena.dropOwn(maker, [])).toEqual([{ segment: 2, size: 20 }]);
    expect(arena.ownOf(maker)).toEqual([]);
    expect(dropped).toEqual([30, 10, 20]);
    expect(arena.segments().map(([segment]) => segment)).toEqual([0, 4, 5]);
  });
});

describe("a file that put writes", () => {
  function onDisk(error: DiskErrorCode | null, usedShare = 0) {
    const written = new Map<string, Uint8Array>();
    const knownAhead: (number | null)[] = [];
    const disk = {
      writeAll: (path: string, bytes: Uint8Array) => {
        knownAhead.push(last());
        written.set(path, bytes.slice());
        if (error !== null) throw new DiskError(error, path, "as the test said");
      },
      remove: (path: string) => void written.delete(path),
      usedShare: () => usedShare,
    };
    const words = wordsOf();
    const where = { prefix: "file-", diskUsedMax: 0.95 };
    const last = () => words.lastFileOf(1);
    return {
      written,
      knownAhead,
      files: new FallbackFiles({ disk, ...where, words, thread: 1 }),
      last,
    };
  }

  test("has a number that nobody else gives out, and checksums", () => {
    const { written, files } = onDisk(null);
    const bytes = new Uint8Array(1_200_000).fill(3);
    const first = files.write(bytes);
    const file = ownFilesFrom;
    const checksums = [bytes.subarray(0, 1 << 20), bytes.subarray(1 << 20)].map(checksumOf);
    expect(first).toEqual({ place: { file, offset: 0, size: 1_200_000, checksums }, bytes });
    expect(written.get(`file-${file}`)).toEqual(bytes);
    expect(files.write(bytes)).toMatchObject({ place: { file: file + 1 } });
  });

  test("is known to the other threads before anything of it is there", () => {
    const { files, knownAhead, last } = onDisk(null);
    expect(last()).toBeNull();
    for (let n = 0; n < 2; n++) files.write(new Uint8Array(10));
    const file = ownFilesFrom;
    expect(knownAhead).toEqual([file, file + 1]);
    expect(last()).toBe(file + 1);
  });

  test("of an ended thread is not taken for one of the next with its words", () => {
    const words = wordsOf();
    const [first, second] = [words.takeFile(1), words.takeFile(0)];
    expect([words.lastFileOf(1), words.lastFileOf(0)]).toEqual([first, second]);
    words.takeOver(1, 0, []);
    expect([words.lastFileOf(1), words.lastFileOf(0)]).toEqual([null, second]);
    expect(new Set([first, second, words.takeFile(1)]).size).toBe(3);
  });

  test("is not left behind when the disk could not write it", () => {
    const { written, files } = onDisk("ENOSPC");
    expect(files.write(new Uint8Array(10))).toMatchObject({ kind: "full" });
    expect(written.size).toBe(0);
    expect(onDisk("EIO").files.write(new Uint8Array(10))).toMatchObject({ kind: "io" });
  });

  test("is not begun on a disk that is as full as it may be", () => {
    const { written, files } = onDisk(null, 0.96);
    const failure = { kind: "full", text: "the disk is 96 % full, 95 % is the most" };
    expect(files.write(new Uint8Array(10))).toEqual(failure);
    expect(written.size).toBe(0);
  });
});

class Writer extends CoreWorkerHarness {
  written(): ObjectEntry {
    const entry = new ObjectEntry(this.self, this.core.serials.take(), 0);
    entry.outcome = new StoredValue(managedSegment, 0, size, noSpecials, nodeId);
    entry.state = "AVAILABLE";
    entry.localRefs = 1;
    this.handle({ type: "putObject", entry, place });
    return entry;
  }
}

describe("its owner", () => {
  test("tells the raylet, and others once the raylet knows of it", () => {
    const h = new Writer();
    const entry = h.written();
    const { serial, index } = entry;
    const { requestId } = h.out.last("objectWritten", nodeId);
    expect(h.out.last("objectWritten")).toMatchObject({ serial, index, version: 0, place });
    h.handle({ type: "locateObject", from: otherNodeId, object: { serial, index } });
    expect(h.out.all("objectLocations")).toEqual([]);
    h.handle({ type: "objectsKept", from: nodeId, requestId });
    expect(h.out.last("objectLocations", otherNodeId).nodes).toEqual([nodeId]);
  });

  test("lets go of it where it lies, also before the raylet has answered", () => {
    const h = new Writer();
    const entry = h.written();
    const { serial, index } = entry;
    h.drop(entry);
    expect(h.out.last("freeObjects", nodeId).objects).toEqual([{ serial, index, version: 0 }]);
    expect(h.out.all("freeArena")).toEqual([]);
  });
});

class Keeper extends RayletHarness {
  constructor() {
    super({ segments: [1024], prestartCount: 1 });
    this.withWorkers(1);
  }

  written(from = driver): void {
    const name = { serial: 1, index: 0, version: 0 };
    this.handle({ type: "objectWritten", from, requestId: 5, ...name, place });
  }

  instructions(type: string) {
    return this.out.instructions.filter((one) => one.type === type);
  }
}

describe("its raylet", () => {
  test("reads it back for who asks, and removes the file with the object", () => {
    const h = new Keeper();
    h.written();
    expect(h.out.last("objectsKept", driver).requestId).toBe(5);
    const object = { serial: 1, index: 0 };
    const pull = { type: "pullObject", from: driver, owner: driver, object } as const;
    h.handle({ ...pull, requestId: 6, priority: 0 });
    expect(h.instructions("restoreObject")).toMatchObject([{ place }]);
    h.handle({ type: "objectRestored", requestId: 1, failure: null });
    expect(h.out.last("objectLocal", driver).outcome).toMatchObject({ size, segment: 0 });
    h.handle({ type: "unpinObjects", from: driver, requestIds: [6] });
    h.handle({ type: "freeObjects", from: driver, objects: [{ ...object, version: 0 }] });
    expect(h.instructions("deleteSpillFile")).toEqual([{ type: "deleteSpillFile", file: 7_000 }]);
    expect(h.raylet.counts.arenaFreeBytes).toBe(1024);
  });

  test("counts it apart from what it has spilled", () => {
    const h = new Keeper();
    h.written();
    h.handle({ type: "listState", from: driver, requestId: 1, kind: "stores", limit: 9 });
    const [page] = h.out.all("stateListed", driver);
    const own = { fallbackObjects: 1, fallbackBytes: size, spilledObjects: 0, spillFiles: 1 };
    expect(page?.rows.stores).toMatchObject([own]);
  });

  test("removes the file when the owner ends", () => {
    const h = new Keeper();
    h.written(worker(1));
    h.handle({ type: "workerExited", workerId: worker(1), exit: { type: "exited", code: 0 } });
    expect(h.instructions("deleteSpillFile")).toHaveLength(1);
  });

  test("removes the file of a dead owner when the last who reads it is done", () => {
    const h = new Keeper();
    h.written(worker(1));
    const object = { serial: 1, index: 0 };
    const pull = { type: "pullObject", from: driver, owner: worker(1), object } as const;
    h.handle({ ...pull, requestId: 6, priority: 0 });
    h.handle({ type: "objectRestored", requestId: 1, failure: null });
    h.exit(1);
    h.handle({ type: "arenaInUse", from: driver, of: worker(1), extents: [] });
    expect(h.instructions("deleteSpillFile")).toEqual([]);
    h.handle({ type: "unpinObjects", from: driver, requestIds: [6] });
    expect(h.instructions("deleteSpillFile")).toEqual([{ type: "deleteSpillFile", file: 7_000 }]);
    expect(h.raylet.counts.arenaFreeBytes).toBe(1024);
  });

  test("removes the file of a dead owner that was being read back", () => {
    const h = new Keeper();
    h.written(worker(1));
    const object = { serial: 1, index: 0 };
    const pull = { type: "pullObject", from: driver, owner: worker(1), object } as const;
    h.handle({ ...pull, requestId: 6, priority: 0 });
    h.exit(1);
    h.handle({ type: "objectRestored", requestId: 1, failure: null });
    h.handle({ type: "arenaInUse", from: driver, of: worker(1), extents: [] });
    expect(h.instructions("deleteSpillFile")).toEqual([{ type: "deleteSpillFile", file: 7_000 }]);
    expect(h.raylet.counts.arenaFreeBytes).toBe(1024);
  });

  test("removes what the dead was writing, unless it was told of it", () => {
    const h = new Keeper();
    h.written(worker(1));
    h.handle({ type: "fileLeft", file: 7_000 });
    expect(h.instructions("deleteSpillFile")).toEqual([]);
    h.handle({ type: "fileLeft", file: 7_001 });
    expect(h.instructions("deleteSpillFile")).toEqual([{ type: "deleteSpillFile", file: 7_001 }]);
  });
});
