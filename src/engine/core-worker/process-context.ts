/**
 * What the parts of one core worker share: who they are, and where their node's raylet and the GCS
 * are.
 */
import type { Config } from "#engine/common/config.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import type { CoreWorkerInstruction } from "./calls.ts";

export interface ProcessContext {
  readonly self: WorkerId;
  /** Of the node of this process. */
  readonly raylet: NodeId;
  readonly gcs: Address;
  readonly config: Config;
}

export type Out = Outbox<CoreWorkerInstruction>;

/** Hands out this process's serials: one rising counter for tasks, puts and actors. */
export class SerialCounter {
  #next = 1;

  take(): number {
    return this.#next++;
  }
}
