/**
 * `process.exit` of a simulated process: it ends there and then. What leaves the code that called
 * it is thrown to nobody: whoever catches it does so in a process that is no more.
 */
import type { FindProcess } from "#sim/virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

export class ProcessExited extends Error {
  override readonly name = "ProcessExited";
}

export function exitedBy(code: number): ProcessExited {
  return new ProcessExited(`process.exit(${code}) ended this process`);
}

export function replaceExit(find: FindProcess, replacements: Replacements): void {
  const exitReal = process.exit.bind(process);
  const exit = (code?: number | string | null): never => {
    const caller = find();
    if (caller === null) return exitReal(code);
    const number = Number(code ?? process.exitCode ?? 0);
    caller.exit(number);
    throw exitedBy(number);
  };
  replacements.value(process, "exit", exit);
  // What a program sets is not for the process that runs the simulator.
  replacements.keep(process, "exitCode");
}
