/** A command run as a user would, in a folder of its own choice: its end and all it printed. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "../tidy/source-files.ts";

export interface Ended {
  /** Null when the command was killed because it did not end by itself. */
  readonly status: number | null;
  readonly output: string;
}

interface CommandOptions {
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

export const tsx = join(projectRoot, "node_modules/tsx/dist/cli.mjs");

export function runCommand(
  program: string,
  args: readonly string[],
  { cwd = projectRoot, timeoutMs = 60_000 }: CommandOptions = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk: Buffer) => (output += chunk.toString());
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}

export function runNode(args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return runCommand(process.execPath, args, options);
}
