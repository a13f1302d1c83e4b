/**
 * Plants what the linter must refuse, beside what it must accept: a linter that sees nothing fails
 * here.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { oxlintConfigText } from "../../scripts/oxlint-config.ts";
import { projectRoot } from "./source-files.ts";

interface Canary {
  readonly path: string;
  readonly code: string;
  /** The rule that must fire; null for a file that must pass. */
  readonly rule: string | null;
}

const imports = "no-restricted-imports";
const globals = "no-restricted-globals";
const longBody = "  total += 1;\n".repeat(71);

function bad(path: string, rule: string, code: string): Canary {
  return { path: `src/${path}`, code: `${code}\n`, rule };
}
function good(path: string, code: string): Canary {
  return { path: `src/${path}`, code: `${code}\n`, rule: null };
}

const canaries: Canary[] = [
  bad("engine/common/a.ts", imports, `export { b } from "#engine/protocol/b.ts";`),
  bad("engine/core-worker/effect.ts", imports, `export { succeed } from "effect/Effect";`),
  bad("engine/core-worker/effect-type.ts", imports, `export type { Effect } from "effect";`),
  bad("engine/core-worker/node.ts", imports, `export { readFileSync } from "node:fs";`),
  bad("engine/core-worker/bare.ts", imports, `export { readFileSync } from "fs";`),
  bad("engine/core-worker/package.ts", imports, `export { pack } from "msgpackr";`),
  bad("engine/core-worker/role.ts", imports, `export { a } from "#engine/raylet/a.ts";`),
  bad("engine/core-worker/climb.ts", imports, `export { a } from "../raylet/a.ts";`),
  bad("engine/core-worker/up.ts", imports, `export { a } from "#engine/services/host.ts";`),
  bad("engine/gcs/transport.ts", imports, `export { a } from "#transports/tcp/deep/a.ts";`),
  bad("engine/object-store/api.ts", imports, `export { a } from "#api/get.ts";`),
  bad("engine/raylet/date.ts", globals, "export const now = Date.now();"),
  bad("engine/raylet/promise.ts", globals, "export const never = new Promise(() => 0);"),
  bad("engine/raylet/promised.ts", "no-restricted-types", "export type Later = Promise<number>;"),
  bad("engine/raylet/timer.ts", globals, "setTimeout(() => 0, 1);"),
  bad("engine/raylet/turn.ts", globals, "queueMicrotask(() => 0);"),
  bad("engine/raylet/dice.ts", "no-restricted-properties", "export const dice = Math.random();"),
  bad("engine/raylet/any.ts", "no-explicit-any", "export const loose = (x: any) => x as string;"),
  bad("engine/raylet/print.ts", "no-console", "console.log(1);"),
  bad("engine/services/executor.ts", imports, `export { succeed } from "effect/Effect";`),
  bad("engine/services/host.ts", imports, `export type { Effect } from "effect/Effect";`),
  bad("engine/services/gcs.ts", imports, `export { a } from "#transports/threads/ring.ts";`),
  bad("engine/services/storage.ts", imports, `export { a } from "#api/init.ts";`),
  bad("transports/threads/ring.ts", imports, `export { succeed } from "effect/Effect";`),
  bad("transports/threads/role.ts", imports, `export { a } from "#engine/raylet/raylet.ts";`),
  bad("transports/threads/other.ts", imports, `export { a } from "#transports/tcp/framing.ts";`),
  bad("transports/threads/port.ts", imports, `export { a } from "#engine/services/ports.ts";`),
  bad("transports/threads/layer.ts", imports, `export { a } from "#engine/services/port-s.ts";`),
  bad("transports/tcp/layer.ts", imports, `export { a } from "#api/init.ts";`),
  bad("api/get.ts", imports, `export { succeed } from "effect/Effect";`),
  bad("api/simulate.ts", imports, `export { a } from "#sim/simulate.ts";`),
  bad("sim/clock.ts", imports, `export { a } from "#cli/main.ts";`),
  bad("cli/list.ts", imports, `export { a } from "#engine/gcs/gcs.ts";`),
  bad("dashboard/chaos.ts", imports, `export { a } from "#sim/simulate.ts";`),
  bad("api/self.ts", imports, `export { get } from "mobula";`),
  bad("api/five.ts", "max-params", "export const f = (a, b, c, d, e) => [a, b, c, d, e];"),
  bad("api/long.ts", "max-lines-per-function", `export function f(total) {\n${longBody}}`),
  bad("api/many.ts", "max-lines", "export {};\n".repeat(501)),
  bad("api/Loud.ts", "filename-case", "export {};"),
  bad("api/circle-a.ts", "no-cycle", `export { b } from "./circle-b.ts";\nexport const a = 1;`),
  bad("api/circle-b.ts", "no-cycle", `export { a } from "./circle-a.ts";\nexport const b = 1;`),

  good("engine/common/b.ts", `export { a } from "./a.ts";`),
  good("engine/raylet/good.ts", `export { a } from "#engine/object-store/a.ts";`),
  good("engine/core-worker/good.ts", `export { a } from "#engine/scheduling/a.ts";`),
  good("engine/services/core-worker.ts", `export { succeed } from "effect/Effect";`),
  good("engine/services/core-worker-client.ts", `export { a } from "#engine/core-worker/a.ts";`),
  good("transports/threads/good.ts", `export { Worker } from "node:worker_threads";`),
  good("transports/threads/own.ts", `export { a } from "#transports/threads/ring.ts";`),
  good("transports/in-process/layer.ts", `export { a } from "#engine/services/ports.ts";`),
  good("transports/simulated/layer.ts", `export { succeed } from "effect/Effect";`),
  good("api/serialization/nested.ts", `export { a } from "#api/errors.ts";`),
  good("sim/world.ts", `export { a } from "#sim/oracles/a.ts";`),
  good("cli/sim.ts", `export { a } from "#sim/simulate.ts";`),
  good("api/init.ts", `export { succeed } from "effect/Effect";`),
  good("api/worker-main.ts", `export { a } from "#transports/threads/transport.ts";`),
];

describe("the linter", () => {
  const folder = mkdtempSync(join(tmpdir(), "mobula-lint-"));
  let rulesByPath = new Map<string, Set<string>>();

  beforeAll(() => {
    writeFileSync(join(folder, ".oxlintrc.json"), oxlintConfigText());
    for (const { path, code } of canaries) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), code);
    }
    rulesByPath = lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(canaries)("$path: $rule", ({ path, rule }) => {
    const rules = [...(rulesByPath.get(path) ?? [])];
    expect(rules).toEqual(rule === null ? [] : expect.arrayContaining([rule]));
  });
});

function lint(folder: string): Map<string, Set<string>> {
  const oxlint = join(projectRoot, "node_modules/oxlint/bin/oxlint");
  const run = spawnSync(process.execPath, [oxlint, "--format", "json"], {
    cwd: folder,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(run.stdout) as {
    diagnostics: { filename: string; code: string }[];
  };
  const found = new Map<string, Set<string>>();
  for (const { filename, code } of diagnostics) {
    const rules = found.get(filename) ?? new Set();
    found.set(filename, rules.add(/\((.*)\)/.exec(code)?.[1] ?? code));
  }
  return found;
}
