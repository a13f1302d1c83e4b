/**
 * Strings out of a frame by hand: TextDecoder refuses shared memory and repairs lone surrogates.
 *
 * V8 makes one flat string of the code units in a call, and ropes the pieces: so, many a call.
 */

const { fromCharCode } = String;

export function latin1String(view: DataView, start: number, length: number): string {
  const end = start + length;
  let text = "";
  let at = start;
  for (; at + 16 <= end; at += 16) text += latin1Of16(view, at);
  for (; at + 4 <= end; at += 4) {
    text += fromCharCode(
      view.getUint8(at),
      view.getUint8(at + 1),
      view.getUint8(at + 2),
      view.getUint8(at + 3),
    );
  }
  for (; at < end; at++) text += fromCharCode(view.getUint8(at));
  return text;
}

/** `length` counts code units, two bytes each. */
export function utf16String(view: DataView, start: number, length: number): string {
  const end = start + length * 2;
  let text = "";
  let at = start;
  for (; at + 16 <= end; at += 16) {
    text += fromCharCode(
      view.getUint16(at, true),
      view.getUint16(at + 2, true),
      view.getUint16(at + 4, true),
      view.getUint16(at + 6, true),
      view.getUint16(at + 8, true),
      view.getUint16(at + 10, true),
      view.getUint16(at + 12, true),
      view.getUint16(at + 14, true),
    );
  }
  for (; at < end; at += 2) text += fromCharCode(view.getUint16(at, true));
  return text;
}

/** Two lower-case digits a byte. */
export function hexString(view: DataView, start: number, byteLength: number): string {
  const end = start + byteLength;
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const high = view.getUint16(at);
    const low = view.getUint16(at + 2);
    text += fromCharCode(
      hexDigitUnit(high >>> 12),
      hexDigitUnit((high >>> 8) & 15),
      hexDigitUnit((high >>> 4) & 15),
      hexDigitUnit(high & 15),
      hexDigitUnit(low >>> 12),
      hexDigitUnit((low >>> 8) & 15),
      hexDigitUnit((low >>> 4) & 15),
      hexDigitUnit(low & 15),
    );
  }
  for (; at < end; at++) {
    const byte = view.getUint8(at);
    text += fromCharCode(hexDigitUnit(byte >>> 4), hexDigitUnit(byte & 15));
  }
  return text;
}

function hexDigitUnit(value: number): number {
  return value < 10 ? value + 48 : value + 87;
}

function latin1Of16(view: DataView, at: number): string {
  return fromCharCode(
    view.getUint8(at),
    view.getUint8(at + 1),
    view.getUint8(at + 2),
    view.getUint8(at + 3),
    view.getUint8(at + 4),
    view.getUint8(at + 5),
    view.getUint8(at + 6),
    view.getUint8(at + 7),
    view.getUint8(at + 8),
    view.getUint8(at + 9),
    view.getUint8(at + 10),
    view.getUint8(at + 11),
    view.getUint8(at + 12),
    view.getUint8(at + 13),
    view.getUint8(at + 14),
    view.getUint8(at + 15),
  );
}
