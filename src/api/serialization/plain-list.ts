/**
 * Long lists proven plain go to msgpackr: it packs and unpacks them faster than our own tags do.
 * Only what it returns unchanged is plain. Not −0 (it becomes 0), undefined and holes (null),
 * lone surrogates (U+FFFD), a leading byte order mark (lost), nor what is no primitive of JSON.
 */
import { Packr } from "msgpackr/pack";
import type { ValuePath } from "./value-path.ts";

/** Shorter lists are faster in our own tags. */
export const plainListLengthMin = 64;

const byteOrderMark = 0xfeff;

/** No records: nothing is shared between messages, so that any thread can unpack any of them. */
const packr = new Packr({ useRecords: false });

/** The items up to the first that is not plain, and that one too: each is read once. */
export function readPlainItems(
  array: readonly unknown[],
  path: ValuePath,
): { readonly items: unknown[]; readonly isPlain: boolean } {
  const items: unknown[] = [];
  for (let i = 0; i < array.length; i++) {
    path.set("index", i);
    const item = array[i];
    items.push(item);
    if (!isPlain(item)) return { items, isPlain: false };
  }
  return { items, isPlain: true };
}

function isPlain(item: unknown): boolean {
  switch (typeof item) {
    case "number":
      return item !== 0 || 1 / item > 0;
    case "string":
      return item.isWellFormed() && item.charCodeAt(0) !== byteOrderMark;
    case "boolean":
      return true;
    default:
      return item === null;
  }
}

/** Valid until the next call. */
export function packPlainItems(items: readonly unknown[]): Uint8Array {
  return packr.pack(items);
}

/** From a copy: msgpackr hands long strings to TextDecoder, which need not take shared memory. */
export function unpackPlainItems(bytes: Uint8Array): unknown[] {
  return packr.unpack(Buffer.from(bytes));
}
