/** PORT: carries out what the raylet asks of the disk, and tells it what came of that. */
import type { SpillEvent, SpillInstruction } from "#engine/raylet/spill-io.ts";
import type { SpillFilesOnDisk } from "./spill-files.ts";

export interface SpillPort {
  /** `report` is called once for each that is answered, in a turn of its own. */
  perform(instruction: SpillInstruction, report: (event: SpillEvent) => void): void;
  /** Nothing is needed any more. Ends when the files are gone. */
  close(): Promise<void>;
}

/** On the thread of the node, where the disk does not keep it waiting. */
export class SpillOnThisThread implements SpillPort {
  readonly #files: SpillFilesOnDisk;
  /** What the last life of this node has left goes first. */
  #clearing: "due" | Promise<void> | "done" = "due";
  /** What is written or read now: whatever it makes is there when it has ended. */
  readonly #open = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(files: SpillFilesOnDisk) {
    this.#files = files;
  }

  /** The disk is asked before this returns, but for what must wait until it is cleared. */
  perform(instruction: SpillInstruction, report: (event: SpillEvent) => void): void {
    if (this.#clearing === "done") {
      this.#start(instruction, report);
      return;
    }
    if (this.#clearing === "due") {
      this.#clearing = this.#files.clearOthers().then(() => {
        this.#clearing = "done";
      });
    }
    void this.#clearing.then(() => this.#start(instruction, report));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#clearing instanceof Promise) await this.#clearing;
    await Promise.all(this.#open);
    if (this.#clearing !== "due") await this.#files.clear();
  }

  #start(instruction: SpillInstruction, report: (event: SpillEvent) => void): void {
    if (this.#isClosed) return;
    const done = this.#do(instruction).then((event) => {
      this.#open.delete(done);
      if (event !== undefined && !this.#isClosed) report(event);
    });
    this.#open.add(done);
  }

  #do(instruction: SpillInstruction): Promise<SpillEvent | void> {
    switch (instruction.type) {
      case "spillObjects":
        return this.#files.spill(instruction);
      case "restoreObject":
        return this.#files.restore(instruction);
      case "readSpilled":
        return this.#files.readPart(instruction);
      case "deleteSpillFile":
        return this.#files.delete(instruction.file);
    }
  }
}
