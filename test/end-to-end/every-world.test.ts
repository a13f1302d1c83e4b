/** One program, unchanged, comes to the same in every world. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { UserFolder } from "./user-folder.ts";

const fixture = join(projectRoot, "test/fixtures/simulation/every-world.ts");
const outcomesOfProgram = 40 + 4;
const seeds = 200;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  const { code } = transformSync(readFileSync(fixture, "utf8"), { loader: "ts", format: "esm" });
  folder.write("program.js", code);
});
afterAll(() => folder.remove());

async function runsOf(...args: readonly string[]): Promise<string[]> {
  const { status, output } = await folder.run("program.js", { args, timeoutMs: 60_000 });
  expect(status, output).toBe(0);
  return output.trim().split("\n");
}

test("local mode, threads and simulated seeds agree", { timeout: 120_000 }, async () => {
  const [local] = await runsOf("local");
  expect(JSON.parse(local ?? "")).toHaveLength(outcomesOfProgram);
  expect(await runsOf("threads")).toEqual([local]);
  const simulated = await runsOf("simulated", String(seeds));
  expect(simulated).toHaveLength(seeds);
  expect(new Set(simulated)).toEqual(new Set([local]));
});
