/** Shows every rule of the tidy test a file that breaks it and one that does not. */
import { describe, expect, test } from "vitest";
import { messageNames, messagesHaveOneHome } from "./messages.ts";
import * as rules from "./rules.ts";
import { codeOf, importsOf, type SourceFile } from "./source-files.ts";

function file(path: string, text: string): SourceFile {
  return { path, text };
}

/** A file breaks the rule, another does not. */
function expectRule(rule: (files: SourceFile[]) => string[], bad: SourceFile, good: SourceFile) {
  expect(rule([bad]), `breaks the rule: ${bad.text}`).toHaveLength(1);
  expect(rule([good]), `keeps the rule: ${good.text}`).toEqual([]);
}

describe("each rule can fail", () => {
  test("header", () => {
    const header = "/** Life of a. */\nexport {};\n";
    expectRule(rules.hasHeader, file("src/a.ts", "export {};\n"), file("src/a.ts", header));
    const lib = `/// <reference lib="esnext.disposable" preserve="true" />\n${header}`;
    expect(rules.hasHeader([file("src/a.ts", lib)])).toEqual([]);
  });

  test("labels of a machine", () => {
    const labels = ["State:  x", "In/out: x", "Bounds: x", "Errors: x", "Source: x"];
    const body = "export class Raylet implements Machine<E, I> {}\n";
    const header = (lines: string[]) => `/**\n${lines.map((line) => ` * ${line}\n`).join("")} */\n`;
    const path = "src/engine/raylet/raylet.ts";
    const rule = (files: SourceFile[]) => rules.machinesSayTheirLife(files, []);
    const good = file(path, header(labels) + body);
    for (const label of labels) {
      const others = labels.filter((other) => other !== label);
      expectRule(rule, file(path, header(others) + body), good);
    }
    const listed = [file(path, header([]))];
    expect(rules.machinesSayTheirLife(listed, [path])).toHaveLength(1);
    expect(rules.machinesSayTheirLife([], [path])).toHaveLength(1);
  });

  test("functions behind a property", () => {
    const good = file(
      "src/a.ts",
      "const f = (a: X): void => a.go();\nthis.#f = f;\nx.g = y(() => 1);\n",
    );
    for (const bad of [
      "this.#f = (a: X): void => go(a);",
      "x.f = a => a;",
      "x.f = async () => {};",
    ]) {
      expectRule(rules.functionsAreYoung, file("src/a.ts", `${bad}\n`), good);
    }
  });

  test("line length", () => {
    const bad = file("bench/a.ts", `${"é".repeat(101)}\n`);
    expectRule(rules.linesAreShort, bad, file("bench/a.ts", `${"é".repeat(100)}\n`));
  });

  test("file length", () => {
    const bad = file("src/a.ts", "a\n".repeat(501));
    expectRule(rules.filesAreShort, bad, file("src/a.ts", "a\n".repeat(500)));
  });

  test("unfinished marks", () => {
    for (const word of ["TODO", "FIXME", "XXX"]) {
      const bad = file("test/a.ts", `// ${word} later`);
      expectRule(rules.nothingLeftOpen, bad, file("test/a.ts", `// ${word.toLowerCase()}`));
    }
  });

  test("printing", () => {
    const good = file("src/a.ts", "// console.log says it\n");
    expectRule(rules.sourcesDoNotPrint, file("src/a.ts", "console.error(1);"), good);
  });

  test("file names", () => {
    for (const name of ["utils.ts", "ring-helpers.ts", "helper.ts", "misc.test.ts"]) {
      expectRule(rules.namesSaySomething, file(`src/${name}`, ""), file("src/futile.ts", ""));
    }
  });

  test("machines do not wait", () => {
    const good = file("src/engine/gcs/a.ts", `// await nothing\nconst x = "async";\n`);
    for (const code of ["async () => 1", "await x", `import("./b.ts")`]) {
      expectRule(rules.machinesDoNotWait, file("src/engine/gcs/a.ts", code), good);
    }
    expect(rules.machinesDoNotWait([file("src/engine/services/a.ts", "await x")])).toEqual([]);
  });

  test("imports of examples", () => {
    const rule = (files: SourceFile[]) => rules.examplesImportThePackage(files, ["hyparquet"]);
    const good = ["mobula", "mobula/util", "node:fs", "./a.ts", "hyparquet"]
      .map((name) => `import { a } from "${name}";\n`)
      .join("");
    for (const name of ["../src/api/index.ts", "#api/index.ts", "mobula/dist/x.js", "msgpackr"]) {
      const bad = file("examples/a/main.ts", `import { a } from "${name}";`);
      expectRule(rule, bad, file("examples/a/main.ts", good));
    }
  });

  test("effect, three imports away from a worker", () => {
    const graph = (last: string) => [
      file("src/api/worker-main.ts", `import { Host } from "#engine/services/host.ts";`),
      file("src/engine/services/host.ts", `import {\n  a,\n} from "./a.ts";`),
      file("src/engine/services/a.ts", last),
    ];
    const entry = "src/api/worker-main.ts";
    const bad = graph(`import * as Effect from "effect/Effect";`);
    expect(rules.workersLoadNoEffect(bad, entry)).toHaveLength(1);
    const erased = graph(`import type * as Effect from "effect/Effect";`);
    expect(rules.workersLoadNoEffect(erased, entry)).toEqual([]);
    expect(rules.workersLoadNoEffect([], entry)).toHaveLength(1);
  });

  test("the simulator, two imports away from a program", () => {
    const graph = (last: string) => [
      file("src/api/index.ts", `export { init } from "./init.ts";`),
      file("src/api/init.ts", last),
      file("src/sim/oracles.ts", ""),
    ];
    const rule = rules.nothingLoadsTheSimulator;
    const entries = ["src/api/index.ts"];
    expect(rule(graph(`import { Oracles } from "#sim/oracles.ts";`), entries)).toHaveLength(1);
    expect(rule(graph(`import type { Oracles } from "#sim/oracles.ts";`), entries)).toEqual([]);
    expect(rule(graph(`const a = await import("#sim/oracles.ts");`), entries)).toEqual([]);
    expect(rule([], entries)).toHaveLength(1);
  });
});

