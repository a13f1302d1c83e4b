/** Bugs of how objects come to a node and leave it: pulls, chunks, evictions, lineage. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";

export const pulls: readonly Mutant[] = [
  {
    name: "chunks of a dead source not asked for again",
    why: "what a node that died had been asked for counts as asked for ever",
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "      pull?.askAgain({ offset, size });\n",
        replace: "      void [pull, offset, size];\n",
      },
    ],
  },
  {
    name: "chunk that is not there not asked for again",
    why: "a source has given up its copy, and what it was asked for nobody else is",
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "    pull.askAgain(chunk);\n",
        replace: "",
      },
    ],
  },
  {
    name: "chunk of what was there before",
    why: "a chunk of a version that was lost is counted for the one that is made anew",
    edits: [
      {
        file: `${raylet}/chunk-requests.ts`,
        find: "if (chunk.pull === pull) chunk.pull = null;",
        replace: "void [chunk, pull];",
      },
    ],
  },
  {
    name: "evicted, and its owner not told",
    why: "an owner believes in a copy that its node has given up",
    edits: [
      {
        file: `${raylet}/local-objects.ts`,
        find: "    this.tellGone(copy, { nodeId: this.#self, lastArrival, cause }, out);\n",
        replace: "    void [lastArrival, cause];\n",
      },
    ],
  },
  {
    name: "room not looked for again",
    why: "a pull that waits for room is not tried when room becomes free",
    program: "disks",
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "(!this.#isDue && !hasRoom)",
        replace: "(!this.#isDue && hasRoom !== null)",
      },
    ],
  },
  {
    name: "queue of a dead puller stays",
    why: "what a node that died has asked for is never taken from the queue of chunks",
    edits: [
      {
        file: `${raylet}/object-manager.ts`,
        find: "    this.pushes.onNodeDied(nodeId, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "one raylet answered of several",
    why: "of the nodes that wait until an object can be served only the first is told",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "for (const raylet of locations.waiting.splice(0)) this",
        replace: "for (const raylet of locations.waiting.splice(0).slice(0, 1)) this",
      },
    ],
  },
  {
    name: "second who locates takes the first's place",
    why: "of the nodes that ask for an object which has no value yet the last is told",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "[...asking, raylet]",
        replace: "[raylet]",
      },
    ],
  },
  {
    name: "moved while others read it in place",
    why: "what its owner has offered is moved before those who know its place have answered",
    edits: [
      {
        file: `${raylet}/object-manager.ts`,
        find: "(copy) => this.revocations.begin(copy)",
        replace: "(copy) => this.objects.manage(copy)",
      },
    ],
  },
  {
    name: "place told late",
    why: "who is asked to forget a place answers, though its owner may be about to tell it",
    edits: [
      {
        file: `${coreWorker}/revoked-places.ts`,
        find: 'return state === "PENDING" && subscribed;',
        replace: 'return state === "FREED" && subscribed;',
      },
    ],
  },
  {
    name: "pins of a dead process stay",
    why: "copies that a process read which has died can never be given up",
    edits: [
      {
        file: `${raylet}/object-manager.ts`,
        find: "    this.pulls.onProcessEnded(process, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "recovery costs no retry",
    why: "what is lost is made anew again and again, whatever its maxRetries",
    edits: [
      {
        file: `${coreWorker}/object-recovery.ts`,
        find: "    task.retriesUsed += 1;\n",
        replace: "",
      },
    ],
  },
  {
    name: "lineage of what is gone stays",
    why: "a task's spec is kept after all that it could make anew is out of scope",
    edits: [
      {
        file: `${coreWorker}/task-lineage.ts`,
        find: "    if (spec !== undefined) this.#doubtful.push(spec);\n",
        replace: "    void spec;\n",
      },
    ],
  },
  {
    name: "arguments of a lost value not made anew",
    why: "only what is lost runs again, not what it is made of",
    edits: [
      {
        file: `${coreWorker}/task-lineage.ts`,
        find: 'if (entry.state === "FREED") revive(entry);',
        replace: "void revive;",
      },
    ],
  },
];
