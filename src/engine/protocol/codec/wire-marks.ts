/** Marks that both ends of the wire write and read in front of fields of more than one shape. */

/** First byte of an id: how many bytes its hex digits make, or one of the three below. */
export const idHexBytesMax = 128;
/** The id is no lower-case hex of whole bytes: a string follows. */
export const idAsString = 0;
export const idAbsent = 254;
/** The id of the process that sent the frame. */
export const idOfSender = 255;

/** Values in functions in values: more than any program has, few enough for the stack. */
export const nestingMax = 64;
