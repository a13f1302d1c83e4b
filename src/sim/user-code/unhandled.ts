/**
 * Rejections that nobody handles and exceptions that nobody catches, of what began inside a run:
 * they are the run's, and nobody else hears of them. Those of code outside of it go where they
 * would go without a run, be that a listener or the end of the process; so nothing listens here,
 * which would be an answer.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { currentContext } from "#api/task-context.ts";
import type { UserContext } from "./user-context.ts";
import { Replacements } from "#sim/virtual/replacements.ts";

type Emit = (event: string, ...args: unknown[]) => boolean;

/** The monitor is asked before the answer is known: there is nothing to watch. */
const answered = ["unhandledRejection", "uncaughtException", "uncaughtExceptionMonitor"];

/** The run that a promise was made in, by its program, by a task or by the engine. */
const runs = new AsyncLocalStorage<object>();

/** What was rejected, with the context of the promise; what was thrown, with that of who threw. */
export interface Unhandled {
  onRejected(reason: unknown, context: UserContext): void;
  onThrown(error: unknown, context: UserContext): void;
}

/** Runs `body` and tells of what nobody handles in it meanwhile. */
export async function withUnhandled<T>(tell: Unhandled, body: () => Promise<T>): Promise<T> {
  const run = {};
  const replacements = new Replacements();
  const emit = process.emit as Emit;
  const emitOfOthers: Emit = (event, ...args) => {
    // Node asks in the context that the promise was made in, or that of the callback that threw.
    if (!answered.includes(event) || runs.getStore() !== run) {
      return Reflect.apply(emit, process, [event, ...args]);
    }
    if (event === "unhandledRejection") tell.onRejected(args[0], currentContext());
    else if (event === "uncaughtException") tell.onThrown(args[0], currentContext());
    return true;
  };
  replacements.value(process, "emit", emitOfOthers);
  try {
    return await runs.run(run, body);
  } finally {
    replacements.putBack();
  }
}
