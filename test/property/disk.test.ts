/** The simulated disk: what is synced survives, what is not may be torn, errors are told. */
import fc from "fast-check";
import { memfs } from "memfs";
import { describe, expect, test } from "vitest";
import { Prng } from "#engine/common/prng.ts";
import type { Disk } from "#engine/services/disk.ts";
import { SimDisk } from "#sim/cluster/disk.ts";
import { type Life, World } from "#sim/world/world.ts";

const life: Life = { name: "writer", node: 0, hasUserCode: true, isAlive: true };

class Machine {
  readonly world: World;
  readonly disk: SimDisk;
  port: Disk;

  constructor(seed: number, capacityBytes = 1 << 20, isHostile = false) {
    this.world = new World({ seed, nodeCount: 1, choices: [], choicesOnly: true });
    this.world.addLife(life);
    this.disk = new SimDisk({
      world: this.world,
      random: new Prng(seed),
      capacityBytes,
      isHostile,
      cache: memfs().fs,
      platter: memfs().fs,
    });
    this.port = this.disk.portFor(life);
  }

  /** The steps that the program waits for, until it ends. */
  async run<T>(program: (disk: Disk) => Promise<T>): Promise<T> {
    let isOver = false;
    const ended = program(this.port).finally(() => {
      isOver = true;
    });
    ended.catch(() => {});
    await this.world.run(() => isOver, Infinity, Infinity);
    return ended;
  }

  /** Power fails after so many calls of the program have ended. */
  async crashAfter(calls: number, program: (disk: Disk) => Promise<void>): Promise<void> {
    const dying: Life = { name: `life${calls}`, node: 0, hasUserCode: true, isAlive: true };
    this.world.addLife(dying);
    let left = calls;
    let isOver = false;
    program(counted(this.disk.portFor(dying), () => (left -= 1))).then(
      () => (isOver = true),
      () => (isOver = true),
    );
    await this.world.run(() => isOver || left <= 0, Infinity, Infinity);
    dying.isAlive = false;
    this.disk.crash();
  }
}

/** Calls back when a call of the port has ended. */
function counted(port: Disk, onEnded: () => void): Disk {
  const wrap =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      call(...args).finally(onEnded);
  return {
    write: wrap(port.write),
    writeAll: wrap(port.writeAll),
    readInto: wrap(port.readInto),
    usedShare: wrap(port.usedShare),
    read: wrap(port.read),
    size: wrap(port.size),
    rename: wrap(port.rename),
    remove: wrap(port.remove),
    list: wrap(port.list),
    sync: wrap(port.sync),
    syncNames: wrap(port.syncNames),
  };
}

const bytesOf = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value);

