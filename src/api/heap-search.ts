/**
 * All objects of a kind that are alive in this thread, asked of V8: what nobody keeps a list of can
 * be listed all the same, at no cost before it is asked for. Whoever asks pays: all garbage is
 * collected first, so that nothing that was let go is found.
 */
import type { Session } from "node:inspector";

/** Where the debugger's side and ours meet, for as long as a search takes. */
const meeting = Symbol.for("mobula.heapSearch");

interface Search {
  readonly prototype: object;
  found: readonly object[];
}

interface RemoteObject {
  readonly objectId: string;
}

/** What was found last, until the engine has answered all that waits for it. */
let latest: Search | null = null;

/** What has `prototype` in its chain; throws an Error where Node has no inspector for us. */
export function findLiving(prototype: object): readonly object[] {
  // Several processes of a local runtime are asked one after the other, in one thread.
  if (latest?.prototype === prototype) return latest.found;
  const search: Search = { prototype, found: [] };
  const inspector = process.features.inspector
    ? process.getBuiltinModule("node:inspector")
    : undefined;
  if (inspector === undefined) throw new Error("this Node was built without an inspector");
  const session = new inspector.Session();
  session.connect();
  try {
    Reflect.set(globalThis, meeting, search);
    run(session, search);
  } finally {
    Reflect.deleteProperty(globalThis, meeting);
    session.disconnect();
  }
  latest = search;
  queueMicrotask(() => (latest = null));
  return search.found;
}

function run(session: Session, search: Search): void {
  const here = `globalThis[Symbol.for(${JSON.stringify(Symbol.keyFor(meeting))})]`;
  const prototype = post<{ result: RemoteObject }>(session, "Runtime.evaluate", {
    expression: `${here}.prototype`,
  });
  const { objects } = post<{ objects: RemoteObject }>(session, "Runtime.queryObjects", {
    prototypeObjectId: prototype.result.objectId,
  });
  post(session, "Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration: `function () { ${here}.found = this; }`,
  });
  // It lists what inherits: what it was asked with is there only if it has the same above it.
  search.found = search.found.filter((object) => object !== search.prototype);
}

/** Within one thread the answer is there when `post` returns. */
function post<T>(session: Session, method: string, params: object): T {
  let answer: { readonly error: Error | null; readonly result: unknown } | null = null;
  session.post(method, params, (error: Error | null, result?: object) => {
    answer = { error, result };
  });
  const { error, result } = answer ?? { error: new Error(`${method} is not answered`), result: 0 };
  if (error !== null) throw error;
  return result as T;
}
