/**
 * Bytes of an encoded value. A body is one flags byte and one value; a value is a tag and what the
 * tag says. Every object has an ordinal, its place in the order of first mention; `Reference`
 * names an object by it. Integers without a sign travel as varints (7 bits a byte, lowest first).
 *
 *   0x00–0x7f   the integers 0 to 127
 *   0x80–0xbf   a Latin-1 string of 0 to 63 characters, the characters follow
 *   0xc0–       the tags below
 *
 * With `flagBuffers` four bytes follow the flags: where the buffer table starts (buffer-table.ts).
 */

export const tagShortString = 0x80;
export const shortStringMax = 63;

export const tagUndefined = 0xc0;
export const tagNull = 0xc1;
export const tagFalse = 0xc2;
export const tagTrue = 0xc3;
/** Zigzag varint, 32 bits. */
export const tagInteger = 0xc4;
export const tagFloat = 0xc5;
/** Length and bytes; one byte a character. */
export const tagLatin1 = 0xc6;
/** Length in characters and bytes; two bytes a character, so that lone surrogates survive. */
export const tagTwoByte = 0xc7;
/** Eight bytes; a larger one travels as its hexadecimal digits. */
export const tagBigInt64 = 0xc8;
export const tagBigIntHex = 0xc9;
/** Length of a run of holes; only inside arrays. */
export const tagHoles = 0xca;

/** Ordinal. */
export const tagReference = 0xcb;
/** Index into the specials. */
export const tagSpecial = 0xcc;
/** Comes before a container; its content follows after the root's, in the order of deferral. */
export const tagDeferred = 0xcd;

/** Length × 2 (+ 1 with fields), items; then fields: shape, values. */
export const tagArray = 0xd0;
/** Shape, values. A shape is 0, key count and keys when new, otherwise its number. */
export const tagObject = 0xd2;
/** Count, keys and values. */
export const tagMap = 0xd3;
/** Count, members. */
export const tagSet = 0xd4;
/** Class name, then as tagObject. */
export const tagInstance = 0xd5;
/** Names of the prototype chain: count, names; how many fields are hidden; then as tagObject. */
export const tagError = 0xd6;
/** Class name, what the codec made of it. */
export const tagCodec = 0xd7;
/** Length, msgpack (plain-list.ts). */
export const tagPlainList = 0xd8;

/** Milliseconds, as a float. */
export const tagDate = 0xe0;
/** Source, flags. */
export const tagRegExp = 0xe1;
export const tagUrl = 0xe2;
export const tagUrlSearchParams = 0xe3;
/** A boxed primitive: the primitive. */
export const tagBoxed = 0xe4;
/** Kind of view; its place is in the table, under the next number. */
export const tagView = 0xe5;
/** Its place is in the table, under the next number. */
export const tagArrayBuffer = 0xe6;
/** The same, of a SharedArrayBuffer. */
export const tagSharedArrayBuffer = 0xe8;
/** Name, message, stack. */
export const tagDomException = 0xe7;

/** The value has buffers; a table says where. */
export const flagBuffers = 1;
/** The value refers back to objects by ordinal. */
export const flagReferences = 2;

/** Containers deeper than this are deferred, so that depth costs no stack. */
export const deferDepth = 200;
/** What passes through a codec cannot be deferred; this is where it ends. */
export const codecDepthMax = 1000;
