/** Identity of remote functions: where they were declared, and how a worker comes to have them. */
import { basename } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CallSite, captureCallSite, describeLocation } from "#api/identity/call-site.ts";
import { isSameSource, needsTypeScriptLoader, tsxSpecifier } from "#api/identity/code-transform.ts";
import { ModuleLoader } from "#api/identity/module-loader.ts";
import { explainTaskError, noteParked } from "#api/identity/parked-modules.ts";
import {
  type RegisteredRemote,
  describeRemoteId,
  findRemote,
  markInitialized,
  onRegistered,
  registerRemote,
  whyNotOnThreads,
} from "#api/identity/remote-registry.ts";
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";

const moduleUrl = "file:///program/tasks.js";
const mainUrl = "file:///program/main.js";

beforeEach(() => {
  Reflect.deleteProperty(globalThis, Symbol.for("mobula.remotes"));
  Reflect.deleteProperty(globalThis, Symbol.for("mobula.parkedModules"));
});

describe("call site", () => {
  const here = () => captureCallSite(here);

  test("is the module of the direct caller", () => {
    const site = here();
    expect(site).toMatchObject({ moduleUrl: import.meta.url, unimportable: "" });
    expect(describeLocation(site)).toMatch(/^identity\.test\.ts:\d+$/);
  });

  test("is found behind natives and eval", () => {
    const [viaNative] = [0].map(here);
    const viaEval: CallSite = new Function("here", "return here()")(here);
    expect(viaNative?.moduleUrl).toBe(import.meta.url);
    expect(viaEval.moduleUrl).toBe(import.meta.url);
  });

  test("leaves Error as the program had set it", () => {
    const formatter = () => "mine";
    const limit = Error.stackTraceLimit;
    Error.prepareStackTrace = formatter;
    Error.stackTraceLimit = 0;
    try {
      expect(here().moduleUrl).toBe(import.meta.url);
      expect(Error.prepareStackTrace).toBe(formatter);
      expect(Error.stackTraceLimit).toBe(0);
    } finally {
      Reflect.deleteProperty(Error, "prepareStackTrace");
      Error.stackTraceLimit = limit;
    }
  });

  test("without a caller of its own has no module", () => {
    const elsewhere = () => undefined;
    expect(captureCallSite(elsewhere)).toMatchObject({
      moduleUrl: "",
      unimportable: "code without a file",
    });
  });
});

describe("registry", () => {
  test("counts by module and name, and finds by both", () => {
    const first = declare({ target: (x: number) => x });
    const second = declare({ target: () => 2 });
    const named = declare({ target: () => 3, name: "0" });
    const other = declare({ target: () => 4, callSite: siteIn(mainUrl) });
    const again = declare({ target: () => 5, name: "0" });
    expect([first, second, named, other, again].map(({ descriptor }) => descriptor)).toMatchObject([
      { moduleUrl, ordinal: 0, name: "", kind: "function", parameterCount: 1 },
      { moduleUrl, ordinal: 1, name: "" },
      { moduleUrl, ordinal: 0, name: "0" },
      { moduleUrl: mainUrl, ordinal: 0, name: "" },
      { moduleUrl, ordinal: 1, name: "0" },
    ]);
    for (const remote of [first, second, named, other, again]) {
      expect(findRemote(remote.descriptor)).toBe(remote);
    }
    expect(describeRemoteId(second.descriptor)).toBe("tasks.js#1");
    expect(describeRemoteId(again.descriptor)).toBe("tasks.js#0~1");
  });

  test("counts every evaluation of a file from 0; the last one is found", () => {
    declare({ target: () => 1 });
    const reloaded = declare({ callSite: siteIn(moduleUrl, `${moduleUrl}?v=2`) });
    expect(reloaded.descriptor.ordinal).toBe(0);
    expect(findRemote(reloaded.descriptor)).toBe(reloaded);
  });

  test("keeps apart what no worker can import", () => {
    const remotes = ["REPL1", "REPL2"].map((script) => declare({ callSite: siteIn("", script) }));
    expect(remotes.map(({ descriptor }) => descriptor.ordinal)).toEqual([0, 1]);
  });

  test("tells listeners until they leave", () => {
    const seen: RegisteredRemote[] = [];
    const leave = onRegistered((remote) => seen.push(remote));
    const remote = declare({});
    leave();
    declare({});
    expect(seen).toEqual([remote]);
  });

  test("knows what stands below init() in its own module", () => {
    const above = declare({});
    markInitialized(moduleUrl);
    const below = declare({});
    const elsewhere = declare({ callSite: siteIn(mainUrl) });
    expect(whyNotOnThreads(above)).toBeUndefined();
    expect(whyNotOnThreads(elsewhere)).toBeUndefined();
    expect(whyNotOnThreads(below)).toContain("declared below `await init()` in tasks.js");
  });

  test("descriptors can be copied whole", () => {
    const { descriptor } = declare({ target: class Counter {}, kind: "class" });
    expect(structuredClone(descriptor)).toEqual({
      moduleUrl,
      ordinal: 0,
      name: "",
      kind: "class",
      parameterCount: 0,
      sourceHash: 0,
      displayName: "Counter (tasks.js:3)",
    });
  });
});

