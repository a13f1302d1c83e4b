/** Finds what an array has beside its items, as `index` of a RegExp match. */
import { inspect, types } from "node:util";

const none: readonly string[] = [];
/** Up to here listing all keys costs no more than asking for the others. */
const listedLengthMax = 128;
const bareOptions = { maxArrayLength: 0, depth: 0, customInspect: false, breakLength: Infinity };

/**
 * Names of the enumerable fields that are no items. Nothing in the language lists them without the
 * items; `inspect` can, and shows nothing else when there are none. Should it ever show more, all
 * keys are listed: slower, and right.
 */
export function arrayFields(array: readonly unknown[]): readonly string[] {
  if (array.length > listedLengthMax && !types.isProxy(array)) {
    if (inspect(array, bareOptions) === `[ ... ${array.length} more items ]`) return none;
  }
  const keys = Object.keys(array);
  let from = keys.length;
  while (from > 0 && !isArrayIndex(keys[from - 1] as string)) from -= 1;
  return from === keys.length ? none : keys.slice(from);
}

function isArrayIndex(key: string): boolean {
  const index = Number(key) >>> 0;
  return index !== 0xffffffff && String(index) === key;
}
