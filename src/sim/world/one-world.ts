/**
 * One world has the globals of a thread at a time; who wants the next waits for a moment. A
 * property that is interrupted leaves a run under way that nobody awaits.
 */
import { currentContext } from "#api/task-context.ts";

const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
const waitMs = 2_000;
const other = "simulate: another simulation is running in this thread";

/** Settles when it has given them back. */
let running: Promise<void> | null = null;

/** From here on it is the caller's, until that calls what it gets. */
export function takeThread(): () => void {
  if (running !== null) throw new TypeError(other);
  let tell = (): void => {};
  running = new Promise((resolve) => (tell = resolve));
  return () => {
    running = null;
    tell();
  };
}

/** Null when the thread is free. Rejects when it does not become so. */
export function threadFree(): Promise<void> | null {
  if (running === null) return null;
  // Inside of a run nothing may be waited for: it would never end.
  if (currentContext() !== null) throw new TypeError(`${other}: await its report first`);
  const ended = running;
  return new Promise((resolve, reject) => {
    const giveUp = realSetTimeout(() => {
      const message =
        `${other}, and has not ended within ${waitMs / 1_000} s: await its report first. ` +
        "One that fast-check has left under way (interruptAfterTimeLimit, timeout) ends by " +
        "itself, at maxVirtualMs at the latest";
      reject(new TypeError(message));
    }, waitMs);
    void ended.then(() => {
      realClearTimeout(giveUp);
      resolve();
    });
  });
}
