/**
 * Rejections that nobody handles, of what began inside a run: they are the run's, and nobody else
 * hears of them. Those of code outside of it go where they would go without a run, be that a
 * listener or the end of the process; so nothing listens here, which would be an answer.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { currentContext } from "#api/task-context.ts";
import type { UserContext } from "./user-context.ts";
import { Replacements } from "./virtual/replacements.ts";

type Emit = (event: string, ...args: unknown[]) => boolean;

/** The run that a promise was made in, by its program, by a task or by the engine. */
const runs = new AsyncLocalStorage<object>();

/** Runs `body` and tells of what is rejected in it meanwhile, with the context of the promise. */
export async function withRejections<T>(
  tell: (reason: unknown, context: UserContext) => void,
  body: () => Promise<T>,
): Promise<T> {
  const run = {};
  const replacements = new Replacements();
  const emit = process.emit as Emit;
  const emitOfOthers: Emit = (event, ...args) => {
    // Node asks in the context that the promise was made in.
    if (event !== "unhandledRejection" || runs.getStore() !== run) {
      return Reflect.apply(emit, process, [event, ...args]);
    }
    tell(args[0], currentContext());
    return true;
  };
  replacements.value(process, "emit", emitOfOthers);
  try {
    return await runs.run(run, body);
  } finally {
    replacements.putBack();
  }
}
