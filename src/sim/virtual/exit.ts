/**
 * `process.exit` of a simulated process: it ends there and then. What leaves the code that called
 * it is thrown to nobody: whoever catches it does so in a process that is no more.
 *
 * Each has an exitCode of its own, where user code asks the global `process` for it. The real one
 * stays with those outside of the run: as a property it cannot be replaced.
 */
import type { FindProcess } from "./virtual-globals.ts";
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
    const number = Number(code ?? caller.exitCode ?? 0);
    caller.exit(number);
    throw exitedBy(number);
  };
  replacements.value(process, "exit", exit);
  const real = process;
  const virtual = processOf(find, real);
  replacements.getter(globalThis, "process", () => (find() === null ? real : virtual));
}

/** For whoever keeps it beyond the run it is the real one. */
function processOf(find: FindProcess, real: NodeJS.Process): NodeJS.Process {
  return new Proxy(real, {
    get: (_, name) => {
      const caller = name === "exitCode" ? find() : null;
      return caller === null ? Reflect.get(real, name) : caller.exitCode;
    },
    set: (_, name, value: never) => {
      const caller = name === "exitCode" ? find() : null;
      if (caller === null) return Reflect.set(real, name, value);
      caller.exitCode = value;
      return true;
    },
  });
}
