/** A run that does not go on tells why: the chain of who waits for whom, real IO by name. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { ChunkRequests } from "#engine/raylet/chunk-requests.ts";
import { get, wait } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ActorHandle } from "#api/types.ts";
import type { SimOptions, Simulation } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const realTimeout = setTimeout;
const thisFile = "simulated-stuck.test.ts";

/** The message of the error that the run ended with. */
async function stuck(
  program: (sim: Simulation) => Promise<unknown>,
  options: Partial<SimOptions> = {},
): Promise<string> {
  const { error } = await simulate({ seed: 5, nodes: 1, ...options }, program);
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message;
}

describe("real IO is named, with the place it was begun at", () => {
  const place = String.raw`\(.*${thisFile}:\d+:\d+\)`;

  test("a file", async () => {
    const message = await stuck(() => readFile(new URL(import.meta.url)));
    const expected = `^leak: the program waits for real IO: FSREQPROMISE at readFile ${place}$`;
    expect(message).toMatch(new RegExp(expected));
  });

  test("a socket, in a task", async () => {
    const dial = remote(async function dial() {
      const socket = connect({ port: 1, host: "127.0.0.1" });
      await new Promise((resolve) => socket.on("close", resolve).on("error", () => {}));
    });
    const message = await stuck(() => get(dial.remote()));
    const io = `TCPWRAP at connect ${place}`;
    const expected = `^leak: task dial .* on worker\\d waits for real IO: ${io}\n`;
    expect(message).toMatch(new RegExp(expected));
    expect(message).toMatch(/\n {2}the program waits for task dial .*: it runs on worker\d/);
  });

  test("a timer that was taken before the run", async () => {
    const message = await stuck(() => new Promise((resolve) => void realTimeout(resolve, 60_000)));
    expect(message).toMatch(new RegExp(`real IO: Timeout at setTimeout ${place}$`));
  });

  test("what has ended, and what is done at once, is not blamed", async () => {
    const message = await stuck(async (sim) => {
      readFileSync(new URL(import.meta.url));
      let hasFired = false;
      realTimeout(() => (hasFired = true), 1);
      while (!hasFired) await sim.sleep(0.01);
      await new Promise(() => {});
    });
    expect(message).toBe(
      "leak: the program waits for something outside of the simulated world: " +
        "a promise that nothing in it settles",
    );
  });

  test("real IO of code outside of the run is not the run's", async () => {
    const reading = readFile(new URL(import.meta.url));
    const message = await stuck(() => new Promise(() => {}));
    expect(message).not.toMatch(/real IO/);
    await reading;
  });
});

