/** Bugs of who has a handle to an actor, and of its end. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";

export const handles: readonly Mutant[] = [
  {
    name: "handle in a value not counted",
    why: "only refs inside of values, arguments and results count, handles do not",
    edits: [
      {
        file: `${coreWorker}/contained-refs.ts`,
        find: `(special.type === "actor" && !special.isDetached)`,
        replace: `(special.type === "actor" && special.index === 0)`,
      },
    ],
  },
  {
    name: "calls without a handle lost",
    why: "an actor ends though calls that were sent to it have not ended",
    edits: [
      {
        file: `${coreWorker}/actor-handles.ts`,
        find: "    if (entry !== null) entry.uses += 1;\n",
        replace: "",
      },
      {
        file: `${coreWorker}/actor-handles.ts`,
        find: "    this.#references.dropUse(client.entry);\n",
        replace: "",
      },
    ],
  },
  {
    name: "last handle gone, nobody told",
    why: "an actor that nobody has a handle to lives on",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "if (entry.index === actorIndex) this.handles?.onFreed(entry);",
        replace: "",
      },
    ],
  },
  {
    name: "last handle gone, thread stopped at once",
    why: "an actor that is out of scope takes objects with it that others hold",
    edits: [
      {
        file: "src/engine/gcs/actors.ts",
        find: "this.#stopAndBury(row, died(row, text), out, true);",
        replace: "this.#stopAndBury(row, died(row, text), out);",
      },
    ],
  },
  {
    name: "last handle gone, thread never asked again",
    why: "a process that drains is looked at once, not after every event",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "if (this.drain.isAsked) this.drain.tellIfDrained(out);",
        replace: `if (event.type === "drainActor") this.drain.tellIfDrained(out);`,
      },
    ],
  },
  {
    name: "handle to itself given on without a hold",
    why: "an actor gives its own handle to a task, and its call ends before it is held",
    edits: [
      {
        file: `${coreWorker}/actor-handles.ts`,
        find: "if (self !== null && isUsed(self) && !self.held) this.#holds.awaitOwn(self, wait);",
        replace: "void [self, wait];",
      },
    ],
  },
  {
    name: "sent on before it was joined",
    why: "who got a handle of getIfExists before its maker was answered is told of no actor",
    edits: [
      {
        file: "src/engine/gcs/actors.ts",
        find: "    this.#unmade.add(answer);\n",
        replace: "",
      },
      {
        file: "src/engine/gcs/actors.ts",
        find: "        this.#expected.onFound(actorId, expected, holder.id);\n",
        replace: "",
      },
    ],
  },
  {
    name: "joined, and not kept",
    why: "the handle of a getIfExists does not keep the actor that it stands for",
    edits: [
      {
        file: `${coreWorker}/actor-handles.ts`,
        find: 'if (before !== null && before.state !== "FREED" && specials',
        replace: "if (before !== null && before.uses < 0 && specials",
      },
    ],
  },
];
