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
const names = readdirSync(join(projectRoot, "examples"));

describe.each(names)("examples/%s", (name) => {
  test.each([["threads"], ["local", "--local"]])("%s", { timeout: 90_000 }, async (_, ...mode) => {
    const args = [tsx, `examples/${name}/main.ts`, ...(lessWork[name] ?? []), ...mode];
    const { status, output } = await runNode(args);
    expect(status, output).toBe(0);
    expect(output).not.toBe("");
  });
});

test("the examples that the README names exist", () => {
  expect(names).toEqual(expect.arrayContaining(["counter", "flights", "hello", "nested"]));
});
