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
  /** While files of former lives are removed; null: none are left, as far as is known. */
  #clearing: Promise<void> | null = null;
  #hasOthers = false;
  /** What is written or read now: whatever it makes is there when it has ended. */
  readonly #open = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(files: SpillFilesOnDisk) {
    this.#files = files;
  }

  /**
   * A former life has left files here, perhaps: they go before anything is written. Where they
   * cannot be removed, that is tried again when more is written. `cleared` is told how many went.
   */
  clearOthers(cleared: (count: number) => void = () => {}): void {
    this.#hasOthers = false;
    const clearing = this.#files.clearOthers().then(cleared, () => {
      this.#hasOthers = true;
    });
    this.#clearing = clearing.then(() => {
      this.#clearing = null;
    });
  }

  /** The disk is asked before this returns, but for what must wait until it is cleared. */
  perform(instruction: SpillInstruction, report: (event: SpillEvent) => void): void {
    if (this.#hasOthers && instruction.type === "spillObjects") this.clearOthers();
    if (this.#clearing === null) this.#start(instruction, report);
    else void this.#clearing.then(() => this.#start(instruction, report));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#clearing;
    await Promise.all(this.#open);
    await this.#files.clear();
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
