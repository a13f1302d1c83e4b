/** Where Node lets nobody search the heap, a list says what it leaves out, and of which process. */
import { afterAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const folder = new UserFolder();
afterAll(() => folder.remove());

const isOld = Number(process.versions.node.split(".")[0]) < 24;
const permission = isOld ? "--experimental-permission" : "--permission";

test("a list without an inspector says that small values are left out", async () => {
  folder.write(
    "main.js",
    `import { init, put, shutdown } from "mobula";
import { list } from "mobula/state";
await init({ localMode: true, numCpus: 1 });
const refs = [put(1), put(new Uint8Array(100_000))];
const rows = await list("objects");
console.log(refs.map(({ id }) => rows.some((row) => row.objectId === id)).join());
console.log(rows.missing.join("\\n"));
await shutdown();
`,
  );
  const nodeArgs = [permission, "--allow-fs-read=*"];
  const { status, output } = await folder.run("main.js", { nodeArgs });
  expect(output).toContain("false,true\n");
  const left = /worker [0-9a-f]{40}: small values that only a ref keeps are left out: Error: .*/;
  expect(output).toMatch(left);
  expect(status).toBe(0);
});
