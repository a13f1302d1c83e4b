/** Every example runs to its end by itself: on worker threads and in one thread. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { runNode, tsx } from "./run-command.ts";

/** Less work where the example's own amount is for a person to watch. */
const lessWork: Record<string, string[]> = {
  flights: ["--rows", "200000", "--bootstrap", "20"],
};
/** What must be among what they print, in both modes. */
const prints: Record<string, string> = {
  hello: "[ 1, 4, 9 ]\n",
  nested: "33860 primes below 400000\n33860 by adding up 16 pieces in pairs\n",
  counter: "[ 1, 2, 3 ]\na: 6\nb: 2\ncalls: 3\nd: 1\nn: 4\n",
  "test-under-faults": "the: 3",
  flights: "Both give identical numbers, to the last bit.\n",
};

const names = readdirSync(join(projectRoot, "examples"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe.each(names)("examples/%s", (name) => {
  test.each([["threads"], ["local", "--local"]])("%s", { timeout: 90_000 }, async (_, ...mode) => {
    const args = [tsx, `examples/${name}/main.ts`, ...(lessWork[name] ?? []), ...mode];
    const { status, output } = await runNode(args);
    expect(status, output).toBe(0);
    expect(output).toContain(prints[name]);
  });
});

test("examples/test-under-faults: its own tests", { timeout: 120_000 }, async () => {
  const vitest = "node_modules/vitest/vitest.mjs";
  const { status, output } = await runNode([vitest, "run", "--root", "examples/test-under-faults"]);
  expect(status, output).toBe(0);
  expect(output).toMatch(/1 passed/);
});

test("there is an example of each kind", () => {
  expect(names.sort()).toEqual(Object.keys(prints).sort());
});