describe("a simulated disk", () => {
  test("gives back what was written", async () => {
    const m = new Machine(1);
    await m.run(async (disk) => {
      await disk.write("a", 0, bytesOf(1, 700));
      await disk.write("a", 500, bytesOf(2, 700));
      expect(await disk.size("a")).toBe(1200);
      expect(await disk.read("a", 499, 3)).toEqual(Uint8Array.of(1, 2, 2));
      expect(await disk.read("a", 1199, 100)).toEqual(Uint8Array.of(2));
      await disk.rename("a", "b");
      expect(await disk.list("")).toEqual(["b"]);
      await disk.remove("b");
      await expect(disk.read("b", 0, 1)).rejects.toMatchObject({ code: "ENOENT" });
    });
  });

  test("a log keeps what it acknowledged, whenever the power fails", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 60 }), async (seed, calls) => {
        const m = new Machine(seed);
        let acknowledged = 0;
        await m.crashAfter(calls, async (disk) => {
          await disk.write("log", 0, bytesOf(0, 0));
          await disk.syncNames();
          for (let record = 1; record <= 20; record++) {
            await disk.write("log", (record - 1) * 300, bytesOf(record, 300));
            await disk.sync("log");
            acknowledged = record;
          }
        });
        const found = await m.run(async (disk) => {
          if ((await disk.list("")).length === 0) return null;
          return disk.read("log", 0, 1 << 20);
        });
        if (found === null) expect(acknowledged).toBe(0);
        for (let record = 1; record <= acknowledged; record++) {
          const kept = found?.slice((record - 1) * 300, record * 300);
          expect(kept).toEqual(bytesOf(record, 300));
        }
        // At most one record was under way.
        expect(found?.length ?? 0).toBeLessThanOrEqual((acknowledged + 1) * 300);
      }),
      { numRuns: 200 },
    );
  });

  test("a file that is replaced is the old one or the new one, never a mixture", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const m = new Machine(seed);
      await m.run(async (disk) => {
        await disk.write("state", 0, bytesOf(1, 2000));
        await disk.sync("state");
        await disk.syncNames();
      });
      await m.crashAfter(seed % 5, async (disk) => {
        await disk.write("state.new", 0, bytesOf(2, 2000));
        await disk.sync("state.new");
        await disk.rename("state.new", "state");
        await disk.syncNames();
      });
      const content = await m.run((disk) => disk.read("state", 0, 4000));
      expect([bytesOf(1, 2000), bytesOf(2, 2000)]).toContainEqual(content);
      seen.add(String(content[0]));
    }
    expect([...seen].sort()).toEqual(["1", "2"]);
  });

  test("without sync a crash may keep any of it", async () => {
    const kept = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const m = new Machine(seed);
      await m.run(async (disk) => {
        await disk.write("a", 0, bytesOf(0, 0));
        await disk.syncNames();
        await disk.write("a", 0, bytesOf(7, 2048));
      });
      if (seed % 2 === 1) m.disk.fail("tornWrite", Infinity);
      m.disk.crash();
      kept.add(await m.run((disk) => disk.size("a")));
    }
    expect(kept.has(0)).toBe(true);
    expect(kept.has(2048)).toBe(true);
    expect([...kept].some((size) => size % 512 !== 0)).toBe(true);
  });

  test("a failed sync means that it is gone", async () => {
    const m = new Machine(5);
    await m.run(async (disk) => {
      await disk.write("a", 0, bytesOf(1, 100));
      await disk.sync("a");
      await disk.syncNames();
      m.disk.fail("lostFsync", Infinity);
      await disk.write("a", 100, bytesOf(2, 100));
      await expect(disk.sync("a")).rejects.toMatchObject({ code: "EIO" });
      m.disk.heal();
      // It looks as if all were well, as on Linux.
      await disk.sync("a");
    });
    m.disk.crash();
    const kept = await m.run((disk) => disk.read("a", 0, 1000));
    expect(kept).toEqual(bytesOf(1, 100));
  });

  test("a name that was not synced is the old or the new one, whatever lies under it", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const m = new Machine(seed);
      await m.run(async (disk) => {
        await disk.write("state", 0, bytesOf(1, 600));
        await disk.sync("state");
        await disk.syncNames();
        await disk.write("state.new", 0, bytesOf(2, 600));
        if (seed % 2 === 0) await disk.sync("state.new");
        await disk.rename("state.new", "state");
      });
      m.disk.crash();
      const [names, content] = await m.run(async (disk) => {
        return [await disk.list(""), await disk.read("state", 0, 1_000)] as const;
      });
      const isNew = content.length !== 600 || content[0] !== 1;
      // What was made before a rename that is durable is durable too.
      if (isNew) expect(names).toEqual(["state"]);
      if (isNew && seed % 2 === 0) expect(content).toEqual(bytesOf(2, 600));
      const what = content.length === 600 ? String(content[0]) : `${content.length} bytes`;
      seen.add(`${what}, ${names.length} names`);
    }
    // Without a sync of its bytes the file under the new name may be empty: the classic.
    for (const state of ["1, 1 names", "1, 2 names", "2, 1 names", "0 bytes, 1 names"]) {
      expect(seen).toContain(state);
    }
  });

  test("names that nobody syncs become durable after a while", async () => {
    const m = new Machine(3);
    await m.run(async (disk) => {
      for (let i = 0; i < 1_001; i++) await disk.write(`file${i}`, 0, bytesOf(1, 1));
    });
    m.disk.crash();
    expect(await m.run((disk) => disk.list(""))).toContain("file0");
  });

  test("a lying sync, in a hostile world, says that all is well; a crash takes it", async () => {
    const kept = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const m = new Machine(seed, 1 << 20, true);
      await m.run(async (disk) => {
        await disk.write("a", 0, bytesOf(0, 0));
        await disk.syncNames();
        m.disk.fail("lostFsync", Infinity);
        await disk.write("a", 0, bytesOf(3, 512));
        await disk.sync("a");
        await disk.syncNames();
        m.disk.heal();
        // An honest one brings it to the platter after all.
        if (seed % 2 === 0) await disk.sync("a");
      });
      m.disk.crash();
      const size = await m.run((disk) => disk.size("a"));
      if (seed % 2 === 0) expect(size).toBe(512);
      else kept.add(size);
    }
    expect([...kept].sort()).toEqual([0, 512]);
  });

  test("says when it is full or broken, is slow in virtual time, and rots unnoticed", async () => {
    const m = new Machine(9, 1000);
    await m.run(async (disk) => {
      await disk.write("a", 0, bytesOf(1, 900));
      await expect(disk.write("b", 0, bytesOf(1, 101))).rejects.toMatchObject({ code: "ENOSPC" });
      await disk.remove("a");
      await disk.write("b", 0, bytesOf(1, 101));
      m.disk.fail("ioError", m.world.nowMs() + 1000);
      await expect(disk.read("b", 0, 1)).rejects.toMatchObject({ code: "EIO" });
      m.disk.heal();
      const beforeMs = m.world.nowMs();
      await disk.read("b", 0, 1);
      const usualMs = m.world.nowMs() - beforeMs;
      m.disk.fail("slow", Infinity);
      await disk.read("b", 0, 1);
      expect(m.world.nowMs() - beforeMs - usualMs).toBeGreaterThan(usualMs);
      m.disk.fail("bitRot", 0);
      const rotten = await disk.read("b", 0, 101);
      expect(rotten.filter((byte) => byte !== 1)).toHaveLength(1);
    });
  });

  test("a call of a dead process never ends", async () => {
    const m = new Machine(2);
    const outcomes: string[] = [];
    await m.crashAfter(0, async (disk) => {
      await disk.write("a", 0, bytesOf(1, 1)).finally(() => outcomes.push("ended"));
    });
    await m.run((disk) => disk.list(""));
    expect(outcomes).toEqual([]);
  });
});