describe("source texts", () => {
  test("compare only when loaded the same way", () => {
    expect(isSameSource(0b1001, 0b1001)).toBe(true);
    expect(isSameSource(0b1001, 0b1101)).toBe(false);
    expect(isSameSource(0b1001, 0b1110)).toBe(true);
    expect(isSameSource(0b1001, 0)).toBe(true);
  });

  test.skipIf("typescript" in process.features)("need tsx when it may be TypeScript", () => {
    expect(needsTypeScriptLoader("file:///a.js", [])).toBe(false);
    expect(needsTypeScriptLoader("file:///a.mts", [])).toBe(true);
    expect(needsTypeScriptLoader("file:///a.js", ["file:///n/tsx/dist/loader.mjs"])).toBe(true);
    expect(needsTypeScriptLoader("file:///a.ts", ["@swc-node/register/esm-register"])).toBe(false);
    expect(tsxSpecifier(["./tsx-like.js", "tsx/esm"])).toBe("tsx/esm");
  });
});

describe("module loader", () => {
  let loader: ModuleLoader;
  let imports: string[] = [];
  let failures: string[] = [];
  let settle: { readonly end: () => void; readonly fail: (error: unknown) => void };

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
    imports = [];
    failures = [];
    loader = new ModuleLoader({
      loaderArgs: [],
      importModule(url) {
        imports.push(url);
        return new Promise<void>((end, fail) => {
          settle = { end, fail };
        });
      },
      onImportFailed: (error, url) => failures.push(`${basename(url)}: ${error.message}`),
    });
  });

  afterEach(() => {
    loader.close();
    vi.useRealTimers();
  });

  test("returns at once what is registered", () => {
    const remote = declare({});
    expect(loader.resolveRemote(wantedFrom(remote))).toBe(remote);
    expect(imports).toEqual([]);
  });

  test("imports a module once for all its functions", async () => {
    const found = [loader.resolveRemote(wanted(0)), loader.resolveRemote(wanted(1))];
    const remotes = [declare({}), declare({})];
    settle.end();
    expect(await Promise.all(found)).toEqual(remotes);
    expect(imports).toEqual([moduleUrl]);
    expect(loader.resolveRemote(wanted(1))).toBe(remotes[1]);
  });

  test("does not wait for the end of a module that parks", async () => {
    const found = loader.resolveRemote(wanted(0));
    const remote = declare({});
    noteParked(moduleUrl);
    vi.advanceTimersToNextTimer();
    expect(await found).toBe(remote);
  });

  test("refuses what stands below the parked call, without waiting", async () => {
    const found = expect(loader.resolveRemote(wanted(0))).rejects;
    noteParked(moduleUrl, "get");
    vi.advanceTimersByTime(0);
    await found.toMatchObject({
      reason: "belowPark",
      message: expect.stringContaining("below `await get()` in tasks.js"),
    });
  });

  test("knows a module that another import has parked", async () => {
    noteParked(moduleUrl);
    const found = expect(loader.resolveRemote(wanted(0))).rejects;
    vi.advanceTimersByTime(0);
    await found.toMatchObject({ reason: "belowPark" });
  });

  test("gives a top-level await after remote() two seconds", async () => {
    let settled = false;
    const found = Promise.resolve(loader.resolveRemote(wanted(0))).then(() => (settled = true));
    declare({});
    await vi.advanceTimersByTimeAsync(1_000);
    expect(settled).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    await found;
  });

  test.each([
    [10_000, mainUrl, "a worker stops at `await init()` in main.js"],
    [60_000, undefined, "a top-level `await` in it, or in a module it imports, has not ended"],
  ])("gives up an import after %i ms", async (limitMs, parkedUrl, words) => {
    if (parkedUrl !== undefined) noteParked(parkedUrl);
    const failed = vi.fn();
    void Promise.resolve(loader.resolveRemote(wanted(0))).catch(failed);
    await vi.advanceTimersByTimeAsync(limitMs - 1);
    expect(failed).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(failed.mock.calls[0]).toMatchObject([{ reason: "importUnfinished" }]);
    expect(String(failed.mock.calls[0])).toContain(words);
    const remote = declare({});
    settle.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(loader.resolveRemote(wanted(0))).toBe(remote);
  });

  test("tries a failing module again, ever more rarely, and then no more", async () => {
    for (const delayMs of [1_000, 4_000, 16_000, Infinity]) {
      await expectFailure(() => settle.fail(new TypeError("no such host")));
      const importCount = imports.length;
      await expectFailure(() => {});
      expect(imports).toHaveLength(importCount);
      vi.advanceTimersByTime(Math.min(delayMs, 1e9));
    }
    expect(imports).toEqual([
      moduleUrl,
      `${moduleUrl}?mobula-attempt=2`,
      `${moduleUrl}?mobula-attempt=3`,
      `${moduleUrl}?mobula-attempt=4`,
    ]);
    expect(failures).toHaveLength(4);
    expect(failures[3]).toContain("no such host (attempt 4, not tried again in this worker)");
    await expectFailure(() => {});
    expect(imports).toHaveLength(4);
  });

  test("a module that recovers serves again", async () => {
    await expectFailure(() => settle.fail(new Error("busy")));
    vi.advanceTimersByTime(1_000);
    const found = loader.resolveRemote(wanted(0));
    const remote = declare({});
    settle.end();
    expect(await found).toBe(remote);
  });

  test.each<[string, Partial<FunctionDescriptor>, string]>([
    ["kind", { kind: "class" }, "is class f (a.ts:1) with 0 parameters in the driver"],
    ["parameter count", { parameterCount: 2 }, "with 2 parameters in the driver but function"],
  ])("refuses a function of another %s", async (_what, difference, words) => {
    const remote = declare({});
    const other = { ...wantedFrom(remote), displayName: "f (a.ts:1)", ...difference };
    await expect(loader.resolveRemote(other)).rejects.toMatchObject({
      reason: "mismatch",
      message: expect.stringContaining(words),
    });
  });

  test("refuses what has no module", async () => {
    await expect(loader.resolveRemote({ ...wanted(0), moduleUrl: "" })).rejects.toMatchObject({
      reason: "unimportable",
    });
  });

  async function expectFailure(meanwhile: () => void): Promise<void> {
    const found = expect(loader.resolveRemote(wanted(0))).rejects;
    meanwhile();
    await found.toMatchObject({ reason: "importFailed", cause: { message: /\w/ } });
  }
});

