/** `mobula sim replay` as a user calls it: which program runs again, and what is said of it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, runCommand, runNode } from "../package/run-command.ts";
import { UserFolder } from "./user-folder.ts";

const main = "node_modules/mobula/dist/cli/main.js";
const programs: Readonly<Record<string, string>> = {
  "several.mjs": `
    const options = { chaos: false };
    const failing = (words) => ({ options, program: async () => { throw new Error(words); } });
    export const first = { options, program: async () => 1 };
    export const second = failing("second fails");`,
  "its own.mjs": `const program = async () => { throw new Error("fails by its line"); };
    const options = { chaos: false };
    export const first = { name: "it's my prog/a", options, program };
    export const second = { name: "-b", options, program: async () => 1 };
    export const third = { name: "-c", options, program };`,
  "-file.mjs": "export default { options: { chaos: false }, program: () => Promise.reject() };",
  "random.mjs": `import { get, remote } from "mobula";
    const real = Math.random;
    const add = remote((a, b) => a + b);
    let runs = 0;
    export const sent = { options: { chaos: false }, program: () => get(add.remote(real(), 1)) };
    export const kept = { options: { chaos: false }, program: async () => (runs += 1) };`,
  "settled.mjs": `import { get, remote } from "mobula";
    const add = remote((a, b) => a + b);
    export default { options: { chaos: false }, program: () => get(add.remote(1, 1)) };`,
  "failing.mjs": `export default {
    options: { chaos: false }, program: async () => { throw new Error("fails alone"); } };`,
  "announcing.mjs": `console.log("imported"); export default async () => 1;`,
  "alone.mjs": "export default { options: { chaos: false }, program: async () => 1 };",
};

describe("mobula sim replay", () => {
  let folder: UserFolder;
  beforeAll(async () => {
    folder = new UserFolder();
    for (const [name, code] of Object.entries(programs)) folder.write(name, code);
    await sim("run", "several.mjs", "--program", "second", "--seed", "1");
    change("mobula-repros/second-1.json", "of-a-test.json", { program: null });
  });
  afterAll(() => folder.remove());

  const sim = (...args: string[]): Promise<Ended> =>
    runNode([main, "sim", ...args], { cwd: folder.path, timeoutMs: 25_000 });

  const change = (from: string, to: string, changes: object): void => {
    const saved = JSON.parse(readFileSync(join(folder.path, from), "utf8")) as object;
    writeFileSync(join(folder.path, to), JSON.stringify({ ...saved, ...changes }));
  };

  const saved = "mobula-repros/second-1.json";
  const again = "fails again in the same way; the run is the same";

  test.each([
    ["the saved program, from the module it is in", [saved], again],
    ["the saved program, from a module that is named", [saved, "several.mjs"], again],
    ["the one that is chosen", ["of-a-test.json", "several.mjs", "--program", "second"], again],
    ["another one, when asked to", [saved, "--program", "first"], "passes now"],
    ["the only one, whatever its name", [saved, "alone.mjs"], "passes now"],
    ["the only one, for a program of a test", ["of-a-test.json", "alone.mjs"], "passes now"],
  ])("%s", async (_, args, words) => {
    const { status, output } = await sim("replay", ...args);
    expect(output).toContain(words);
    expect(status, output).toBe(words === again ? 1 : 0);
  });

  test("of several programs none is taken unasked", async () => {
    change(saved, "other-name.json", { program: { file: "several.mjs", name: "third" } });
    const expected: readonly (readonly [string[], RegExp])[] = [
      [["of-a-test.json", "several.mjs"], /several\.mjs has first, second: choose .* --program/],
      [["other-name.json", "several.mjs"], /no program "third", but first, second: .* --program/],
      [["other-name.json"], /no program "third", but first, second/],
      [[saved, "several.mjs", "--program", "x"], /no program "x", but first, second/],
    ];
    for (const [args, words] of expected) {
      const { status, output } = await sim("replay", ...args);
      expect(output).toMatch(words);
      expect(status, output).toBe(2);
    }
  });

  test("a mismatch of two runs is saved, and looked for again in two runs", async () => {
    await sim("run", "random.mjs", "--seed", "1", "--check-determinism", "--repros", "odd");
    const { mismatch } = JSON.parse(readFileSync(join(folder.path, "odd/sent-1.json"), "utf8"));
    expect(mismatch.eventId).toBeGreaterThan(0);
    expect(mismatch.text).toMatch(/event \d+ differs[\s\S]* {2}second .*pushTask/);
    const sent = await sim("replay", "odd/sent-1.json");
    expect(sent.output).toMatch(/fails again in the same way; [^]*determinism \(event \d+\)/);
    expect(sent.output).not.toContain("have changed");
    expect(sent.status, sent.output).toBe(1);
    const kept = await sim("replay", "odd/kept-1.json");
    expect(kept.output).toContain("determinism (result): not deterministic: all events are the");
    expect(kept.status, kept.output).toBe(1);
    const settled = await sim("replay", "odd/sent-1.json", "settled.mjs");
    expect(settled.output).toContain("passes now; two runs of it are the same, to the last event");
    expect(settled.status, settled.output).toBe(0);
    const failing = await sim("replay", "odd/sent-1.json", "failing.mjs");
    expect(failing.output).toContain("fails in another way (was: determinism); two runs of it are");
    expect(failing.status, failing.output).toBe(1);
  });

  test("a file is checked to its last field before anything runs", async () => {
    const violation = { oracle: "1 tasks", entity: "task", message: "twice", atMs: 1 };
    const broken: readonly (readonly [object, RegExp])[] = [
      [{ options: { seed: 1, nodes: [null] } }, /broken\.json: nodes\[0\] must be an object/],
      [{ options: { seed: 1, healAtMs: null } }, /broken\.json: healAtMs must be a finite number/],
      [{ options: { seed: 1, sead: 2 } }, /broken\.json: simulate has no option "sead"/],
      [{ options: [] }, /broken: "options" is/],
      [{ violations: [null] }, /broken: "violations" is/],
      [{ violations: [{ ...violation, oracle: 1 }] }, /broken: "violations" is/],
      [{ violations: [{ ...violation, atMs: "1" }] }, /broken: "violations" is/],
      [{ error: 5 }, /broken: "error" is/],
      [{ drawn: [5] }, /broken: "drawn" is/],
      [{ mismatch: {} }, /broken: "mismatch" is/],
      [{ program: { file: "several.mjs" } }, /broken: "program" is/],
    ];
    for (const [changes, words] of broken) {
      change(saved, "broken.json", changes);
      const { status, output } = await sim("replay", "broken.json", "announcing.mjs");
      expect(output).toMatch(words);
      expect(output).not.toContain("imported");
      expect(status, output).toBe(2);
    }
  });

  test("a replay line is one for a shell, whatever the names in it", async () => {
    const lines: string[] = [];
    for (const file of ["its own.mjs", "./-file.mjs"]) {
      const { output } = await sim("run", file, "--seeds", "1", "--seed", "4");
      lines.push(
        ...Array.from(output.matchAll(/replay: npx mobula (.*)/g), ([, line = ""]) => line),
      );
    }
    expect(lines.sort()).toEqual([
      "sim run 'its own.mjs' --program 'it'\\''s my prog/a' --seed 4",
      "sim run 'its own.mjs' --program=-c --seed 4",
      "sim run ./-file.mjs --seed 4",
    ]);
    for (const line of lines) {
      const shell = ["-c", `"$0" ${main} ${line}`, process.execPath];
      const { status, output } = await runCommand("sh", shell, { cwd: folder.path });
      expect(output).toContain("1 seeds, 1 failed");
      expect(status, output).toBe(1);
    }
  });
});