describe("the chain of who waits for whom", () => {
  class Caller {
    #partner: ActorHandle<Caller> | null = null;

    async meet(partner: ActorHandle<Caller>): Promise<void> {
      this.#partner = partner;
    }

    async call(): Promise<string> {
      return this.#partner === null ? "alone" : get(this.#partner.call.remote());
    }
  }
  const Actor = remote(Caller).options({ maxConcurrency: 1 });

  async function callEachOther(): Promise<string> {
    const [one, two] = [Actor.remote(), Actor.remote()];
    await get([one.meet.remote(two), two.meet.remote(one)]);
    return get(one.call.remote());
  }

  test("two actors that call each other and wait", async () => {
    const message = await stuck(callEachOther);
    expect(message).toMatch(/^Caller.call failed: deadlock: these wait for each other/);
  });

  test("… with nobody to look for deadlocks", async () => {
    const init = { systemConfig: { deadlockProbeMs: 0 } };
    const message = await stuck(callEachOther, { init });
    const lines = message.split("\n");
    expect(lines[0]).toMatch(/^deadlock: nothing is left to happen/);
    expect(lines[1]).toMatch(/^ {2}the program waits for task Caller.call \(.*: it runs on worker/);
    expect(lines[2]).toMatch(/^ {4}task Caller.call on worker\d waits for .*: it runs on worker/);
    expect(lines[3]).toMatch(
      /^ {6}task Caller.call on worker\d waits for .*: it waits for its turn on .* \(a cycle\)$/,
    );
  });

  test("a task that waits for a ref which never ends, on another node", async () => {
    const never = remote(function never() {
      return new Promise<number>(() => {});
    });
    const patient = remote(async function patient() {
      return get(never.remote());
    });
    const message = await stuck(() => get(patient.remote()), { nodes: 2 });
    expect(message).toMatch(/^leak: task never .* on \S+ waits for something outside of the/);
    expect(message).toMatch(/\n {2}the program waits for task patient .*: it runs on/);
    expect(message).toMatch(/\n {4}task patient .* on \S+ waits for task never .*: it runs on/);
  });

  test("a resource that the waiting task itself holds", async () => {
    const inner = remote(() => 1).options({ name: "inner", resources: { disk: 1 } });
    const outer = remote(() => get(inner.remote())).options({
      name: "outer",
      resources: { disk: 1 },
    });
    const nodes = [{ resources: { disk: 1 } }];
    const message = await stuck(() => get(outer.remote()), { nodes });
    expect(message).toMatch(/^deadlock/);
    expect(message).toMatch(/task outer on worker\d waits for task inner .*: it waits for a lease/);
    expect(message).toMatch(/a lease: .*disk.*; held by task outer on worker\d \(a cycle\)/);
  });

  test("an argument that will not come", async () => {
    const huge = remote((n: number) => n).options({ name: "huge", numCpus: 64 });
    const user = remote((n: number) => n).options({ name: "user" });
    const message = await stuck(() => get(user.remote(huge.remote(1))));
    expect(message).toMatch(/the program waits for task user .*: it waits for its arguments\n/);
    expect(message).toMatch(/\n {4}task user waits for task huge .*: no node has \{CPU: 64\}/);
  });

  describe("bytes that nobody brings", () => {
    const far = { resources: { far: 1 }, maxRetries: 0 } as const;
    const lengthOf = remote((bytes: Uint8Array) => bytes.length).options({ name: "lengthOf" });
    const make = remote(() => new Uint8Array(200_000)).options({ name: "make", ...far });
    const Keeper = remote(
      class Keeper {
        readonly bytes: Uint8Array;

        constructor(bytes: Uint8Array) {
          this.bytes = bytes;
        }

        count(): number {
          return this.bytes.length;
        }
      },
    );
    const nodes = [{}, { resources: { far: 1 } }];
    const onItsWay = "it is on its way from node ID (0 of 200064 bytes are here)";

    /** Of an engine that does not ask for what it is asked for: the lines behind the first. */
    async function stuckWithout(program: (sim: Simulation) => Promise<unknown>): Promise<string[]> {
      const { askFor } = ChunkRequests.prototype;
      ChunkRequests.prototype.askFor = () => {};
      const afterAWhile = async (sim: Simulation): Promise<unknown> => {
        await sim.sleep(100);
        return program(sim);
      };
      try {
        const [first, ...lines] = (await stuck(afterAWhile, { nodes })).split("\n");
        expect(first).toBe("deadlock: nothing is left to happen, and the program waits:");
        return lines.map((line) => line.replaceAll(/[0-9a-f]{32,}/g, "ID"));
      } finally {
        ChunkRequests.prototype.askFor = askFor;
      }
    }

    test("of a get", async () => {
      expect(await stuckWithout(() => get(make.remote()))).toEqual([
        `  the program waits for task make (ID): ${onItsWay}`,
      ]);
    });

    test("of a task's argument", async () => {
      expect(await stuckWithout(() => get(lengthOf.remote(make.remote())))).toEqual([
        "  the program waits for task lengthOf (ID): it waits on worker0 for its arguments",
        `    task lengthOf on worker0 waits for task make (ID): ${onItsWay}`,
      ]);
    });

    test("of a constructor's", async () => {
      const lines = await stuckWithout(async () => {
        const made = make.remote();
        await wait([made], { fetchLocal: false });
        return get(Keeper.remote(made).count.remote());
      });
      expect(lines[1]).toBe(
        `    the constructor of Keeper on worker0 waits for task make (ID): ${onItsWay}`,
      );
    });

    test("a constructor that was brought them may wait for something else", async () => {
      const Slow = remote(
        class Slow {
          constructor(_: Uint8Array) {
            return new Promise(() => {}) as never;
          }

          ask(): number {
            return 1;
          }
        },
      );
      const program = async (sim: Simulation): Promise<unknown> => {
        await sim.sleep(100);
        return get(Slow.remote(make.remote()).ask.remote());
      };
      const message = await stuck(program, { nodes });
      expect(message).toMatch(/^leak: the constructor of Slow on worker\d waits for something/);
    });
  });

  test("a constructor that does not end", async () => {
    const Slow = remote(
      class Slow {
        constructor() {
          return readFile(new URL(import.meta.url)) as never;
        }

        ask(): number {
          return 1;
        }
      },
    );
    const message = await stuck(() => get(Slow.remote().ask.remote()));
    expect(message).toMatch(/^leak: the constructor of Slow on worker\d waits for real IO: FSREQ/);
  });
});

test("whoever is busy at one moment, and for ever, is found out", async () => {
  const report = await simulate({ seed: 5, nodes: 1 }, async (sim) => {
    for (;;) await sim.sleep(0);
  });
  expect(String(report.error)).toMatch(/livelock: .*200,000 at one moment/);
  expect(report.violations).toEqual([
    expect.objectContaining({ oracle: "16 liveness", entity: "world" }),
  ]);
});
