/**
 * The place in the user's code that called one of our functions: found by frame depth, because in a
 * bundle our own frames and the user's share one file.
 */
import { findSourceMap } from "node:module";
import { basename, isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface CallSite {
  /** URL of the calling module as another thread can import it, without query; else "". */
  readonly moduleUrl: string;
  /** The script as the runtime names it. Two evaluations of one file may differ here. */
  readonly scriptName: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
  /** What the caller is when it has no importable URL, as in "code typed in the REPL"; else "". */
  readonly unimportable: string;
}

/** The function whose callers are of interest; it must be on the stack. */
type StackAnchor = (...args: never[]) => unknown;

/** Native and eval frames may stand between our function and the first frame of a file. */
const frameCountMax = 32;

export function captureCallSite(below: StackAnchor): CallSite {
  const frame = captureFrames(below).find((candidate) => scriptNameOf(candidate) !== "");
  if (frame === undefined) return unknownCallSite;
  const scriptName = scriptNameOf(frame);
  return {
    ...locateScript(scriptName),
    scriptName,
    lineNumber: frame.getLineNumber() ?? 0,
    columnNumber: frame.getColumnNumber() ?? 0,
  };
}

/** Modules with a frame on the stack above `below`, asynchronous frames included. */
export function moduleUrlsOnStack(below: StackAnchor): ReadonlySet<string> {
  const urls = new Set<string>();
  for (const frame of captureFrames(below)) {
    const { moduleUrl } = locateScript(scriptNameOf(frame));
    if (moduleUrl !== "") urls.add(moduleUrl);
  }
  return urls;
}

/** `hello.ts:5`, in the user's own source where a source map is loaded. */
export function describeLocation(site: CallSite): string {
  const original = originalPosition(site);
  if (original !== undefined) return original;
  if (site.scriptName === "") return "unknown place";
  return `${shortModuleName(site.moduleUrl || site.scriptName)}:${site.lineNumber}`;
}

/** The file's name alone, for messages. */
export function shortModuleName(moduleUrl: string): string {
  if (moduleUrl.startsWith("data:")) return "data: URL";
  const name = basename(moduleUrl);
  try {
    return decodeURIComponent(name);
  } catch {
    // A file name may hold a lone "%": it is shown as it is.
    return name;
  }
}

const unknownCallSite: CallSite = {
  moduleUrl: "",
  scriptName: "",
  lineNumber: 0,
  columnNumber: 0,
  unimportable: "code without a file",
};

/**
 * Structured frames, whatever the program did to `Error`: a formatter of its own, source maps
 * (which would name the original file, not the one a worker can import), a stack limit of 0.
 */
function captureFrames(below: StackAnchor): readonly NodeJS.CallSite[] {
  const holder: { readonly stack?: unknown } = {};
  const restoreFormatter = overrideErrorProperty("prepareStackTrace", keepFrames);
  const restoreLimit = overrideErrorProperty("stackTraceLimit", frameCountMax);
  try {
    Error.captureStackTrace(holder, below);
    // Text instead of frames: `Error` is frozen and could not be overridden.
    return Array.isArray(holder.stack) ? holder.stack : [];
  } finally {
    restoreLimit();
    restoreFormatter();
  }
}

function keepFrames(_error: Error, frames: readonly NodeJS.CallSite[]): unknown {
  return frames;
}

function overrideErrorProperty(key: "prepareStackTrace" | "stackTraceLimit", value: unknown) {
  const before = Reflect.getOwnPropertyDescriptor(Error, key);
  const temporary = { value, writable: true, enumerable: true, configurable: true };
  const isOverridden = Reflect.defineProperty(Error, key, temporary);
  return (): void => {
    if (!isOverridden) return;
    if (before === undefined) Reflect.deleteProperty(Error, key);
    else Reflect.defineProperty(Error, key, before);
  };
}

/** "" for frames that belong to no script of the user: natives, eval, the runtime's own. */
function scriptNameOf(frame: NodeJS.CallSite): string {
  const name = frame.getFileName() ?? "";
  return name.startsWith("node:") ? "" : name;
}

function locateScript(scriptName: string): Pick<CallSite, "moduleUrl" | "unimportable"> {
  const unimportable = unimportableScript(scriptName);
  if (unimportable !== "") return { moduleUrl: "", unimportable };
  if (isAbsolute(scriptName)) return { moduleUrl: fileUrlOfPath(scriptName), unimportable: "" };
  if (scriptName.startsWith("file:")) {
    return { moduleUrl: normalizedFileUrl(scriptName), unimportable: "" };
  }
  if (/^(?:data|https?):/.test(scriptName)) return { moduleUrl: scriptName, unimportable: "" };
  return { moduleUrl: "", unimportable: `the script "${scriptName}", which is not a file` };
}

function unimportableScript(scriptName: string): string {
  if (scriptName === "") return unknownCallSite.unimportable;
  if (/(?:^|\/)\[stdin\]/.test(scriptName)) return "a script read from standard input";
  if (/(?:^|\/)\[(?:worker )?eval\d*\]/.test(scriptName)) {
    return "a script given by --eval or on standard input";
  }
  if (/^REPL\d*$/.test(scriptName)) return "code typed in the REPL";
  return "";
}

/** Test runners name a script by its path and may append a query to it. */
function fileUrlOfPath(path: string): string {
  const queryStart = path.search(/\?[\w-]+(?:=|$)/);
  return pathToFileURL(queryStart === -1 ? path : path.slice(0, queryStart)).href;
}

/** One spelling a file: without query and hash, with the same percent escapes as from a path. */
function normalizedFileUrl(text: string): string {
  const url = new URL(text);
  url.search = "";
  url.hash = "";
  try {
    return pathToFileURL(fileURLToPath(url)).href;
  } catch {
    // A file URL that names no path of this system, such as one with a host: kept as it is.
    return url.href;
  }
}

function originalPosition(site: CallSite): string | undefined {
  try {
    const entry = findSourceMap(site.scriptName)?.findEntry(
      site.lineNumber - 1,
      site.columnNumber - 1,
    );
    if (entry === undefined || !("originalSource" in entry)) return undefined;
    return `${shortModuleName(entry.originalSource)}:${entry.originalLine + 1}`;
  } catch {
    // A broken source map must not break the program: the generated position is shown.
    return undefined;
  }
}
