/** `Intl.DateTimeFormat` as user code sees it: without a date it formats the now of its machine. */
import type { FindProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

type Format = (date?: unknown) => unknown;

export function replaceIntl(find: FindProcess, replacements: Replacements): void {
  const { prototype } = Intl.DateTimeFormat;
  const realGetter = Object.getOwnPropertyDescriptor(prototype, "format")?.get as () => Format;
  const { formatToParts } = prototype as unknown as { readonly formatToParts: Format };
  const dateOf = (date: unknown): unknown => (date === undefined ? find()?.wallMs() : date);
  /** By the real one, which each format has once. */
  const formats = new WeakMap<Format, Format>();
  replacements.getter(prototype, "format", function getFormat(this: unknown) {
    const real = realGetter.call(this as never);
    const format = formats.get(real) ?? ((date) => real(dateOf(date)));
    formats.set(real, format);
    return format;
  });
  replacements.value(prototype, "formatToParts", function parts(this: unknown, date?: unknown) {
    return formatToParts.call(this as never, dateOf(date));
  });
}
