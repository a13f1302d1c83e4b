/** Bugs of copies: where stored objects lie, who may have them, what is lost and made anew. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";

export const copies: readonly Mutant[] = [
  {
    name: "reply ahead of its bytes",
    why: "a result is told to its owner before its node's raylet can serve it",
    edits: [
      {
        file: `${coreWorker}/task-replies.ts`,
        find: "() => this.#holds.oneLess(wait)",
        replace: "() => {}",
      },
      {
        file: `${coreWorker}/task-replies.ts`,
        find: "      wait.missingCount += 1;\n",
        replace: "",
      },
    ],
  },
  {
    name: "secondaries not freed",
    why: "an owner that frees an object forgets the copies that came to be on other nodes",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "for (const node of secondaries) this.#batch.addFree(node, { serial,",
        replace: "for (const node of secondaries.slice(9)) this.#batch.addFree(node, { serial,",
      },
    ],
  },
  {
    name: "copy added too late stays",
    why: "a copy that is there only once its object is freed is not told to go",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "this.#batch.addFree(node, copy);",
        replace: "void node;",
      },
    ],
  },
  {
    name: "late news of a copy counts",
    why: "a node's news that another has no copy also takes the one that came there since",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "if ((known.locations.arrivals.get(nodeId) ?? 0) > lastArrival) return;",
        replace: "void lastArrival;",
      },
    ],
  },
  {
    name: "an argument's failure is the lost value's own",
    why: "what cannot be made anew shows the error of an argument as its own",
    edits: [
      {
        file: `${coreWorker}/task-retries.ts`,
        find: "if (meant === failed) return false;",
        replace: "if (meant !== undefined) return false;",
      },
    ],
  },
  {
    name: "chunk at the wrong place",
    why: "every chunk is copied to the beginning of the object",
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "to: { segment, offset: extent.offset + offset, size },",
        replace: "to: { segment, offset: extent.offset, size },",
      },
    ],
  },
  {
    name: "other bytes than were told of",
    why: "what was made anew is read by what was told of the bytes that were lost",
    edits: [
      {
        file: `${coreWorker}/copy-arrivals.ts`,
        find: "if (outcome instanceof StoredValue && outcome.version === copy.version) {",
        replace: "if (outcome instanceof StoredValue) {",
      },
    ],
  },
  {
    name: "a cancelled result stays elsewhere",
    why: "what a cancelled task had stored on another node is nobody's, and is never freed",
    edits: [
      {
        file: `${coreWorker}/task-manager.ts`,
        find: "    this.#references.untaken.discardReturn(task, outcome);",
        replace: "    this.#references.untaken.discard(outcome);",
      },
    ],
  },
  {
    name: "given up under the next version",
    why: "what a lost attempt may have stored is freed by the name of the attempt after it",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "      this.#references.untaken.giveUp(task, lease.workerId);\n",
        replace: "",
      },
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "      this.#retries.onWorkerLost(task, error, nowMs, out);",
        replace: `      this.#retries.onWorkerLost(task, error, nowMs, out);
      this.#references.untaken.giveUp(task, lease.workerId);`,
      },
    ],
  },
];
