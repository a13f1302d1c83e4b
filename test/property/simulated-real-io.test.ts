/** Real IO is told in every run, whether the program waits for it or not. */
import { createReadStream, readFileSync, stat } from "node:fs";
import { readFile } from "node:fs/promises";
import { lookup } from "node:dns";
import { exec } from "node:child_process";
import { gzip, gzipSync } from "node:zlib";
import { MessageChannel } from "node:worker_threads";
import { pbkdf2Sync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { get } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { Simulation } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

const thisFile = "simulated-real-io.test.ts";
const realImmediate = setImmediate;
const here = new URL(import.meta.url);

async function violationsOf(program: (sim: Simulation) => Promise<unknown>) {
  const { violations } = await simulate({ seed: 5, nodes: 1 }, program);
  return violations.map(({ oracle, entity, message }) => ({ oracle, entity, message }));
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
    ["another thread", (done) => void gzip("text", done), String.raw`ZLIB at \w+`],
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
    expect(violations[0]?.message).toMatch(/^real IO in the program: MESSAGEPORT at /);
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

test("what nobody waits for is told as well: when it ends is chance", async () => {
  const violations = await violationsOf(async () => {
    stat(here, () => {});
  });
  expect(violations).toMatchObject([{ message: expect.stringContaining("FSREQCALLBACK at stat") }]);
});

test("what is done at once, what is virtual and what the engine does is none", async () => {
  const add = remote((a: number, b: number) => a + b);
  const violations = await violationsOf(async (sim) => {
    console.log("a line");
    readFileSync(here);
    gzipSync("text");
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
