/** The error for a value that cannot travel: where, why, and what to do. */
import { SerializationError } from "#api/errors.ts";

/** A path longer than this shows its two ends. */
const shownLengthMax = 1000;

export function unserializable(path: string, reason: string, cause?: unknown): SerializationError {
  const fields = cause === undefined ? { path } : { path, cause };
  return new SerializationError(`${prefix(path)}${reason}`, fields);
}

/** The message without the place, which `path` has. */
export function reasonOf(error: SerializationError): string {
  const { message, path } = error;
  return message.startsWith(prefix(path)) ? message.slice(prefix(path).length) : message;
}

function prefix(path: string): string {
  return `cannot serialize ${shorten(path)}: `;
}

function shorten(path: string): string {
  if (path.length <= shownLengthMax) return path;
  const half = shownLengthMax / 2;
  return `${path.slice(0, half)} … ${path.slice(-half)}`;
}
