/** Real IO is told in every run, whether the program waits for it or not. */
import { createReadStream, readFileSync, stat, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { lookup } from "node:dns";
import { exec, execSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { gzip, gzipSync } from "node:zlib";
import { MessageChannel } from "node:worker_threads";
import { pbkdf2, pbkdf2Sync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { Simulation } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const thisFile = "simulated-real-io.test.ts";
const realImmediate = setImmediate;
const realTimeout = setTimeout;
const here = new URL(import.meta.url);

async function violationsOf(program: (sim: Simulation) => Promise<unknown>) {
  const { violations } = await simulate({ seed: 5, nodes: 1 }, program);
  return violations.map(({ oracle, entity, message }) => ({ oracle, entity, message }));
}

const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    compile(bytes: Uint8Array): Promise<unknown>;
    instantiate(module: object): Promise<unknown>;
    readonly Module: new (bytes: Uint8Array) => object;
  };
};
const emptyModule = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

function sendDatagram(): { close(): void } {
  const socket = createSocket("udp4");
  socket.send("text", 9, "127.0.0.1");
  return socket;
}

/** Begins something and goes on with the run until it has ended. */
function whileIt(begin: (done: () => void) => void) {
  return async (sim: Simulation): Promise<void> => {
    let isDone = false;
    begin(() => (isDone = true));
    while (!isDone) await sim.sleep(0.01);
  };
}

describe("what ends while the run goes on is a violation with its place", () => {
  const begun: readonly [string, (done: () => void) => void, string][] = [
    ["a file", (done) => void readFile(here).then(done), "FSREQPROMISE at readFile"],
    [
      "a stream, which opens its file later",
      (done) =>
        void createReadStream(here)
          .on("data", () => {})
          .on("close", done),
      "FSREQCALLBACK at createReadStream",
    ],
    ["a name", (done) => void lookup("localhost", done), "GETADDRINFOREQWRAP at lookup"],
    ["a process", (done) => void exec("exit", done), "PROCESSWRAP at exec"],
    ["another thread", (done) => void gzip("text", done), "ZLIB at zlib"],
    [
      "a timer from before the run",
      (done) => void realImmediate(done),
      "Immediate at setImmediate",
    ],
  ];
  test.each(begun)("%s", async (_, begin, call) => {
    const violations = await violationsOf(whileIt(begin));
    const place = String.raw`\(.*${thisFile}:\d+:\d+\)`;
    const message = `^real IO in the program: ${call} ${place}: the world does not wait for it`;
    expect(violations).toEqual([
      { oracle: "17 hygiene", entity: "driver", message: expect.stringMatching(message) },
    ]);
  });

  test("a port", async () => {
    const violations = await violationsOf(
      whileIt((done) => {
        const { port1, port2 } = new MessageChannel();
        port2.once("message", () => {
          port2.close();
          done();
        });
        port1.postMessage(1);
      }),
    );
    const place = String.raw`MESSAGEPORT at MessageChannel \(.*${thisFile}:\d+:\d+\)`;
    expect(violations[0]?.message).toMatch(new RegExp(`^real IO in the program: ${place}`));
  });

  test("by a task, each place once", async () => {
    let sim: Simulation | null = null;
    const reading = remote(async function reading() {
      const own = sim as unknown as Simulation;
      for (let i = 0; i < 3; i++) await whileIt((done) => void readFile(here).then(done))(own);
    });
    const violations = await violationsOf((given) => {
      sim = given;
      return get(reading.remote());
    });
    expect(violations).toHaveLength(1);
    expect(violations[0]?.entity).toMatch(/^[0-9a-f]{52}$/);
    expect(violations[0]?.message).toMatch(/^real IO in task reading .*: FSREQPROMISE at readFile/);
  });
});

test("of a file that is awaited each call is told once, however far it has come", async () => {
  async function readAll(): Promise<void> {
    await readFile(here);
    await Promise.all([
      readFile(here), // in the same expression
      readFile(here),
    ]);
  }
  const violations = await violationsOf(
    whileIt((done) => {
      void readAll().then(done);
    }),
  );
  const places = violations.map(({ message }) => /readFile \(.*:(\d+):\d+\)/.exec(message)?.[1]);
  expect(new Set(places).size).toBe(3);
  expect(violations).toHaveLength(3);
});

test("what nobody waits for is told as well: when it ends is chance", async () => {
  const violations = await violationsOf(async () => {
    stat(here, () => {});
  });
  expect(violations).toMatchObject([{ message: expect.stringContaining("FSREQCALLBACK at stat") }]);
});

describe("what has only begun is told: whether it comes in time is chance", () => {
  const begun: readonly [string, () => unknown, string][] = [
    ["a process", () => exec("exit"), "PROCESSWRAP at exec"],
    ["a server", () => createServer().listen(0).unref(), "TCPSERVERWRAP at listen"],
    ["a datagram", () => sendDatagram(), "UDPWRAP at createSocket"],
    ["a watched file", () => watch(here, () => {}).unref(), "FSEVENTWRAP at watch"],
    ["a connection", () => connect(1, "127.0.0.1").on("error", () => {}), "TCPWRAP at connect"],
    ["a thread of the pool", () => gzip("text", () => {}), "ZLIB at zlib"],
    ["… for crypto", () => pbkdf2("a", "b", 1, 8, "sha1", () => {}), "PBKDF2REQUEST at pbkdf2"],
    [
      "WebAssembly",
      () => WebAssembly.compile(emptyModule),
      String.raw`WEBASSEMBLY at WebAssembly\.compile`,
    ],
    [
      "Atomics.waitAsync",
      () => void Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20),
      String.raw`ATOMICS at Atomics\.waitAsync`,
    ],
    ["a real timer", () => realTimeout(() => {}, 60_000).unref(), "Timeout at setTimeout"],
  ];
  test.each(begun)("%s", async (_, begin, call) => {
    const open: unknown[] = [];
    const violations = await violationsOf(async () => {
      open.push(begin());
    });
    for (const handle of open as { close?(): void }[]) handle?.close?.();
    const place = String.raw`\(.*${thisFile}:\d+:\d+\)`;
    expect(violations).toEqual([
      {
        oracle: "17 hygiene",
        entity: "driver",
        message: expect.stringMatching(`^real IO in the program: ${call} ${place}`),
      },
    ]);
  });
});

test("what is done at once, what is virtual and what the engine does is none", async () => {
  const add = remote((a: number, b: number) => a + b);
  const violations = await violationsOf(async (sim) => {
    console.log("a line");
    readFileSync(here);
    gzipSync("text");
    execSync("exit");
    await WebAssembly.instantiate(new WebAssembly.Module(emptyModule));
    pbkdf2Sync("word", "salt", 1, 8, "sha1");
    structuredClone(new ArrayBuffer(8));
    queueMicrotask(() => {});
    process.nextTick(() => {});
    setImmediate(() => {});
    await import("node:dgram");
    const controller = new AbortController();
    controller.signal.addEventListener("abort", () => {});
    controller.abort();
    await sim.sleep(10);
    return get(add.remote(1, 2));
  });
  expect(violations).toEqual([]);
});
