/** The table of Ray's cases cannot rot: what it names exists, and runs where it says. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { everywhere, simulated, threadsOnly } from "../conformance/programs.suite.ts";
import { rayCasesAreTold, rayCasesHaveTheirTests, type Tests } from "./ray-cases.ts";
import { projectRoot } from "./source-files.ts";

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

const real: Tests = {
  textOf: (path) => {
    const file = join(projectRoot, "test", path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  },
  worldsOf: (path) => {
    const [, program] = /^fixtures\/programs\/(.+)\.ts$/.exec(path) ?? [];
    if (program === undefined) return path.endsWith(".simulated.test.ts") ? "S" : "M";
    const isEverywhere = everywhere.includes(program);
    return [
      ...(isEverywhere ? ["L"] : []),
      ...(isEverywhere || threadsOnly.includes(program) ? ["T"] : []),
      ...(simulated.includes(program) ? ["S"] : []),
    ].join(" ");
  },
};

describe("the table of Ray's cases", () => {
  const document = readFileSync(join(projectRoot, "docs/internals/ray-cases.md"), "utf8");
  test("has those of tasks, waiting, cancelling, references and reconstruction", () => {
    expect(rayCasesAreTold(document, [...range(1, 25), ...range(60, 77)])).toEqual([]);
  });
  test("names tests that exist, and where they run", () => {
    expect(rayCasesHaveTheirTests(document, real)).toEqual([]);
  });
});

describe("each rule can fail", () => {
  const row = (here: string, worlds = ""): string => `| 7 | \`test_a\` | ${here} | ${worlds} |\n`;
  const mark = "// Ray's case 7: test_a.";
  const text = [
    mark,
    'program("a case (test_a)", x);',
    mark,
    "// More.",
    'test.each([\n  [1],\n])("of many: %s", y);',
    'test("bare", z);',
  ];
  const files = new Map([["a.ts", text.join("\n")]]);
  const tests: Tests = { textOf: (path) => files.get(path), worldsOf: () => "L T" };
  const problemsOf = (document: string): string[] => rayCasesHaveTheirTests(document, tests);

  test("a case that is not told", () => {
    expect(rayCasesAreTold(row("later: x"), [7])).toEqual([]);
    expect(rayCasesAreTold(row("later: x"), [7, 8])).toEqual(["case 8: not told"]);
  });
  test("a test that is there", () => {
    expect(problemsOf(row('`a.ts` "(test_a)"', "L T"))).toEqual([]);
    expect(problemsOf(row('`a.ts` "of many: %s"', "L T"))).toEqual([]);
    expect(problemsOf(row("does not apply: nothing of the kind"))).toEqual([]);
  });
  test.each([
    ["a file that is not there", '`b.ts` "(test_a)"', "L T"],
    ["a name that is not there", '`a.ts` "(test_b)"', "L T"],
    ["a test without a mark of the case", '`a.ts` "bare"', "L T"],
    ["a name that is no title", '`a.ts` "x"', "L T"],
    ["another world", '`a.ts` "(test_a)"', "L T S"],
    ["no reason", "does not apply", ""],
    ["neither", "some day", ""],
    ["a line that is no case", "later: x |", "X"],
  ])("%s", (_, here, worlds) => {
    expect(problemsOf(row(here, worlds))).toHaveLength(1);
  });
});
