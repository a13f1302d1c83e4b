/** The place in user code that began something real, and the function that it called there. */

const stackFramesMax = 40;

const ownFolder = new URL("..", import.meta.url).pathname;
const hooksFile = "node:internal/async_hooks";
/** What zlib makes its functions from: they are known by the name that they were called by. */
const wrappers = new Set(["asyncBufferWrapper", "syncBufferWrapper", "value"]);

/** The function that user code called, and where. */
export interface Call {
  readonly name: string;
  readonly place: string | undefined;
}

export function errorHere(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = stackFramesMax;
  const error = new Error("real IO begins");
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

interface Frame {
  readonly name: string;
  readonly file: string;
  readonly at: string;
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
    return { name: "import()", place: frame?.at };
  }
  return { name: called?.name || made, place: frame?.at };
}

/** It is made when something is written for the first time, by whoever does. */
export function isStandardOutput(error: Error): boolean {
  return framesOf(error).some(({ name }) => name === "createWritableStdioStream");
}

/** Without ours and those of the hook. */
function framesOf({ stack = "" }: Error): Frame[] {
  const frames = stack.split("\n").flatMap((line) => frameOf(line) ?? []);
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

function frameOf(line: string): Frame | null {
  const found = /^\s+at (?:async )?(?:(.*) \()?(.+?):(\d+):(\d+)\)?$/.exec(line);
  if (found === null) return null;
  const [, called = "", url = "", row, column] = found;
  const file = url.startsWith("file://") ? new URL(url).pathname : url;
  const [, plain = "", alias] = /^(.*?)(?: \[as (.*)\])?$/.exec(called) ?? [];
  const own = plain.replace(/^(?:new |.*\.)/, "");
  const name = wrappers.has(own) ? (alias ?? "") : own;
  return { name, file, at: `${file}:${row}:${column}` };
}
