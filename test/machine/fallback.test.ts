/** What is put while the store is full: segments of the threads' own, then files. */
import { describe, expect, test } from "vitest";
import { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { managedSegment, ownFilesPerSegment, ownSegmentsFrom } from "#engine/protocol/arena.ts";
import { noSpecials, StoredValue } from "#engine/protocol/outcome.ts";
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import { checksumOf } from "#engine/services/checksum.ts";
import { DiskError, type DiskErrorCode } from "#engine/services/disk.ts";
import { FallbackFiles } from "#engine/services/fallback-files.ts";
import { makeMemoryWords, OwnSegments, tellingFreeBytes } from "#engine/services/own-segments.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { RecordingOutbox } from "./recording-outbox.ts";
import { driver, nodeId, otherNodeId, RayletHarness, worker } from "./raylet-harness.ts";

const size = 200;
const place: SpilledPlace = { file: 7_000, offset: 0, size, checksums: [7] };

describe("own segments", () => {
  test("of all threads of a node are counted together", () => {
    const words = makeMemoryWords(0);
    const [a, b] = [10, 20].map((from) => new OwnSegments({ words, bytesMax: 8_192, from }));
    expect(a?.take(5_000)).toBe(10);
    expect(b?.take(5_000)).toBeUndefined();
    expect(b?.take(3_000)).toBe(20);
    a?.giveBack(5_000);
    expect(b?.take(5_000)).toBe(21);
    b?.giveBack(3_000);
    b?.giveBack(5_000);
    expect(words[0]).toBe(0);
  });

  test("may take what the store has free, and the bound beside it", () => {
    const words = makeMemoryWords(4_096);
    const own = new OwnSegments({ words, bytesMax: 8_192, from: 10 });
    expect(own.take(12_288)).toBe(10);
    expect(own.take(1)).toBeUndefined();
    let freeBytes = 8_192;
    const handle = (): void => void (freeBytes -= 1_000);
    const machine = { handle, nextDeadlineMs: () => Infinity, checkInvariants: () => {} };
    const telling = tellingFreeBytes(machine, words, () => freeBytes);
    telling.handle({ type: "deadline" }, 0, new RecordingOutbox<never>());
    expect(own.take(3_072)).toBe(11);
    expect(own.take(1)).toBeUndefined();
  });

  test("never take the numbers of another thread", () => {
    const words = makeMemoryWords(0);
    const own = new OwnSegments({ words, bytesMax: 2 ** 30, from: 0 });
    const taken = Array.from({ length: 16_384 }, () => own.take(1));
    expect(taken.every((number, n) => number === n)).toBe(true);
    expect(own.take(1)).toBeUndefined();
  });
});

describe("a file that put writes", () => {
  function onDisk(error: DiskErrorCode | null, usedShare = 0) {
    const written = new Map<string, Uint8Array>();
    const disk = {
      writeAll: (path: string, bytes: Uint8Array) => {
        written.set(path, bytes.slice());
        if (error !== null) throw new DiskError(error, path, "as the test said");
      },
      remove: (path: string) => void written.delete(path),
      usedShare: () => usedShare,
    };
    const numbers = { prefix: "file-", diskUsedMax: 0.95, ownSegmentsFrom };
    return { written, files: new FallbackFiles({ disk, ...numbers }) };
  }

  test("has a number that nobody else gives out, and checksums", () => {
    const { written, files } = onDisk(null);
    const bytes = new Uint8Array(1_200_000).fill(3);
    const first = files.write(bytes);
    const file = ownSegmentsFrom * ownFilesPerSegment;
    const checksums = [bytes.subarray(0, 1 << 20), bytes.subarray(1 << 20)].map(checksumOf);
    expect(first).toEqual({ place: { file, offset: 0, size: 1_200_000, checksums }, bytes });
    expect(written.get(`file-${file}`)).toEqual(bytes);
    expect(files.write(bytes)).toMatchObject({ place: { file: file + 1 } });
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

  test("removes the file when the owner ends", () => {
    const h = new Keeper();
    h.written(worker(1));
    h.handle({ type: "workerExited", workerId: worker(1), exit: { type: "exited", code: 0 } });
    expect(h.instructions("deleteSpillFile")).toHaveLength(1);
  });
});
