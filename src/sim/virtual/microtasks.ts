/**
 * `queueMicrotask` of a run: what its callback throws is told in the name of who queued it. Node
 * would tell of it in nobody's.
 */
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

export function replaceMicrotasks(find: FindProcess, replacements: Replacements): void {
  const real = globalThis.queueMicrotask;
  const virtual: typeof real = (callback) => {
    if (find() === null || typeof callback !== "function") real(callback);
    else real(() => run(callback));
  };
  replacements.value(globalThis, "queueMicrotask", virtual);
}

function run(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    process.emit("uncaughtException", error as Error);
  }
}
