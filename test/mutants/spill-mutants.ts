/** Bugs of what lies on disks, and of who waits for room; hunted by a program on bad disks. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";
const program = "disks";

export const spills: readonly Mutant[] = [
  {
    name: "checksums not compared",
    why: "what a disk has lost, torn or spoilt is taken for what was written",
    program,
    edits: [
      {
        file: "src/engine/services/spill-files.ts",
        find: "if (length === bytes.length && isSame) return null;",
        replace: "if (length === bytes.length || isSame) return null;",
      },
    ],
  },
  {
    name: "what is to be read again never is",
    why: "a copy that could not be read at first is never read, nor given up",
    program,
    edits: [
      {
        file: `${raylet}/restores.ts`,
        find: "    for (const [restore] of due) this.#read(restore, out);\n",
        replace: "    void [due, out];\n",
      },
    ],
  },
  {
    name: "chunk is read again for nobody",
    why: "what another node asked for and could not be read is never read again, nor refused",
    program,
    edits: [
      {
        file: `${raylet}/push-manager.ts`,
        find: "      this.#ask(reading, out);\n",
        replace: "      void [reading, out];\n",
      },
    ],
  },
  {
    name: "room of a lost copy stays",
    why: "the room for a copy that cannot be read back is never free again",
    program,
    edits: [
      {
        file: `${raylet}/restores.ts`,
        find: "    this.#store.free(extent);\n",
        replace: "",
      },
    ],
  },
  {
    name: "value moves under who is about to read it",
    why: "what a get has just come to is offered before its caller has read it",
    program,
    edits: [
      {
        file: `${coreWorker}/memory-store.ts`,
        find: "    for (let one = this.#settledNow; one !== null; one = one.newer) yield one;\n",
        replace: "",
      },
    ],
  },
  {
    name: "copy of what is made anew wakes nobody",
    why: "who is told of a copy while its object is made anew waits for ever",
    program,
    edits: [
      {
        file: `${coreWorker}/memory-store.ts`,
        find: 'if (entry.state === "PENDING") addWaiter(entry, request);\n      else this',
        replace: 'if (entry.state !== "PENDING") this',
      },
    ],
  },
  {
    name: "room refused to those behind",
    why: "who waits for room behind another that gives up is refused with it, though there is room",
    program,
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "      this.settle(nowMs, out);\n",
        replace: "",
      },
      {
        file: `${raylet}/pull-manager.ts`,
        find: "for (const other of this.#line) other.waitLonger",
        replace: "for (const other of [] as Pull[]) other.waitLonger",
      },
    ],
  },
  {
    name: "spill file is never deleted",
    why: "a file stays on the disk when the last object in it has gone",
    program,
    edits: [
      {
        file: `${raylet}/spill-files.ts`,
        find: '    out.instruct({ type: "deleteSpillFile", file });\n',
        replace: "    void out;\n",
      },
    ],
  },
  {
    name: "files of a former life stay",
    why: "a machine that comes back with its disk keeps what its former life had spilled",
    program,
    edits: [
      {
        file: "src/engine/services/spill-files.ts",
        find: "      if (path.startsWith(this.#prefix)) continue;\n",
        replace: "      if (path.startsWith(this.#area)) continue;\n",
      },
    ],
  },
  {
    name: "store stays as large as it has grown",
    why: "a segment beyond the store is kept when nobody reads it any more",
    program,
    edits: [
      {
        file: "src/engine/object-store/overflow.ts",
        find: "    for (const segment of this.#freed) out.instruct({",
        replace: "    for (const segment of this.#freed.slice(1)) out.instruct({",
      },
    ],
  },
  {
    name: "placed again without its bytes",
    why: "of several results one that gave its room back is placed again, and never written",
    program,
    edits: [
      {
        file: "src/api/values.ts",
        find: "      this.#arena.bytes(extent.segment).set(bytes, extent.offset);\n",
        replace: "      void bytes;\n",
      },
    ],
  },
  {
    name: "copy beyond the store is forgotten untold",
    why: "a secondary copy goes with its last reader, and its owner still counts on it",
    program,
    edits: [
      {
        file: `${raylet}/local-objects.ts`,
        find: "      if (copy.spilled === null) this.#evictSecondary(copy, out);\n",
        replace: "      if (copy.spilled === null) this.#leave(copy, out);\n",
      },
    ],
  },
  {
    name: "who fetches is said to be restored",
    why: "who asks why bytes are not here is told that the disk is read, of what comes from a node",
    program,
    edits: [
      {
        file: `${raylet}/pull-explanations.ts`,
        find: "if (pull.copy !== null) return",
        replace: "if (pull.size > 0) return",
      },
    ],
  },
  {
    name: "no room is said of all that waits",
    why: "what waits until others are brought is said to wait for room, which there is",
    program,
    edits: [
      {
        file: `${raylet}/pull-explanations.ts`,
        find: "if (pulls.waitsForTurn(pull)) return",
        replace: "if (pulls.waitsForTurn(pull) && self === null) return",
      },
    ],
  },
  {
    name: "answer to another question",
    why: "a process that asks of several objects at once takes the answer to the first for all",
    program,
    edits: [
      {
        file: `${coreWorker}/pull-reasons.ts`,
        find: "    const { requestId: pullId } = copy;\n",
        replace:
          "    const [first] = this.#copies.all();\n" +
          "    const { requestId: pullId } = first ?? copy;\n",
      },
    ],
  },
  {
    name: "file of the dead stays",
    why: "what a process was writing for itself when it ended is never removed",
    program,
    edits: [
      {
        file: `${raylet}/spill-files.ts`,
        find: "if (!this.#liveCounts.has(file)) out.instruct",
        replace: "if (this.#liveCounts.has(file)) out.instruct",
      },
    ],
  },
  {
    name: "file that is begun is told to nobody",
    why: "what a process had begun to write when it ended nobody knows of",
    program,
    edits: [
      {
        file: "src/engine/services/memory-words.ts",
        find: "    Atomics.store(this.#numbers, lastFilesFrom + thread, number);\n",
        replace: "    void thread;\n",
      },
    ],
  },
  {
    name: "written file may be evicted at once",
    why: "what is written has no pin: it moves before the disk is done with it",
    program,
    edits: [
      {
        file: `${raylet}/spill-manager.ts`,
        find: "    const parts = copies.map((copy) => {\n      this.#objects.pin(copy);\n",
        replace: "    const parts = copies.map((copy) => {\n      copy.pinCount += 1;\n",
      },
    ],
  },
];
