/** The kinds of view on bytes, by their number on the wire. */

export type ViewConstructor = (new (
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
) => ArrayBufferView) & { readonly BYTES_PER_ELEMENT?: number };

/** Appended to, never reordered. Float16Array exists since Node 24. */
const viewNames = [
  "DataView",
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "Float16Array",
];
const viewConstructors = viewNames.map(
  (name) => (globalThis as unknown as Record<string, ViewConstructor | undefined>)[name],
);
/** Answers for any realm and any subclass; undefined for a DataView. */
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: ArrayBufferView) => string | undefined;

/** A subclass (Buffer) travels as what it is underneath. */
export function viewKind(view: ArrayBufferView): number {
  return viewNames.indexOf(typedArrayName.call(view) ?? "DataView");
}

export function viewConstructor(kind: number): ViewConstructor {
  const constructor = viewConstructors[kind];
  if (constructor !== undefined) return constructor;
  throw new Error(`this Node.js has no view of kind ${viewNames[kind] ?? kind}`);
}
