/** The disk of a node in a PullWorld: files that are written and read as late as can be. */
import { FrameBytes } from "#engine/protocol/arena.ts";
import type {
  DeleteSpillFile,
  SpillEvent,
  SpillFailure,
  SpillInstruction,
} from "#engine/raylet/spill-io.ts";

export type IoInstruction = Exclude<SpillInstruction, DeleteSpillFile>;

export interface PullDisk {
  readonly memory: Uint8Array;
  readonly files: Map<number, Uint8Array>;
}

export function failureOf({ type }: IoInstruction, drawn: number): SpillFailure {
  const kinds = ["full", "io", "corrupt"] as const;
  return { kind: kinds[type === "spillObjects" ? drawn : 2] ?? "io", text: "drawn" };
}

/** Until now nothing that it needs may have moved. */
export function doIo(
  instruction: IoInstruction,
  { memory, files }: PullDisk,
  failure: SpillFailure | null,
): SpillEvent {
  const { requestId } = instruction;
  if (instruction.type === "spillObjects") {
    const { file, parts } = instruction;
    const bytes = parts.flatMap(({ offset, size }) => [...memory.slice(offset, offset + size)]);
    if (failure === null) files.set(file, Uint8Array.from(bytes));
    return { type: "objectsSpilled", requestId, checksums: parts.map(() => []), failure };
  }
  const { place } = instruction;
  const bytes = files.get(place.file);
  if (bytes === undefined) throw new Error("what is read back is in a file");
  if (instruction.type === "readSpilled") {
    const { offset, size } = instruction;
    const part = failure === null ? new FrameBytes(bytes, place.offset + offset, size) : null;
    return { type: "spilledRead", requestId, bytes: part, failure };
  }
  const { to } = instruction;
  memory.set(bytes.subarray(place.offset, place.offset + place.size), to.offset);
  if (failure !== null) memory.fill(0xdd, to.offset, to.offset + to.size);
  return { type: "objectRestored", requestId, failure };
}
