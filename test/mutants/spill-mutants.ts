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
