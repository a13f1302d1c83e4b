/** Whole programs: functions are found by real worker threads that import the real file. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { MessageChannel, Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loaderArguments } from "#api/identity/code-transform.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import type { Answer } from "../fixtures/identity/library.mts";

const fixtures = fileURLToPath(new URL("../fixtures/identity", import.meta.url));
const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url));
const tsx = pathToFileURL(join(nodeModules, "tsx/dist/loader.mjs")).href;

let root = "";
/** Sees tsx in its node_modules. */
let folder = "";
/** Sees no node_modules at all. */
let bareFolder = "";

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "identity-")));
  folder = join(root, "program é");
  bareFolder = join(root, "bare");
  const filter = (path: string) => !path.endsWith(".mts");
  await cp(fixtures, bareFolder, { recursive: true, filter });
  await buildFixture("library.mts", "library.mjs");
  await buildFixture("library.mts", "library.cjs");
  await buildFixture("worker.mts", "worker.mjs");
  await writeFile(join(bareFolder, "package.json"), JSON.stringify({ type: "module" }));
  await cp(bareFolder, folder, { recursive: true });
  await symlink(nodeModules, join(folder, "node_modules"), "junction");
});

afterAll(() => rm(root, { recursive: true, force: true }));

describe("a program of one file", () => {
  test("stops at init() in the worker, with what stands above it registered", async () => {
    expect(await runFile("hello.mjs")).toEqual([
      { value: 49 },
      { value: 1 },
      { value: { x: 1, y: 2 } },
    ]);
  });

  test("may have replaced Error's formatter and stack limit, and use source maps", async () => {
    const answers = await runProgram(["--enable-source-maps", "hostile.mjs"]);
    expect(answers).toEqual([{ value: 2 }, { value: 3 }, "formatted mine", 0]);
  });

  test("may start without awaiting: what stands beside the parked call counts", async () => {
    expect(await runFile("not-awaited.mjs")).toEqual([{ value: 11 }, { value: -9 }]);
  });

  test("runs a task only when awaits above init() have ended", async () => {
    expect(await runFile("slow-start.mjs")).toEqual([{ value: 6 }]);
  });

  test.each([
    ["--eval", ["--input-type=module", "--eval"], "a script given by --eval"],
    ["--eval as CommonJS", ["--eval"], "a script given by --eval"],
    ["--print", ["--print"], "a script given by --eval"],
  ])("is refused when it comes by %s", async (_name, args, what) => {
    const library = pathToFileURL(join(folder, "library.mjs")).href;
    const program = `import(${JSON.stringify(library)}).then(async ({ finish, remote, run }) => {
      finish(await run(remote(() => 1)));
    }), ""`;
    const [answer] = await runProgram([...args, program]);
    expect(answer?.error).toContain(what);
    expect(answer?.error).toContain("save it to a file or use init({ localMode: true })");
  });

  test("is refused when it comes by standard input", async () => {
    const library = pathToFileURL(join(folder, "library.mjs")).href;
    const program = `import(${JSON.stringify(library)}).then(async ({ finish, remote, run }) => {
      finish(await run(remote(() => 1)));
    })`;
    const [answer] = await runProgram(["-"], { input: program });
    expect(answer?.error).toContain("a script read from standard input");
  });
});

describe("a remote the worker cannot reach", () => {
  test("below init() fails in the driver, and in the worker if sent all the same", async () => {
    const [driver, worker] = await runFile("below-init.mjs");
    expect(driver).toMatchObject({ reason: "driver" });
    expect(driver?.error).toContain(
      "anonymous (below-init.mjs:4) is declared below `await init()`",
    );
    expect(worker).toMatchObject({ reason: "belowPark" });
    expect(worker?.error).toContain("declared below `await init()` in below-init.mjs");
    expect(worker?.error).toContain("move it above");
  });

  test("below a function of another file that calls init()", async () => {
    const [early, late] = await runFile("started-elsewhere.mjs");
    expect(early).toEqual({ value: 2 });
    expect(late).toMatchObject({ reason: "belowPark" });
    expect(late?.error).toContain("`await init()` in started-elsewhere.mjs");
  });

  test("inside a function body", async () => {
    const [atTop, inside] = await runFile("in-function.mjs");
    expect(atTop).toEqual({ value: 2 });
    expect(inside).toMatchObject({ reason: "notRegistered" });
    expect(inside?.error).toContain("anonymous (factory.mjs:4) (factory.mjs#1)");
    expect(inside?.error).toContain("registers anonymous (factory.mjs:3)");
    expect(inside?.error).toContain("Call remote() at module top level");
  });

  test("under a condition: another kind, other code, or none in its place", async () => {
    const [square, cube, named] = await runFile("conditional.mjs");
    expect(square).toMatchObject({ reason: "mismatch" });
    expect(square?.error).toContain("anonymous (conditional.mjs:5) with 1 parameter in the driver");
    expect(square?.error).toContain("anonymous (conditional.mjs:6) with 1 parameter in the worker");
    expect(cube).toMatchObject({ reason: "belowPark" });
    expect(named).toEqual({ value: -2 });
  });

  test("in a module that throws in the worker", async () => {
    const answers = await runFile("throws.mjs");
    for (const answer of answers) {
      expect(answer).toMatchObject({ reason: "importFailed", cause: "TypeError: no workers here" });
      expect(answer.error).toContain("throws.mjs in a worker failed: TypeError: no workers here");
    }
  });
});

