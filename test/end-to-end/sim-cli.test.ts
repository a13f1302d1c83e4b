/** `mobula sim` as a user calls it, in a folder of their own: what it says, saves, exits with. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineVersion } from "#sim/report/repro-file.ts";
import { type Ended, runNode } from "../package/run-command.ts";
import { projectRoot } from "../tidy/source-files.ts";
import { UserFolder } from "./user-folder.ts";

const main = "node_modules/mobula/dist/cli/main.js";
const head = `
import { get, remote } from "mobula";
const add = remote((a, b) => a + b);
`;
const programs: Readonly<Record<string, string>> = {
  "good.mjs": `export default async (sim) => {
    await sim.sleep(5);
    const [three] = await Promise.allSettled([get(add.remote(1, 2))]);
    if (three.status === "fulfilled" && three.value !== 3) throw new Error("wrong sum");
  };`,
  "bad.mjs": `export default {
    name: "sometimes",
    options: { chaos: false },
    program: async (sim) => {
      const sum = await get(add.remote(1, 2));
      if (Math.random() < 0.5) throw new RangeError("planted after " + sum);
    },
  };`,
  "several.mjs": `
    export const helper = add;
    export const first = { program: async () => get(add.remote(1, 1)), options: { chaos: false } };
    export async function second() { throw new Error("second fails"); }`,
  "typed.ts": `import type { Simulation } from "mobula/sim";
    export default async (sim: Simulation): Promise<number> => sim.nowMs;`,
  "endless.mjs": `export default {
    options: { maxVirtualMs: 500, chaos: false },
    program: async (sim) => { for (;;) await sim.sleep(10); },
  };`,
  "stuck.mjs": "export default async () => { for (;;); };",
  "exits.mjs": "export default async () => { process.exit(7); };",
  "names.mjs": `const program = async () => { throw new Error("always"); };
    export default ["a b", "a-b", "a/b"].map((name) => ({ name, program }));`,
  "ends.mjs": `export default async (sim) => {
    process.nextTick(() => { throw new Error("out of the world"); });
    await sim.sleep(1);
  };`,
  "random.mjs": `const real = Math.random;
    export default { options: { chaos: false }, program: () => get(add.remote(real(), 1)) };`,
  "always.mjs": `export default async () => {
    throw new RangeError("planted, now and then with " + Math.random());
  };`,
  "two-bugs.mjs": `export default { options: { chaos: false }, program: async () => {
    const drawn = Math.random();
    throw drawn < 0.5 ? new RangeError("less " + drawn) : new TypeError("more " + drawn);
  } };`,
  "many-faults.mjs": `const faults = Array.from({ length: 11 }, (_, i) => (
      { at: 20 - i, kind: "pause", node: 1, forMs: i + 1 }));
    export default { options: { chaos: false, faults },
      program: async (sim) => { await sim.sleep(30); throw new Error("after all of them"); } };`,
  "imports.mjs": `export default { options: { chaos: false },
    program: () => import("./good.mjs") };`,
  "empty.mjs": "export const number = 5; export class Thing {}",
  "broken.mjs": "export default async (sim) => { ;",
  "meteor.mjs": `export default {
    options: { faults: [{ at: 1, kind: "meteor" }] }, program: async () => 1 };`,
  "five.mjs": "export default { options: 5, program: async () => 1 };",
  "own-seed.mjs": "export default { options: { seed: 5 }, program: async () => 1 };",
  "drawn-seed.mjs": "export default { options: (seed) => ({ seed }), program: async () => 1 };",
  "later.mjs": "export default { options: async () => ({}), program: async () => 1 };",
  "misspelt.mjs": "export default { option: {}, program: async () => 1 };",
  "nameless.mjs": "export default { name: 5, program: async () => 1 };",
  "twins.mjs": `const program = async () => 1;
    export default [{ name: "one", program }, { name: "one", program }];`,
  "no-node.mjs": "export default { options: { nodes: [null] }, program: async () => 1 };",
  "far-node.mjs": `export default {
    options: { faults: [{ at: 1, kind: "pause", node: 9, forMs: 1 }] }, program: async () => 1 };`,
};

describe("mobula sim", () => {
  let folder: UserFolder;
  beforeAll(() => {
    folder = new UserFolder();
    for (const [name, code] of Object.entries(programs)) folder.write(name, head + code);
  });
  afterAll(() => folder.remove());

  const sim = (...args: string[]): Promise<Ended> =>
    runNode([main, "sim", ...args], { cwd: folder.path, timeoutMs: 25_000 });

  test("run: every seed passes, twice the same, with figures as JSON", async () => {
    const args = ["--seeds", "12", "--seed", "5", "--check-determinism", "--json"];
    const { status, output } = await sim("run", "good.mjs", ...args);
    expect(status, output).toBe(0);
    expect(output).toContain("12 seeds, 24 runs, 0 mismatches, 0 failed");
    const report = JSON.parse(output.slice(output.indexOf("\n{\n"))) as Record<string, unknown>;
    expect(report).toMatchObject({ ok: true, seeds: 12, runs: 24, mismatches: 0, firstSeed: 5 });
    expect(report["versions"]).toMatchObject({ mobula: engineVersion });
    expect(report["machine"]).toHaveProperty("cpu");
    expect(report["events"]).toBeGreaterThan(24);
  });

  test("run of TypeScript", async () => {
    const { status, output } = await sim("run", "typed.ts", "--seeds", "2");
    expect(status, output).toBe(0);
    expect(output).toContain("2 seeds, 0 failed");
  });

  test("run with --minutes ends by time", async () => {
    const { status, output } = await sim("run", "good.mjs", "--minutes", "0.02", "--workers", "1");
    expect(status, output).toBe(0);
    expect(output).toMatch(/[1-9]\d* seeds, 0 failed/);
  });

  test("however short the time is, every program runs one seed", async () => {
    const args = ["--minutes", "0.0000001", "--workers", "1", "--seed", "3"];
    const { status, output } = await sim("run", "several.mjs", ...args);
    expect(output).toContain("FAILED second, seed 3");
    expect(output).toContain("2 seeds, 1 failed");
    expect(status, output).toBe(1);
  });

  test("a failing seed is told, saved, and fails again by its line and from its file", async () => {
    const { status, output } = await sim("run", "bad.mjs", "--seeds", "20", "--seed", "0");
    expect(status, output).toBe(1);
    expect(output).toContain("program (driver): RangeError: planted after 3");
    const [, line = ""] = /replay: npx mobula sim (run bad\.mjs --seed \d+)\n/.exec(output) ?? [];
    const [, saved = ""] = /saved: +(mobula-repros\/sometimes-\d+\.json)/.exec(output) ?? [];

    const again = await sim(...line.split(" "));
    expect(again.status, again.output).toBe(1);
    expect(again.output).toMatch(/1 of them[\s\S]*planted after 3[\s\S]*last steps:\n.* ms /);

    const replayed = await sim("replay", saved);
    expect(replayed.status, replayed.output).toBe(1);
    expect(replayed.output).toContain("fails again in the same way; the run is the same");

    const repaired = await sim("replay", saved, "good.mjs");
    expect(repaired.status, repaired.output).toBe(0);
    expect(repaired.output).toContain("passes now; it is another run than the saved one");
  });

  test("a failure that many seeds show is told once, with the seeds it came again in", async () => {
    const args = ["--seeds", "300", "--seed", "50", "--workers", "1", "--must-reach", "never"];
    const { status, output } = await sim("run", "always.mjs", ...args, "--json");
    expect(status, output).toBe(1);
    expect(output.match(/^FAILED always, seed \d+$/gm)).toEqual(["FAILED always, seed 50"]);
    expect(output).toContain(
      "always: the same as in seed 50 in 9 more seeds: 51, 52, 53, 54, 55, …",
    );
    expect(output).toContain("10 seeds, 10 failed");
    expect(output).toContain("ended early: 10 seeds have failed, the others did not begin");
    expect(output).toContain("FAILED: before that never reached never");
    // Each of them is saved, and in the figures.
    const report = JSON.parse(output.slice(output.indexOf("\n{\n"))) as {
      failures: { seed: number; reproFile: string }[];
    };
    expect(report).toMatchObject({ ok: false, endedEarly: true, failed: 10 });
    expect(report.failures.map(({ seed }) => seed)).toEqual(
      Array.from(Array(10), (_, i) => 50 + i),
    );
    for (const { seed, reproFile } of report.failures) {
      expect(reproFile).toBe(`mobula-repros/always-${seed}.json`);
      expect(existsSync(join(folder.path, reproFile))).toBe(true);
    }
  });

  test("each of two failures of one program is told", async () => {
    const args = ["--seeds", "9", "--seed", "0", "--workers", "1"];
    const { status, output } = await sim("run", "two-bugs.mjs", ...args);
    expect(status, output).toBe(1);
    expect(output.match(/^FAILED two-bugs/gm)).toHaveLength(2);
    expect(output).toMatch(/RangeError: less 0\.\d+\n/);
    expect(output).toMatch(/TypeError: more 0\.\d+\n/);
    const counts = [...output.matchAll(/the same as in seed \d+ in (\d+) more seeds?: /g)];
    expect(counts.reduce((sum, [, count]) => sum + Number(count), 2)).toBe(9);
    expect(output).not.toContain("ended early");
  });

  test("a failed seed tells its plan: the faults that chaos drew, of many the first", async () => {
    const drawn = await sim("run", "always.mjs", "--seed", "1");
    const saved = readFileSync(join(folder.path, "mobula-repros/always-1.json"), "utf8");
    const { faults } = (JSON.parse(saved) as { options: { faults: { at: number }[] } }).options;
    expect(faults.length).toBeGreaterThan(1);
    const plan = faults
      .toSorted((a, b) => a.at - b.at)
      .map((fault) => `    ${JSON.stringify(fault)}`);
    expect(drawn.output).toContain(
      `\n  plan of ${plan.length} faults:\n${plan.join("\n")}\n  replay:`,
    );
    const replayed = await sim("replay", "mobula-repros/always-1.json");
    expect(replayed.output).toContain(`\n  plan of ${plan.length} faults:\n${plan.join("\n")}\n`);

    const long = await sim("run", "many-faults.mjs", "--seed", "1");
    const [, lines = ""] = /\n {2}plan of 11 faults:\n([^]*)\n {2}replay:/.exec(long.output) ?? [];
    expect(lines.split("\n")).toHaveLength(9);
    expect(lines).toMatch(/^ {4}\{"at":10,"kind":"pause","node":1,"forMs":11\}\n/);
    expect(lines).toMatch(/\n {4}… and 3 more$/);
  });

  test("where nothing can be saved the failure is told, and why it is not saved", async () => {
    folder.write("no-folder", "");
    const args = ["--seeds", "2", "--seed", "0", "--repros", "no-folder"];
    const { status, output } = await sim("run", "always.mjs", ...args);
    expect(status, output).toBe(1);
    expect(output).toMatch(/RangeError: planted[^]*not saved: EEXIST[^]*2 seeds, 2 failed/);
    const lost = await sim(
      "run",
      "stuck.mjs",
      "--seed",
      "1",
      "--seed-timeout",
      "2",
      ...args.slice(4),
    );
    expect(lost.status, lost.output).toBe(1);
    expect(lost.output).toMatch(/did not end within 2 s[^]*not saved: EEXIST[^]*1 seeds, 1 failed/);
  });

  test("of several programs one is chosen by name, a remote function is none", async () => {
    const both = await sim("run", "several.mjs", "--seeds", "1", "--seed", "1");
    expect(both.status, both.output).toBe(1);
    expect(both.output).toMatch(
      /replay: npx mobula sim run several\.mjs --program second --seed 1/,
    );
    expect(both.output).toContain("2 seeds, 1 failed");
    const one = await sim("run", "several.mjs", "--program", "first", "--seeds", "3");
    expect(one.status, one.output).toBe(0);
  });

  test("programs that never end: in virtual time, in real time, with the thread", async () => {
    const endless = await sim("run", "endless.mjs", "--seed", "1");
    expect(endless.status).toBe(1);
    expect(endless.output).toContain("did not end within 500 virtual ms (maxVirtualMs)");
    const stuck = await sim("run", "stuck.mjs", "--seeds", "2", "--seed-timeout", "4");
    expect(stuck.status).toBe(1);
    expect(stuck.output).toContain("thread (thread): the seed did not end within 4 s");
    expect(stuck.output).toContain("2 seeds, 2 failed");
    const exits = await sim("run", "exits.mjs", "--seeds", "2");
    expect(exits.status).toBe(1);
    expect(exits.output).toContain("process.exit(7) ended this process");
    const ends = await sim("run", "ends.mjs", "--seeds", "2");
    expect(ends.status).toBe(1);
    const thrown = "exception in a callback of the program: Error: out of the world";
    expect(ends.output).toContain(`17 hygiene (driver): unhandled ${thrown}`);
    expect(ends.output).toContain("2 seeds, 2 failed");
  });

  test("a seed that takes its thread with it is saved with what it was to run with", async () => {
    const args = ["--seeds", "1", "--seed", "4", "--seed-timeout", "4", "--repros", "lost"];
    const { output } = await sim("run", "stuck.mjs", ...args);
    expect(output).toMatch(/saved: +lost\/stuck-4\.json/);
    const text = readFileSync(join(folder.path, "lost/stuck-4.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({
      options: { seed: 4, nodes: expect.anything(), init: { systemConfig: expect.anything() } },
      drawn: [expect.stringContaining("kinds of faults"), expect.anything(), expect.anything()],
      violations: [{ oracle: "thread", message: expect.stringContaining("end within 4 s") }],
    });
    const repaired = await sim("replay", "lost/stuck-4.json", "good.mjs");
    expect(repaired.status, repaired.output).toBe(0);
    expect(repaired.output).toContain("passes now; of the saved run, which took its thread");
  });

  test("programs whose names a file cannot tell apart have a file each", async () => {
    const { output } = await sim("run", "names.mjs", "--seeds", "1", "--seed", "2");
    const saved = [...output.matchAll(/saved: +(\S+)/g)].map(([, path]) => path);
    expect(new Set(saved).size).toBe(3);
    expect(saved).toContain("mobula-repros/a-b-2.json");
  });

  test("real randomness is located to the event", async () => {
    const { status, output } = await sim("run", "random.mjs", "--seed", "1", "--check-determinism");
    expect(status, output).toBe(1);
    expect(output).toMatch(/determinism \(event \d+\): not deterministic/);
    expect(output).toMatch(/ {4}both .*\n {3}first .*pushTask.*\n {2}second .*pushTask/);
    expect(output).toContain("1 mismatches");
  });

  test("an import in a run is real IO: it is told to belong before the run", async () => {
    const { status, output } = await sim("run", "imports.mjs", "--seed", "1");
    expect(status, output).toBe(1);
    expect(output).toMatch(/real IO in the program: .* at import\(\) .*imported before the run: /);
  });

  test("a rare state that no seed reached fails the set", async () => {
    const args = ["--seeds", "2", "--must-reach", "neverHeardOf"];
    const { status, output } = await sim("run", "good.mjs", ...args);
    expect(status, output).toBe(1);
    expect(output).toContain("never reached neverHeardOf");
  });

  test("a repro file of another version, and broken ones", async () => {
    await sim("run", "bad.mjs", "--seeds", "10", "--seed", "100", "--repros", "old");
    const [name = ""] = readdirSync(join(folder.path, "old"));
    const text = readFileSync(join(folder.path, "old", name), "utf8");
    const other = (file: string, change: object): void => {
      const value = JSON.stringify({ ...(JSON.parse(text) as object), ...change });
      writeFileSync(join(folder.path, file), value);
    };
    other("other.json", { engine: "99.1.2" });
    other("no-options.json", { options: null });
    other("no-module.json", { program: null });
    folder.write("half.json", text.slice(0, 40));
    folder.write("foreign.json", "{}");
    const expected: readonly (readonly [string, RegExp])[] = [
      ["other.json", /written by mobula 99\.1\.2 .*this is mobula .*another run/],
      ["no-options.json", /broken: "options"/],
      ["no-module.json", /names no module/],
      ["half.json", /is no repro file/],
      ["foreign.json", /is no repro file: no version/],
      ["absent.json", /cannot read absent\.json/],
    ];
    for (const [file, words] of expected) {
      const { status, output } = await sim("replay", file);
      expect(output).toMatch(words);
      expect(output).not.toContain("    at ");
      expect(status, output).toBe(2);
    }
  });

  test.each([
    [["run"], /needs a module/],
    [["run", "absent.mjs"], /there is no file .*absent\.mjs/],
    [["run", "empty.mjs"], /has no program: export default/],
    [["run", "broken.mjs"], /cannot be imported: .*SyntaxError/],
    [["run", "good.mjs", "other.mjs"], /one file at a time/],
    [["run", "good.mjs", "--sead", "1"], /Unknown option '--sead'/],
    [["run", "good.mjs", "--seeds", "many"], /--seeds must be a whole number .* got many/],
    [["run", "good.mjs", "--seeds", "0"], /--seeds must be a whole number of at least 1/],
    [["run", "good.mjs", "--minutes", "0"], /--minutes must be a number above 0/],
    [["run", "several.mjs", "--program", "x"], /has no program "x", but first, second/],
    [["run", "meteor.mjs"], /faults\[0\]: unknown kind "meteor"/],
    [["run", "five.mjs"], /options of the program "five" must be an object, got 5/],
    [["run", "own-seed.mjs"], /the program "own-seed" has no option "seed": each run has its own/],
    [["run", "drawn-seed.mjs"], /the program "drawn-seed" has no option "seed"/],
    [
      ["run", "later.mjs"],
      /options of the program "later" must be an object, got an object of Promise/,
    ],
    [["run", "misspelt.mjs"], /"misspelt" has no option "option"; it has: name, program, options/],
    [["run", "nameless.mjs"], /the name of a program must be one line of text, got 5/],
    [["run", "twins.mjs"], /has two programs of the name "one"/],
    [["run", "no-node.mjs"], /nodes\[0\] must be an object, got null/],
    [["run", "far-node.mjs"], /faults\[0\]\.node must be a node/],
    [["replay"], /needs the path of a repro file/],
    [["walk"], /sim takes run or replay, got walk/],
  ])("%j is refused", async (args, words) => {
    const { status, output } = await sim(...args);
    expect(output).toMatch(words);
    expect(status, output).toBe(2);
    expect(existsSync(join(folder.path, "absent.mjs"))).toBe(false);
  });

  test("--help, --version, and what is no command", async () => {
    const cli = (...args: string[]) => runNode([main, ...args], { cwd: folder.path });
    expect(await cli("--version")).toEqual({ status: 0, output: `${engineVersion}\n` });
    const help = await cli("--help");
    expect(help.status).toBe(0);
    expect(help.output).toContain("sim run FILE");
    const unknown = await cli("fly");
    expect(unknown.status).toBe(2);
    expect(unknown.output).toContain('there is no command "fly"');
  });

  test("the version in repro files is the package's", () => {
    const text = readFileSync(join(projectRoot, "package.json"), "utf8");
    expect((JSON.parse(text) as { version: string }).version).toBe(engineVersion);
  });
});
