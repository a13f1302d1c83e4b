/** The place in user code that began something real, and the function that it called there. */

const stackFramesMax = 40;
/** Of an expression that is awaited. */
const rowsMax = 20;

const ownFolder = new URL("../..", import.meta.url).pathname;
export const importCall = "import()";
const hooksFile = "node:internal/async_hooks";
/** What zlib makes its functions from: they are known by the name that they were called by. */
const wrappers = new Set(["asyncBufferWrapper", "syncBufferWrapper", "value"]);

/** The function that user code called, and where. */
export interface Call {
  readonly name: string;
  readonly place: string | undefined;
  /** Of user code. */
  readonly frame?: Frame | undefined;
}

export function errorHere(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = stackFramesMax;
  const error = new Error("real IO begins");
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

export interface Frame {
  readonly name: string;
  readonly file: string;
  readonly row: number;
  readonly column: number;
  readonly at: string;
  /** It waits for the frame before it: its place is that of `await`, not of the call. */
  readonly awaits: boolean;
}

/**
 * Where the call was made that somebody awaits here: the same function has begun it, in the same
 * expression, so at this place or next behind it. Its later steps begin more of it, or not: that is
 * a matter of luck, and no place of its own.
 */
export function placeOfAwaited(awaiting: Frame, calls: readonly Call[]): string {
  const { row, column } = awaiting;
  const isMade = ({ awaits, file, name }: Frame): boolean =>
    !awaits && file === awaiting.file && name === awaiting.name;
  const isBehind = (frame: Frame): boolean =>
    frame.row === row ? frame.column >= column : frame.row > row && frame.row < row + rowsMax;
  const made = calls
    .flatMap(({ frame }) => frame ?? [])
    .filter((frame) => isMade(frame) && isBehind(frame));
  const [nearest = awaiting] = made.sort((a, b) => a.row - b.row || a.column - b.column);
  return nearest.at;
}

/** `made` is the name for what native code makes, with nothing of Node's on the stack. */
export function callOf(error: Error, made: string): Call {
  const frames = framesOf(error);
  const ofUser = (frame: Frame): boolean => isForeign(frame) && !isPackage(frame);
  let index = frames.findIndex(ofUser);
  if (index < 0) index = frames.findIndex(isForeign);
  const frame = frames[index];
  const called = frame === undefined ? frames.at(-1) : frames[index - 1];
  // Most of a module is loaded later, when the stack of who asked for it has ended.
  if (called?.file.startsWith("node:internal/modules/")) {
    return { name: importCall, place: frame?.at, frame };
  }
  return { name: called?.name || made, place: frame?.at, frame };
}

/** It is made when something is written for the first time, by whoever does. */
export function isStandardOutput(error: Error): boolean {
  return framesOf(error).some(({ name }) => name === "createWritableStdioStream");
}

/** A stack is made into text once. */
const known = new WeakMap<Error, readonly Frame[]>();

/** Without ours and those of the hook. */
function framesOf(error: Error): readonly Frame[] {
  const frames = known.get(error) ?? readFrames(error);
  known.set(error, frames);
  return frames;
}

/** A test runner that maps places to their sources may leave out of the text which frames await. */
function stackOf(error: Error): { stack: string; awaiting: readonly boolean[] } {
  const format = Error.prepareStackTrace;
  let awaiting: readonly boolean[] = [];
  if (typeof format !== "function") return { stack: error.stack ?? "", awaiting };
  const noting: typeof format = (of, sites) => {
    awaiting = sites.map((site) => site.isAsync());
    return format(of, sites) as unknown;
  };
  Error.prepareStackTrace = noting;
  try {
    const { stack = "" } = error;
    return { stack, awaiting };
  } finally {
    Error.prepareStackTrace = format;
  }
}

function readFrames(error: Error): Frame[] {
  const { stack, awaiting } = stackOf(error);
  const [, ...lines] = stack.split("\n");
  const frames = lines.flatMap((line, i) => frameOf(line, awaiting[i] === true) ?? []);
  const isOfHook = ({ file }: Frame): boolean => file === hooksFile || file.startsWith(ownFolder);
  const first = frames.findIndex((frame) => !isOfHook(frame));
  return first < 0 ? [] : frames.slice(first);
}

/** Neither Node's nor ours. */
function isForeign({ file }: Frame): boolean {
  return !file.startsWith("node:") && !file.startsWith(ownFolder) && file !== "<anonymous>";
}

function isPackage({ file }: Frame): boolean {
  return file.includes("/node_modules/");
}

function frameOf(line: string, awaits: boolean): Frame | null {
  const found = /^\s+at (async )?(?:(.*) \()?(.+?):(\d+):(\d+)\)?$/.exec(line);
  if (found === null) return null;
  const [, async, called = "", url = "", row, column] = found;
  const file = url.startsWith("file://") ? new URL(url).pathname : url;
  const [, plain = "", alias] = /^(.*?)(?: \[as (.*)\])?$/.exec(called) ?? [];
  const own = plain.replace(/^(?:new |.*\.)/, "");
  const name = wrappers.has(own) ? (alias ?? "") : own;
  const place = { file, row: Number(row), column: Number(column), at: `${file}:${row}:${column}` };
  return { name, ...place, awaits: awaits || async !== undefined };
}
