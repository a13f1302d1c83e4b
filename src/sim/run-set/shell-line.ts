/** Parts of a line that a person pastes into a shell. */
import { relative, resolve } from "node:path";

/** From here, when it lies below. */
export function pathArgument(file: string): string {
  const path = relative(process.cwd(), resolve(file));
  if (path.startsWith("..")) return quoted(resolve(file));
  return quoted(path.startsWith("-") ? `./${path}` : path);
}

export function flagArgument(flag: string, value: string): string {
  // What begins with a dash would be taken for a flag of its own.
  return `${flag}${value.startsWith("-") ? "=" : " "}${quoted(value)}`;
}

function quoted(text: string): string {
  return /^[\w./@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
