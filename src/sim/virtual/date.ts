/** `Date` as user code sees it: now is the wall clock of its machine, all else is Date's own. */
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

export function virtualDate(find: FindProcess): DateConstructor {
  const RealDate = Date;
  const now = (): number => find()?.wallMs() ?? RealDate.now();
  return new Proxy(RealDate, {
    construct(target, args, newTarget) {
      return Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date;
    },
    apply: () => new RealDate(now()).toString(),
    get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
  });
}

/** Of this thread's own class: a test may have put another one in its place. */
const { prototype } = Date;

/** A date leads to the class that the asking code knows: in a run to its `current` one. */
export function replaceDateConstructor(
  find: FindProcess,
  current: () => DateConstructor,
  replacements: Replacements,
): void {
  const real = prototype.constructor;
  replacements.accessor(prototype, "constructor", {
    get: () => (find() === null ? real : current()),
    // As with a plain property: what inherits from it gets one of its own.
    set(this: object, value: unknown) {
      const own = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, "constructor", own);
    },
  });
}
