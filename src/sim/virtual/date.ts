/** `Date` as user code sees it: now is the wall clock of its machine, all else is Date's own. */
import type { FindProcess } from "#sim/virtual-globals.ts";

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
