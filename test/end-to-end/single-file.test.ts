/** A program of one file, in every form it may be run in: it works, and ends by itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync, type BuildOptions, transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tsx } from "../package/run-command.ts";
import { projectRoot } from "../tidy/source-files.ts";
import { UserFolder } from "./user-folder.ts";

const source = readFileSync(join(projectRoot, "test/fixtures/single-file/main.ts"), "utf8");
interface Answer {
  readonly paid: number;
  readonly failure: { readonly order: unknown; readonly stack: string };
}

describe("one file", () => {
  let folder: UserFolder;
  beforeAll(() => {
    folder = new UserFolder();
    folder.write("main.ts", source);
  });
  afterAll(() => folder.remove());

  async function answerOf(name: string, nodeArgs: readonly string[] = []): Promise<Answer> {
    const { status, output } = await folder.run(name, { nodeArgs, timeoutMs: 20_000 });
    expect(status, output).toBe(0);
    const answer = JSON.parse(output) as Answer;
    expect(answer).toMatchObject({ paid: 10, failure: { order: { item: "gift", price: -1 } } });
    return answer;
  }

  function bundle(outfile: string, options: BuildOptions = {}): void {
    buildSync({
      entryPoints: [join(folder.path, "main.ts")],
      outfile: join(folder.path, outfile),
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "error",
      ...options,
    });
  }

  test("by tsx, with the line of the source in the worker's stack", async () => {
    const { failure } = await answerOf("main.ts", [tsx]);
    const line = source.split("\n").findIndex((text) => text.includes("throw new PriceError")) + 1;
    expect(failure.stack).toContain(`main.ts:${line}:`);
  });

  test("compiled", async () => {
    folder.write("main.js", transformSync(source, { loader: "ts", format: "esm" }).code);
    const { failure } = await answerOf("main.js");
    expect(failure.stack).toContain("main.js:");
  });

  test("as one bundle with the package inside", async () => {
    bundle("bundle.mjs");
    const { failure } = await answerOf("bundle.mjs");
    expect(failure.stack).toContain("bundle.mjs:");
  });

  test("as one bundle, minified", async () => {
    bundle("small.mjs", { minify: true });
    await answerOf("small.mjs");
  });

  test("as one bundle, with source maps", async () => {
    bundle("mapped.mjs", { sourcemap: true });
    const { failure } = await answerOf("mapped.mjs", ["--enable-source-maps"]);
    expect(failure.stack).toContain("main.ts:");
  });
});
