/** `performance` and the clocks of `process` as user code sees them: those of its machine. */
import type { MarkOptions, MeasureOptions, PerformanceMeasure } from "node:perf_hooks";
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

const nanosPerSecond = 1_000_000_000n;

/** The clocks of node:process; `real` are its own. */
export function virtualProcessClocks(
  find: FindProcess,
  { hrtime, uptime }: Pick<NodeJS.Process, "hrtime" | "uptime">,
): Pick<NodeJS.Process, "hrtime" | "uptime"> {
  const nanos = (monotonicMs: number): bigint => BigInt(Math.round(monotonicMs * 1e6));
  const virtualHrtime = (since?: [number, number]): [number, number] => {
    const own = find();
    if (own === null) return hrtime(since);
    const [seconds, rest] = since ?? [0, 0];
    const passed = nanos(own.monotonicMs()) - BigInt(seconds) * nanosPerSecond - BigInt(rest);
    // Toward minus infinity, as Node counts.
    const remainder = ((passed % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
    return [Number((passed - remainder) / nanosPerSecond), Number(remainder)];
  };
  const bigint = (): bigint => {
    const own = find();
    return own === null ? hrtime.bigint() : nanos(own.monotonicMs());
  };
  return {
    hrtime: Object.assign(virtualHrtime, { bigint }),
    uptime: () => {
      const own = find();
      return own === null ? uptime.call(process) : own.monotonicMs() / 1000;
    },
  };
}

/** Marks and measures share one list with the rest of the program; their times are virtual. */
export function replacePerformance(find: FindProcess, replacements: Replacements): void {
  const { timeOrigin } = performance;
  const now = performance.now.bind(performance);
  const mark = performance.mark.bind(performance);
  const measure = performance.measure.bind(performance);
  replacements.value(performance, "now", () => find()?.monotonicMs() ?? now());
  replacements.getter(performance, "timeOrigin", () => {
    const own = find();
    return own === null ? timeOrigin : own.wallMs() - own.monotonicMs();
  });
  const marked = (options?: MarkOptions): MarkOptions | undefined => {
    const own = find();
    return own === null ? options : { startTime: own.monotonicMs(), ...options };
  };
  replacements.value(performance, "mark", (name: string, options?: MarkOptions) => {
    return mark(name, marked(options));
  });
  const construct = (
    target: typeof PerformanceMark,
    [name, options]: [string, MarkOptions?],
    newTarget: unknown,
  ): object => Reflect.construct(target, [name, marked(options)], newTarget as never) as object;
  replacements.value(globalThis, "PerformanceMark", new Proxy(PerformanceMark, { construct }));
  const virtualMeasure = (
    name: string,
    from?: string | MeasureOptions,
    endMark?: string,
  ): PerformanceMeasure => {
    const own = find();
    if (own === null) return measure(name, from as string, endMark);
    const given = typeof from === "object" ? from : { start: from ?? 0, end: endMark };
    const isWhole = given.end !== undefined || given.duration !== undefined;
    const end = isWhole ? given.end : own.monotonicMs();
    return measure(name, { ...given, ...(end === undefined ? {} : { end }) } as object);
  };
  replacements.value(performance, "measure", virtualMeasure);
}
