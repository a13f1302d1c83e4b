/**
 * A number for the bytes of a spilled object: four lanes of words, so that one thread makes some
 * gigabytes a second, and each step of a lane can be undone, so that no single changed word is ever
 * missed. Against chance, not against people.
 */

const step = { a: 0x9e3779b1, b: 0x85ebca6b, c: 0xc2b2ae35, d: 0x27d4eb2f };

/** A safe integer that is not negative. */
export function checksumOf(bytes: Uint8Array): number {
  const { buffer, byteOffset, length } = bytes;
  // The arena begins each object at a word; what does not is copied there.
  if (byteOffset % 4 !== 0) return checksumOf(bytes.slice());
  const words = new Int32Array(buffer, byteOffset, length >> 2);
  const whole = words.length & ~3;
  let [a, b, c, d] = [length, 2, 3, 4];
  for (let i = 0; i < whole; i += 4) {
    a = Math.imul(a ^ (words[i] as number), step.a);
    a ^= a >>> 15;
    b = Math.imul(b ^ (words[i + 1] as number), step.b);
    b ^= b >>> 13;
    c = Math.imul(c ^ (words[i + 2] as number), step.c);
    c ^= c >>> 16;
    d = Math.imul(d ^ (words[i + 3] as number), step.d);
    d ^= d >>> 15;
  }
  for (let i = whole * 4; i < length; i++) {
    a = Math.imul(a ^ (bytes[i] as number), step.a);
    a ^= a >>> 15;
  }
  const low = (a ^ Math.imul(b, step.c)) >>> 0;
  const high = (Math.imul(c, step.d) ^ d) & 0x1f_ffff;
  return high * 2 ** 32 + low;
}
