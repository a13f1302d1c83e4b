/**
 * Every message of the protocol has one file that sends it and one that handles it, by one name.
 */
import { codeOf, under, type SourceFile } from "./source-files.ts";

const protocol = "src/engine/protocol/";
const union = "Message";

/** Names (`type`) of all members of the `Message` union, however it is put together. */
export function messageNames(files: readonly SourceFile[]): string[] {
  const text = under(files, protocol)
    .map((file) => file.text)
    .join("\n");
  const parts = new Map<string, string[]>();
  for (const [, name = "", body = ""] of text.matchAll(/^(?:export )?type (\w+) =([^;{]*);/gm)) {
    parts.set(name, body.match(/\w+/g) ?? []);
  }
  const typeOf = new Map<string, string>();
  const shape = /^(?:export )?interface (\w+)[^{]*\{\n(?:[^}]*?\n)??\s+readonly type: "(\w+)";/gm;
  for (const [, name = "", type = ""] of text.matchAll(shape)) typeOf.set(name, type);

  const names: string[] = [];
  const seen = new Set([union]);
  for (const name of seen) {
    const type = typeOf.get(name);
    if (type !== undefined) names.push(type);
    for (const part of parts.get(name) ?? []) seen.add(part);
  }
  return names.sort();
}

/**
 * `several`: messages that by design have more than one sender or handler, as `onName` or `name`.
 */
export function messagesHaveOneHome(
  files: readonly SourceFile[],
  several: readonly string[] = [],
): string[] {
  const names = messageNames(files);
  if (names.length === 0) return [`${protocol}: no message found`];
  const engine = under(files, "src/engine/").filter((file) => !file.path.startsWith(protocol));
  return names.flatMap((name) => {
    const handler = `on${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    return [
      ...homeProblem(handler, handlersOf(engine, handler), several),
      ...homeProblem(name, sendersOf(engine, name), several),
    ];
  });
}

function homeProblem(name: string, homes: string[], several: readonly string[]): string[] {
  const role = name.startsWith("on") ? "handler" : "sender";
  if (homes.length === 0) return [`${name}: no ${role}`];
  if (homes.length === 1 || several.includes(name)) return [];
  return [`${name}: more than one ${role}: ${homes.join(", ")}`];
}

/** Files that define the method or function, not those that call it. */
function handlersOf(files: readonly SourceFile[], handler: string): string[] {
  const defined = new RegExp(
    `^\\s*(?:(?:export|function|private|protected|public)\\s+)*#?${handler}\\s*\\((?!.*;\\s*$)`,
    "m",
  );
  return files.filter(({ text }) => defined.test(codeOf(text))).map(({ path }) => path);
}

function sendersOf(files: readonly SourceFile[], name: string): string[] {
  const built = new RegExp(`(?<!readonly )\\btype: "${name}"`);
  return files.filter(({ text }) => built.test(text)).map(({ path }) => path);
}
