/**
 * The modules whose evaluation a worker has parked: from the call of `init()` or `get()` at their
 * top level, which never settles there, to the end of the thread.
 */
import { thrownSummary } from "#engine/common/thrown.ts";
import { moduleUrlsOnStack, shortModuleName } from "./call-site.ts";

type ParkListener = (moduleUrls: ReadonlySet<string>) => void;

interface ParkedRealm {
  /** The parked call ("init", "get") by module URL; the first call counts. */
  readonly calls: Map<string, string>;
  readonly listeners: Set<ParkListener>;
}

const parkedKey = Symbol.for("mobula.parkedModules");

/**
 * Notes a call that will never settle, made while a worker imports modules. Every module with a
 * frame on the stack is parked with the caller: `start()` of one file may call `init()` in another.
 */
export function noteParked(moduleUrl: string | undefined, call = "init"): void {
  const realm = parkedRealm();
  const moduleUrls = new Set([moduleUrl ?? "", ...moduleUrlsOnStack(noteParked)]);
  moduleUrls.delete("");
  for (const url of moduleUrls) {
    if (!realm.calls.has(url)) realm.calls.set(url, call);
  }
  for (const listener of realm.listeners) listener(moduleUrls);
}

export function onParked(listener: ParkListener): () => void {
  const { listeners } = parkedRealm();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function isParked(moduleUrl: string): boolean {
  return parkedRealm().calls.has(moduleUrl);
}

/** "`await init()` in hello.ts": where the module, or without a URL the first to, has stopped. */
export function describePark(moduleUrl?: string): string | undefined {
  const { calls } = parkedRealm();
  const url = moduleUrl ?? calls.keys().next().value;
  const call = url === undefined ? undefined : calls.get(url);
  if (url === undefined || call === undefined) return undefined;
  return `\`await ${call}()\` in ${shortModuleName(url)}`;
}

/**
 * A hint to add to an error thrown by a task or an import: a `const` or `class` below the parked
 * call is never initialised in a worker, though it is in the driver.
 */
export function explainTaskError(error: unknown, moduleUrl: string): string | undefined {
  const binding = uninitializedBinding(error);
  if (binding === undefined) return undefined;
  const place = describePark(isParked(moduleUrl) ? moduleUrl : undefined);
  if (place === undefined) return undefined;
  return (
    `'${binding}' is declared below ${place}, where a worker that imports the module stops: ` +
    "move it above, or into another module"
  );
}

function uninitializedBinding(error: unknown): string | undefined {
  const summary = thrownSummary(error);
  return /^ReferenceError: Cannot access '(.+)' before initialization$/.exec(summary)?.[1];
}

function parkedRealm(): ParkedRealm {
  const realm = globalThis as { [parkedKey]?: ParkedRealm };
  return (realm[parkedKey] ??= { calls: new Map(), listeners: new Set() });
}
