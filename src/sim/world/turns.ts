/**
 * How a world lets user code go on: in between two pieces of work every microtask runs.
 *
 * Node runs them after each callback of `setImmediate`, also between those of one turn of the event
 * loop: so a list of callbacks is queued at once, and a turn is paid for by many.
 */
const { setImmediate: realSetImmediate, clearImmediate: realClearImmediate } = globalThis;

/** Pieces of work a turn: a run of a few steps queues no more than it needs. */
const batch = { least: 4, most: 256 };

/** One turn: every microtask of user code has run when it is over. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void realSetImmediate(resolve));
}

/** Works, with all microtasks run in between, until `work` returns true. */
export function workInTurns(work: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let size = batch.least;
    let queued: NodeJS.Immediate[] = [];
    let leftCount = 0;
    const end = (settle: () => void): void => {
      for (const immediate of queued) realClearImmediate(immediate);
      settle();
    };
    const next = (): void => {
      leftCount -= 1;
      try {
        if (work()) end(resolve);
        else if (leftCount === 0) queue();
      } catch (error) {
        end(() => reject(error));
      }
    };
    const queue = (): void => {
      queued = Array.from({ length: size }, () => realSetImmediate(next));
      leftCount = size;
      size = Math.min(size * 2, batch.most);
    };
    queue();
  });
}
