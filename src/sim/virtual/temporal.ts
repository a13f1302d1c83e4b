/** `Temporal.Now` as user code sees it, where there is one: the wall clock of its machine. */
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

/** As much of it as is needed here: the types of TypeScript do not know it everywhere. */
export interface TemporalLike {
  readonly Instant: { fromEpochMilliseconds(ms: number): InstantLike };
  readonly Now: Record<string, (zone?: unknown) => unknown>;
}

interface InstantLike {
  toZonedDateTimeISO(zone: unknown): {
    toPlainDateTime(): unknown;
    toPlainDate(): unknown;
    toPlainTime(): unknown;
  };
}

export function replaceTemporal(find: FindProcess, replacements: Replacements): void {
  const { Temporal } = globalThis as unknown as { Temporal?: TemporalLike };
  if (Temporal === undefined) return;
  const { Instant, Now } = Temporal;
  const replace = (name: string, virtual: (now: InstantLike, zone: unknown) => unknown): void => {
    const real = Now[name] as (zone?: unknown) => unknown;
    replacements.value(Now, name, (zone?: unknown) => {
      const process = find();
      if (process === null) return real(zone);
      const now = Instant.fromEpochMilliseconds(process.wallMs());
      return virtual(now, zone ?? Now["timeZoneId"]?.());
    });
  };
  replace("instant", (now) => now);
  replace("zonedDateTimeISO", (now, zone) => now.toZonedDateTimeISO(zone));
  replace("plainDateTimeISO", (now, zone) => now.toZonedDateTimeISO(zone).toPlainDateTime());
  replace("plainDateISO", (now, zone) => now.toZonedDateTimeISO(zone).toPlainDate());
  replace("plainTimeISO", (now, zone) => now.toZonedDateTimeISO(zone).toPlainTime());
}