describe("a name used before its time", () => {
  const early = new ReferenceError("Cannot access 'K' before initialization");

  test("is explained where a module has parked", () => {
    expect(explainTaskError(early, moduleUrl)).toBeUndefined();
    noteParked(mainUrl);
    const hint = "'K' is declared below `await init()` in main.js";
    expect(explainTaskError(early, moduleUrl)).toContain(hint);
    expect(explainTaskError(new Error(early.message), moduleUrl)).toBeUndefined();
  });
});

function siteIn(url: string, scriptName = url): CallSite {
  const unimportable = url === "" ? "code typed in the REPL" : "";
  return { moduleUrl: url, scriptName, lineNumber: 3, columnNumber: 1, unimportable };
}

function declare(registration: Partial<Parameters<typeof registerRemote>[0]>): RegisteredRemote {
  const callSite = siteIn(moduleUrl);
  return registerRemote({ target: () => 1, kind: "function", callSite, ...registration });
}

function wantedFrom(remote: RegisteredRemote): FunctionDescriptor {
  return { ...remote.descriptor };
}

/** A function of `tasks.js` as `declare({})` makes it. */
function wanted(ordinal: number): FunctionDescriptor {
  return {
    moduleUrl,
    ordinal,
    name: "",
    kind: "function",
    parameterCount: 0,
    sourceHash: 0,
    displayName: "target (tasks.js:3)",
  };
}
