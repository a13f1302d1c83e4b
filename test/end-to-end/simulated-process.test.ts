/** What a run does with its host's process, which has signals, an exit code and other code. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

let folder: UserFolder;
beforeAll(() => {
  folder = new UserFolder();
});
afterAll(() => folder.remove());

function run(code: string) {
  folder.write("program.mjs", `import { simulate } from "mobula/sim";\n${code}`);
  return folder.run("program.mjs");
}

test("a signal that a program listens to is real IO of its run", async () => {
  const { output, status } = await run(`
    const report = await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      process.once("SIGUSR2", () => {});
      process.kill(process.pid, "SIGUSR2");
    });
    for (const { message } of report.violations) console.log(message);
  `);
  expect(output).toMatch(/^real IO in the program: SIGNALWRAP at once \(.*program\.mjs:\d+:\d+\)/);
  expect(status).toBe(0);
});

test("the first line that a run prints is none, whatever it goes to", async () => {
  const { output } = await run(`
    const report = await simulate({ seed: 1, nodes: 1 }, async () => {
      console.log("a line");
      console.error("and another");
    });
    console.log("violations:", report.violations.length);
  `);
  expect(output).toContain("violations: 0");
});

test("a rejection of code outside of a run ends the process, as it does without one", async () => {
  const { output, status } = await run(`
    setTimeout(() => Promise.reject(new Error("outside")), 0);
    await simulate({ seed: 1, nodes: 1 }, async (sim) => {
      for (let i = 0; i < 1000; i++) await sim.sleep(1);
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    console.log("went on");
  `);
  expect(output).toMatch(/Error: outside\n/);
  expect(output).not.toContain("went on");
  expect(status).toBe(1);
});
