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
      this.#clearing = this.#files.clear().then(() => {
        this.#clearing = "done";
      });
    }
    void this.#clearing.then(() => this.#start(instruction, report));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#clearing !== "due") await this.#files.clear();
  }

  #start(instruction: SpillInstruction, report: (event: SpillEvent) => void): void {
    const tell = (event: SpillEvent): void => {
      if (!this.#isClosed) report(event);
    };
    if (instruction.type === "spillObjects") void this.#files.spill(instruction).then(tell);
    else if (instruction.type === "restoreObject") void this.#files.restore(instruction).then(tell);
    else if (instruction.type === "readSpilled") void this.#files.readPart(instruction).then(tell);
    else void this.#files.delete(instruction.file);
  }
}
