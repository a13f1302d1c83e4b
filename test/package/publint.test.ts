/** The package as published: what publint says of package.json against the files it points to. */
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../tidy/source-files.ts";

test("publint has nothing to say", async () => {
  const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as Record<
    string,
    unknown
  >;
  const { messages } = await publint({ pkgDir: projectRoot, strict: true });
  expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
});
