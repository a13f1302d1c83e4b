/** Where a simulated node spills: its world's disk, and what of that is worth telling. */
import type { SpilledPlace } from "#engine/protocol/spilled-place.ts";
import type { SpillEvent, SpillInstruction } from "#engine/raylet/spill-io.ts";
import { SpillFilesOnDisk } from "#engine/services/spill-files.ts";
import { type SpillPort, SpillOnThisThread } from "#engine/services/spill-port.ts";
import type { Life, World } from "#sim/world/world.ts";
import type { SharedArena } from "#transports/threads/shared-arena.ts";
import type { SimDisk } from "./disk.ts";

/** Names of all files of a node's lives begin with this. */
const area = "spilled/";

export interface SimSpillingOptions {
  readonly world: World;
  readonly life: Life;
  readonly disk: SimDisk;
  readonly arena: SharedArena;
  /** Of the node: the machine may have had others before it. */
  readonly lifeNumber: number;
  readonly diskUsedMax: number;
  /** So far, of values whose place others had been told. */
  revokedCount(): number;
}

export class SimSpilling implements SpillPort {
  readonly #options: SimSpillingOptions;
  readonly #port: SpillOnThisThread;
  /** Places on the disk that could not be read at first. */
  readonly #notRead = new WeakSet<SpilledPlace>();
  /** … and those that are being read. */
  readonly #restoring = new Set<SpilledPlace>();
  /** While the raylet is told of it: by one that has ended in the midst of writing it. */
  leftFile: number | null = null;

  constructor(options: SimSpillingOptions) {
    this.#options = options;
    const { world, life, disk, arena, lifeNumber, diskUsedMax } = options;
    const port = disk.portFor(life);
    const files = { disk: port, arena, prefix: prefixOf(lifeNumber), area, diskUsedMax };
    this.#port = new SpillOnThisThread(new SpillFilesOnDisk(files));
    // On a disk that was kept there is what the life before has left.
    if (lifeNumber === 0) return;
    this.#port.clearOthers((count) => {
      if (count > 0) world.mark("formerFilesRemoved");
    });
  }

  /** It is read, or was in vain and will be read again. */
  isReading(place: SpilledPlace): boolean {
    return this.#restoring.has(place) || this.#notRead.has(place);
  }

  perform(instruction: SpillInstruction, report: (event: SpillEvent) => void): void {
    const { world, disk, lifeNumber, revokedCount } = this.#options;
    if (instruction.type === "deleteSpillFile" && instruction.file === this.leftFile) {
      if (disk.has(`${prefixOf(lifeNumber)}${instruction.file}`)) world.mark("fileLeft");
    }
    if (instruction.type === "restoreObject") this.#restoring.add(instruction.place);
    this.#port.perform(instruction, (event) => {
      if (instruction.type === "restoreObject") this.#restoring.delete(instruction.place);
      this.#note(instruction, event);
      report(event);
      if (revokedCount() > 0) world.mark("revokedSpilled");
    });
  }

  /** Its world has ended before it: nobody could wait for its disk. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  #note(instruction: SpillInstruction, { failure }: SpillEvent): void {
    const { world } = this.#options;
    if (instruction.type === "deleteSpillFile") return;
    if (instruction.type === "spillObjects") {
      world.mark(failure === null ? "spilled" : "spillFailed");
      return;
    }
    const { type, place } = instruction;
    if (failure === null) {
      world.mark(type === "restoreObject" ? "spillRestored" : "spillServed");
      if (this.#notRead.delete(place)) world.mark("spillReadAgain");
    } else {
      this.#notRead.add(place);
      world.mark(failure.kind === "corrupt" ? "spillCorrupt" : "spillReadFailed");
    }
  }
}

/** Processes number files for themselves, as they did in the life before. */
export function prefixOf(lifeNumber: number): string {
  return `${area}${lifeNumber}-`;
}
