/** Bugs of who keeps what, and of holds. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";

export const references: readonly Mutant[] = [
  {
    name: "borrowed ref sent on without a hold",
    why: "a borrower sends a ref on, and its owner does not know of the receiver",
    edits: [
      {
        file: `${coreWorker}/hold-maker.ts`,
        find: "if (owner === self || owner === holder || holder === self) return;",
        replace: "if (owner !== self || owner === holder || holder === self) return;",
      },
    ],
  },
  {
    name: "let go before it is held for the next",
    why: "the release of a ref that was sent on overtakes the hold for its receiver",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "    this.holds.flush(out);\n    this.references.flush(out);\n",
        replace: "    this.references.flush(out);\n    this.holds.flush(out);\n",
      },
      { file: `${coreWorker}/hold-maker.ts`, find: "    entry.uses += 1;\n", replace: "" },
      {
        file: `${coreWorker}/hold-maker.ts`,
        find: "      this.#references.dropUse(entry);\n",
        replace: "      void entry;\n",
      },
    ],
  },
  {
    name: "reply does not wait for its own holds",
    why: "a task goes on using what its owner no longer covers",
    edits: [
      {
        file: `${coreWorker}/task-replies.ts`,
        find: "if (isUsed(entry) && !entry.held) this.#holds.awaitOwn(entry, wait);",
        replace: "void wait;",
      },
    ],
  },
  {
    name: "holds of a dead maker that reached nobody stay",
    why: "what a dead borrower had made for another is never deleted",
    edits: [
      {
        file: `${coreWorker}/hold-grants.ts`,
        find: "if (holder !== from) continue;",
        replace: "if (holder === from) continue;",
      },
    ],
  },
  {
    name: "held ref is not confirmed",
    why: "the receiver of a held ref does not tell its owner",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "      this.#batch.addConfirmed(maker, ref);\n",
        replace: "      void maker;\n",
      },
    ],
  },
  {
    name: "subscribe does not hold",
    why: "whoever asks for an object does not count as one who holds it",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "this.references.addHolder(object, borrower) ??",
        replace: "this.references.find(this.context.self, object) ??",
      },
    ],
  },
  {
    name: "kept refs are not held",
    why: "what a task goes on using after its reply does not count at its owner",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "for (const name of keptRefs) this.references.addHolder(name, from);",
        replace: "void keptRefs;",
      },
    ],
  },
  {
    name: "exported ref not counted",
    why: "a ref inside a result that goes out is not held for its receiver",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "        this.addHolder(special, receiver);\n",
        replace: "        void receiver;\n",
      },
    ],
  },
  {
    name: "result waits without its refs",
    why: "a result that waits for room in the arena does not keep what it names",
    edits: [
      {
        file: "src/api/values.ts",
        find: "for (const entry of entries) entry.localRefs += 1;",
        replace: "",
      },
      {
        file: "src/api/values.ts",
        find: "for (const entry of entries) this.#client.dropRef(entry);",
        replace: "",
      },
    ],
  },
  {
    name: "a told place is moved",
    why: "what was told with a push is offered to the raylet before the push is answered",
    edits: [
      {
        file: `${coreWorker}/pushed-arguments.ts`,
        find: "for (const task of submitter.pushed()) yield* told.placesOf(task);",
        replace: "",
      },
    ],
  },
  {
    name: "told for ever",
    why: "what came with a push is used when its task has ended, and named as used on",
    edits: [
      {
        file: `${coreWorker}/task-receiver.ts`,
        find: "    this.#references.unpin(task.told);\n",
        replace: "",
      },
    ],
  },
];
