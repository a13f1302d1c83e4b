/** Bugs of cancellation. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";

export const cancels: readonly Mutant[] = [
  {
    name: "cancelled while queued, and run",
    why: "a cancelled task keeps its turn in the queue",
    edits: [
      {
        file: `${coreWorker}/task-queue.ts`,
        find: "while (this.#tasks.peek()?.isCancelled === true) {",
        replace: "while (this.#removedCount < 0) {",
      },
    ],
  },
  {
    name: "children go on",
    why: "the calls of a cancelled task are not cancelled with it",
    edits: [
      {
        file: `${coreWorker}/cancellation.ts`,
        find: "if (!recursive || task.children === null) return;",
        replace: "if (recursive || task.children === null) return;",
      },
    ],
  },
  {
    name: "place of a cancelled task stays empty",
    why: "nothing is pushed where a frame was retracted",
    edits: [
      {
        file: `${coreWorker}/cancellation.ts`,
        find: "if (stream instanceof LeaseStream) this.#submitter.refill(stream, nowMs, out);",
        replace: "if (stream instanceof LeaseStream) void nowMs;",
      },
    ],
  },
  {
    name: "cancel unanswered",
    why: "the holder of a ref waits for the owner's answer for ever",
    edits: [
      {
        file: `${coreWorker}/cancellation.ts`,
        find: 'out.send(from, { type: "cancelTaken"',
        replace: 'void ({ type: "cancelTaken"',
      },
    ],
  },
];
