/** `performance` and the clocks of `process` as user code sees them: those of its machine. */
import type { MarkOptions, MeasureOptions, PerformanceMeasure } from "node:perf_hooks";
import type { FindProcess } from "#sim/virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

const nanosPerSecond = 1_000_000_000n;

export function replaceClocks(find: FindProcess, replacements: Replacements): void {
  replacePerformance(find, replacements);
  const { hrtime, uptime } = process;
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
  virtualHrtime.bigint = (): bigint => {
    const own = find();
    return own === null ? hrtime.bigint() : nanos(own.monotonicMs());
  };
  replacements.value(process, "hrtime", virtualHrtime);
  replacements.value(process, "uptime", () => {
    const own = find();
    return own === null ? uptime.call(process) : own.monotonicMs() / 1000;
  });
}

/** Marks and measures share one list with the rest of the program; their times are virtual. */
function replacePerformance(find: FindProcess, replacements: Replacements): void {
  const { timeOrigin } = performance;
  const now = performance.now.bind(performance);
  const mark = performance.mark.bind(performance);
  const measure = performance.measure.bind(performance);
  replacements.value(performance, "now", () => find()?.monotonicMs() ?? now());
  replacements.getter(performance, "timeOrigin", () => {
    const own = find();
    return own === null ? timeOrigin : own.wallMs() - own.monotonicMs();
  });
  replacements.value(performance, "mark", (name: string, options?: MarkOptions) => {
    const own = find();
    if (own === null) return mark(name, options);
    return mark(name, { startTime: own.monotonicMs(), ...options });
  });
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
