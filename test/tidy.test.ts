/** The house rules, on the real tree; test/tidy/rules-canary.test.ts shows that each can fail. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { oxlintConfigText } from "../scripts/oxlint-config.ts";
import { messagesHaveOneHome } from "./tidy/messages.ts";
import * as rules from "./tidy/rules.ts";
import { projectRoot, readProject } from "./tidy/source-files.ts";

const files = readProject();

const machines = [
  "src/engine/core-worker/core-worker.ts",
  "src/engine/raylet/raylet.ts",
  "src/engine/gcs/gcs.ts",
  "src/engine/object-store/object-store.ts",
];
/**
 * Messages with more than one home by design: a task is pushed, and its reply taken, by the
 * submitter of tasks or the one of actors; the end of a thread concerns whoever kept something of
 * it.
 */
const severalHomes = [
  "pushTask",
  "onTaskReply",
  "onWorkerDied",
  "onNodeDied",
  // A raylet passes them on: deaths to its processes, and what they watch to other raylets.
  "nodeDied",
  "watchWorker",
  "workerDied",
];
const examplePackages = [
  ...["hyparquet", "hyparquet-compressors", "vega-datasets"],
  ...["vitest", "vitest/config", "fast-check"],
];

describe("tidy", () => {
  test("there is something to look at", () => {
    expect(files.length).toBeGreaterThan(50);
  });
  test("every source file begins with its life in a sentence", () => {
    expect(rules.hasHeader(files)).toEqual([]);
  });
  test("machines say state, messages, bounds, errors and source", () => {
    expect(rules.machinesSayTheirLife(files, machines)).toEqual([]);
  });
  test("every message has one sender and one handler of its name", () => {
    expect(messagesHaveOneHome(files, severalHomes)).toEqual([]);
  });
  test("lines are at most 100 columns", () => {
    expect(rules.linesAreShort(files)).toEqual([]);
  });
  test("files are at most 500 lines", () => {
    expect(rules.filesAreShort(files)).toEqual([]);
  });
  test("nothing is marked as unfinished", () => {
    expect(rules.nothingLeftOpen(files)).toEqual([]);
  });
  test("sources do not print", () => {
    expect(rules.sourcesDoNotPrint(files)).toEqual([]);
  });
  test("functions that are kept are young", () => {
    expect(rules.functionsAreYoung(files)).toEqual([]);
  });

  test("file names say what is inside", () => {
    expect(rules.namesSaySomething(files)).toEqual([]);
  });
  test("machines neither wait nor load", () => {
    expect(rules.machinesDoNotWait(files)).toEqual([]);
  });
  test("examples import the package as a user does", () => {
    expect(rules.examplesImportThePackage(files, examplePackages)).toEqual([]);
  });
  test("a worker loads no effect", () => {
    expect(rules.workersLoadNoEffect(files, "src/api/worker-main.ts")).toEqual([]);
  });
  test("neither a worker nor a program loads the oracles unasked", () => {
    // Workers import our package too, with the user's modules.
    const entries = ["src/api/worker-main.ts", "src/api/index.ts"];
    expect(rules.nothingLoadsTheSimulator(files, entries)).toEqual([]);
  });
  test(".oxlintrc.json is what the generator writes", () => {
    expect(readFileSync(join(projectRoot, ".oxlintrc.json"), "utf8")).toBe(oxlintConfigText());
  });
});