describe("a const below init()", () => {
  test("gets a hint when a task uses it", async () => {
    const [answer] = await runFile("dead-zone.mjs");
    expect(answer?.error).toContain("Cannot access 'factor' before initialization");
    expect(answer?.hint).toContain("'factor' is declared below `await init()` in dead-zone.mjs");
  });

  test("gets a hint when the import uses it", async () => {
    const [answer] = await runFile("dead-zone-import.mjs");
    expect(answer).toMatchObject({ reason: "importFailed" });
    expect(answer?.error).toContain("'factor' is declared below `await init()`");
  });
});

describe("TypeScript", () => {
  test("under tsx, seen from the driver's arguments only", async () => {
    expectTypedAnswers(await runProgram(["--import", tsx, "typed.ts"], { bare: true }));
  });

  test("under tsx, seen from the user's module", async () => {
    expectTypedAnswers(await runProgram(["--import", "tsx", "typed.ts"]));
  });

  test("as CommonJS under tsx", async () => {
    const program = await writeCommonProgram();
    expect(await runProgram(["--import", tsx, program])).toEqual([{ value: "42" }]);
  });

  test("asked of a worker of a driver that runs JavaScript", async () => {
    expect(await runProgram([await writeSender()])).toMatchObject([{ value: 10 }]);
  });

  test.skipIf("typescript" in process.features)("without tsx in reach", async () => {
    const [answer] = await runProgram([await writeSender()], { bare: true });
    expect(answer).toMatchObject({ reason: "noTypeScriptLoader" });
    expect(answer?.error).toContain("npm install tsx");
  });
});

test("under a test runner a module of its own is found, whatever was made of it", async () => {
  const { scale } = await import("../fixtures/identity/bundled-tasks.ts");
  const worker = new Worker(pathToFileURL(join(bareFolder, "worker.mjs")), {
    workerData: loaderArguments(),
    execArgv: ["--conditions=mobula-source"],
  });
  const { port1, port2 } = new MessageChannel();
  worker.postMessage({ descriptor: scale.descriptor, args: [2], port: port2 }, [port2]);
  const [answer] = await once(port1, "message");
  await worker.terminate();
  expect(answer).toEqual({ value: 10 });
});

describe("a bundle with the library inside, minified", () => {
  test.each(["esm", "cjs"] as const)("as one %s file", async (format) => {
    const outfile = await buildFixture("bundled.ts", format === "esm" ? "b.mjs" : "b.cjs");
    const answers = await runProgram([outfile], { bare: true });
    const [scale, negate] = answers.slice(2) as unknown as FunctionDescriptor[];
    expect(answers.slice(0, 2)).toEqual([{ value: 10 }, { value: -2 }]);
    const moduleUrl = pathToFileURL(outfile).href;
    expect([scale, negate]).toMatchObject([
      { moduleUrl, ordinal: 0 },
      { moduleUrl, ordinal: 1 },
    ]);
  });
});

async function buildFixture(source: string, name: string): Promise<string> {
  const outfile = join(bareFolder, name);
  await build({
    entryPoints: [join(fixtures, source)],
    outfile,
    format: name.endsWith(".cjs") ? "cjs" : "esm",
    minify: true,
    bundle: true,
    platform: "node",
    conditions: ["mobula-source"],
    logLevel: "error",
    logOverride: { "empty-import-meta": "silent" },
  });
  return outfile;
}

function runFile(name: string): Promise<readonly Answer[]> {
  return runProgram([name]);
}

async function runProgram(
  args: readonly string[],
  options: { readonly input?: string; readonly bare?: boolean } = {},
): Promise<readonly Answer[]> {
  const cwd = options.bare === true ? bareFolder : folder;
  const env = { ...process.env, IDENTITY_WORKER_URL: pathToFileURL(join(cwd, "worker.mjs")).href };
  const running = promisify(execFile)(process.execPath, [...args], { cwd, env, timeout: 20_000 });
  running.child.stdin?.end(options.input ?? "");
  const { stdout } = await running;
  return JSON.parse(stdout);
}

function expectTypedAnswers(answers: readonly Answer[]): void {
  const [shout, scale, fail, descriptor] = answers;
  expect([shout, scale]).toEqual([{ value: "HI" }, { value: 10 }]);
  expect(fail?.cause).toMatch(/typed\.ts:10:9/);
  expect(descriptor).toMatchObject({ displayName: "anonymous (typed.ts:9)", ordinal: 1 });
}

/** A CommonJS program in TypeScript, which this project's own compiler options do not allow. */
async function writeCommonProgram(): Promise<string> {
  const path = join(folder, "common.cts");
  await writeFile(
    path,
    `import { remote, init, finish, run } from "./library.cjs";
    const tag: number = 42;
    const text = remote((): string => String(tag));
    async function main(): Promise<void> {
      await init();
      finish(await run(text));
    }
    void main();`,
  );
  return path;
}

/** A JavaScript program that asks for a function of a TypeScript file it has not imported. */
async function writeSender(): Promise<string> {
  const path = join(folder, "sender.mjs");
  const library = pathToFileURL(join(folder, "library.mjs")).href;
  await writeFile(
    path,
    `import { finish, send } from ${JSON.stringify(library)};
    const moduleUrl = new URL("typed-tasks.ts", \`file://\${process.cwd()}/\`).href;
    const descriptor = {
      moduleUrl, ordinal: 0, name: "", kind: "function",
      parameterCount: 1, sourceHash: 0, displayName: "scale",
    };
    finish(await send(descriptor, [2]));`,
  );
  return path;
}
