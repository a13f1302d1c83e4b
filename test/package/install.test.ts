/**
 * The packed tarball in an empty folder, without optional packages and install scripts: hello runs.
 */
import { buildSync } from "esbuild";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../tidy/source-files.ts";
import { runCommand, runNode } from "./run-command.ts";

const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];

describe("the packed tarball", () => {
  const folder = mkdtempSync(join(tmpdir(), "mobula-install-"));
  let packed: string[] = [];

  beforeAll(async () => {
    const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
    const { status, output } = await runCommand("npm", [...pack, "--loglevel", "error"]);
    expect(status, output).toBe(0);
    packed = filesOf(output);
    writeFileSync(join(folder, "package.json"), `{ "name": "user", "type": "module" }\n`);
    const tarball = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
    const install = ["install", "--omit=optional", ...quiet, ...tarball.map((name) => `./${name}`)];
    const installed = await runCommand("npm", install, { cwd: folder, timeoutMs: 180_000 });
    expect(installed.status, installed.output).toBe(0);
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("holds what a user needs, and no source", () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "package.json",
        "dist/api/index.js",
        "dist/cli/main.js",
        "dist/api/index.d.ts",
      ]),
    );
    expect(packed.filter((path) => /^(src|test|scripts)\//.test(path))).toEqual([]);
  });

  test("brings no native part", () => {
    const optional = /^(msgpackr-extract|@napi-rs|@msgpackr-extract)$/;
    const present = readdirSync(join(folder, "node_modules")).filter((name) => optional.test(name));
    expect(present).toEqual([]);
  });

  test.each([["threads"], ["local", "--local"]])("hello, %s", async (_, ...mode) => {
    const main = join(projectRoot, "examples/hello/main.ts");
    buildSync({
      entryPoints: [main],
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      outfile: join(folder, "hello.js"),
    });
    const { status, output } = await runNode(["hello.js", ...mode], { cwd: folder });
    expect(status, output).toBe(0);
    expect(output).toBe("[ 1, 4, 9 ]\n");
  });
});

/** npm may print notices before its JSON. */
function filesOf(output: string): string[] {
  const [report] = JSON.parse(output.slice(output.indexOf("[\n"))) as [
    { files: { path: string }[] },
  ];
  return report.files.map((file) => file.path);
}
