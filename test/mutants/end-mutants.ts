/** Bugs of what must follow from an end: of a process, a node, an actor, a lease, a time. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";
const gcs = "src/engine/gcs";

export const ends: readonly Mutant[] = [
  {
    name: "memory of the dead given out unasked",
    why: "what a dead process had is free before the others have said what they read of it",
    edits: [
      {
        file: `${raylet}/arena-reclaims.ts`,
        find: "if (reclaim.asked.size > 0 || (!reclaim.isDue && !hasUnpinned)) continue;",
        replace: "if (!reclaim.isDue && !hasUnpinned) continue;",
      },
    ],
  },
  {
    name: "segments of the dead stay",
    why: "what a dead thread had made for itself is mapped, and counts, for ever",
    edits: [
      {
        file: `${raylet}/arena-reclaims.ts`,
        find: '      out.instruct({ type: "dropSegments", workerId: process, kept: segments });\n',
        replace: "      void segments;\n",
      },
    ],
  },
  {
    name: "look for idle leases not repeated",
    why: "a lease that was busy when it was looked at, and idle since, is never given back",
    edits: [
      {
        file: `${coreWorker}/held-leases.ts`,
        find: "      this.#checkAt(releaseAtMs, lease);\n",
        replace: "",
      },
    ],
  },
  {
    name: "holds of an abandoned message stay",
    why: "what was held for the receiver of a message that was never sent is not let go of",
    edits: [
      {
        file: `${coreWorker}/hold-maker.ts`,
        find: "wait.made.splice(0)) addTo(this.#abandoned, owner, hold);",
        replace: "wait.made.splice(0)) void [owner, hold];",
      },
    ],
  },
  {
    name: "second hold of a holder is none",
    why: "a holder of several is counted once, and let go of with the first",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "entry.holders.set(holder, (entry.holders.get(holder) ?? 0) + 1);",
        replace: "entry.holders.set(holder, 1);",
      },
    ],
  },
  {
    name: "cancel of a dead owner's call hangs",
    why: "who had asked a process to cancel waits for its answer after its death",
    edits: [
      {
        file: `${coreWorker}/cancellation.ts`,
        find: "if (owner !== workerId) continue;",
        replace: "if (owner === workerId) continue;",
      },
    ],
  },
  {
    name: "taken back, and run though cancelled",
    why: "a task that was cancelled while it was pushed stands in its queue again",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: `      if (task.isCancelled) this.#manager.finish(task, undefined, null, out);
      else queue`,
        replace: "      queue",
      },
    ],
  },
  {
    name: "doomed lease outlives its thread",
    why: "a thread that ends by itself keeps the leases that were doomed on it",
    edits: [
      {
        file: `${raylet}/lease-manager.ts`,
        find: "    this.#doomed.onWorkerExited(workerId);\n",
        replace: "",
      },
    ],
  },
  {
    name: "doomed, and never told",
    why: "nobody tells a worker that the owner of its task has died, and nothing ends it",
    edits: [
      {
        file: `${raylet}/doomed-leases.ts`,
        find: "      this.#graces.add(nowMs + this.#graceMs, lease);\n    }\n  }\n\n  onEnded",
        replace: "      void nowMs;\n    }\n  }\n\n  onEnded",
      },
    ],
  },
  {
    name: "idle leases go down with a drained actor",
    why: "an actor that ends out of scope does not give its leases back",
    edits: [
      {
        file: `${coreWorker}/actor-drain.ts`,
        find: "    submitter.releaseIdle(out, null);\n",
        replace: "    void submitter;\n",
      },
    ],
  },
  {
    name: "drained while a message waits",
    why: "an actor that nobody has a handle to ends before what it sends on is held",
    edits: [
      {
        file: `${coreWorker}/actor-drain.ts`,
        find: 'if (holds.askedCount > 0) return "a message that waits for holds";',
        replace: "void holds;",
      },
    ],
  },
  {
    name: "actor that is made on a dead node waits",
    why: "only actors that live end with their node, not those that are being made there",
    edits: [
      {
        file: `${gcs}/actors.ts`,
        find: "if (row.nodeId !== nodeId) continue;",
        replace: 'if (row.nodeId !== nodeId || row.state !== "ALIVE") continue;',
      },
    ],
  },
  {
    name: "actors of a dead owner live on",
    why: "an actor does not end with the process that made it",
    edits: [
      {
        file: `${gcs}/actors.ts`,
        find: "for (const row of [...this.#byOwner.rows(workerId)]) {",
        replace: "for (const row of [...this.#byOwner.rows(workerId)].slice(9)) {",
      },
    ],
  },
  {
    name: "expected of a dead maker for ever",
    why: "who asked for an actor that its maker never registered is not told of the maker's death",
    edits: [
      {
        file: `${gcs}/expected-actors.ts`,
        find: "if (makerOf(expected.actorId) === workerId) never.push(expected);\n      else if",
        replace: "if",
      },
    ],
  },
  {
    name: "retry of an exception not counted",
    why: "a task that throws runs again for ever",
    edits: [
      {
        file: `${coreWorker}/task-retries.ts`,
        find: "    this.counts.retriedExceptions += 1;\n    task.retriesUsed += 1;\n",
        replace: "    this.counts.retriedExceptions += 1;\n",
      },
    ],
  },
  {
    name: "dead watchers are told, living ones are not",
    why: "the death of one node that watches a process makes it forget the others",
    edits: [
      {
        file: `${raylet}/peer-watch.ts`,
        find: "if (watchers.delete(nodeId) && watchers.size === 0)",
        replace: "if (watchers.delete(nodeId))",
      },
    ],
  },
  {
    name: "link acknowledges too much",
    why: "a frame is told as taken that was the first to be missed",
    edits: [
      {
        file: "src/transports/session/session.ts",
        find: "    if (number !== this.#takenThrough + 1) return",
        replace: "    if (number > this.#takenThrough + 2) return",
      },
    ],
  },
];