describe("messages", () => {
  const protocol = file(
    "src/engine/protocol/message.ts",
    `export interface Ask {
  readonly type: "ask";
}
interface Tell {
  /** Comes first. */
  readonly type: "tell";
  readonly what: string;
}
export interface NoMessage {
  readonly type: "noMessage";
}
type Talk =
  | Tell;
export type Message = Ask | Talk;
`,
  );
  const sender = file("src/engine/gcs/a.ts", `send({ type: "ask" });\nsend({ type: "tell" });\n`);
  const handler = file("src/engine/raylet/a.ts", "  onAsk(): void {\n  #onTell(m: Tell) {\n");
  const all = [protocol, sender, handler];

  test("are the members of the union", () => {
    expect(messageNames([protocol])).toEqual(["ask", "tell"]);
  });
  test("with one home each pass", () => {
    expect(messagesHaveOneHome(all)).toEqual([]);
  });
  test("without a handler or sender do not", () => {
    expect(messagesHaveOneHome([protocol, sender])).toEqual([
      "onAsk: no handler",
      "onTell: no handler",
    ]);
    const calls = file("src/engine/raylet/a.ts", "onAsk(m);\nthis.onTell(m);\n");
    expect(messagesHaveOneHome([protocol, sender, calls])).toHaveLength(2);
    expect(messagesHaveOneHome([protocol, handler])).toHaveLength(2);
  });
  test("with two homes do not, unless that is the design", () => {
    const second = file("src/engine/raylet/b.ts", "  onAsk(): void {\n");
    expect(messagesHaveOneHome([...all, second])).toHaveLength(1);
    expect(messagesHaveOneHome([...all, second], ["onAsk"])).toEqual([]);
  });
  test("are looked for at all", () => {
    expect(messagesHaveOneHome([sender, handler])).toHaveLength(1);
  });
});

describe("reading", () => {
  test("comments and strings are no code", () => {
    expect(codeOf("a // b\n`c\nd` /* e */ f").trim().split(/\s+/)).toEqual(["a", "f"]);
    expect(codeOf('x("\\"y") z').replace(/\s+/g, " ")).toBe("x( ) z");
  });
  test("imports of every form", () => {
    const text = `import "a";
import type { B } from "b";
import {
  c,
} from "c";
export * from "d";
const e = await import("e");
`;
    expect(importsOf(text)).toEqual([
      { specifier: "a", typeOnly: false, later: false },
      { specifier: "b", typeOnly: true, later: false },
      { specifier: "c", typeOnly: false, later: false },
      { specifier: "d", typeOnly: false, later: false },
      { specifier: "e", typeOnly: false, later: true },
    ]);
  });
});
