/** A process that uses more memory than it should ends threads, and their tasks say why. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

/** Of any memory at all: every look finds too much. */
const systemConfig = "{ memoryUsageThreshold: 0, memoryMonitorMs: 20, taskOomRetriesMax: 1 }";
const program = `
import { get, init, OutOfMemoryError, remote } from "mobula";
const never = remote(function never() { return new Promise(() => {}); });
const spin = remote(function spin() { for (;;); });
await init({ numCpus: 2, systemConfig: ${systemConfig} });
for (const ref of [never.remote(), spin.options({ maxRetries: 0 }).remote()]) {
  await get(ref).catch((error) => console.log(error instanceof OutOfMemoryError, error.message));
}
`;

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
  folder.write("short.mjs", program);
});
afterAll(() => folder.remove());

test("tasks of threads that are ended for want of memory", { timeout: 60_000 }, async () => {
  const { status, output } = await folder.run("short.mjs", { timeoutMs: 50_000 });
  expect(status, output).toBe(0);
  const lines = output.trim().split("\n");
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^true .*systemConfig\.memoryUsageThreshold/);
  expect(lines[0]).toContain("never");
  expect(lines[1]).toContain("spin");
});
