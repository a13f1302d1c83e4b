/** What a worker thread is given at its start, and what passes over its port besides nudges. */
import type { MessagePort } from "node:worker_threads";
import type { Config } from "#engine/common/config.ts";
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import type { MovedBuffers } from "#engine/protocol/transport.ts";
import type { LinkMemory } from "./link-memory.ts";

export interface BootData {
  readonly workerId: WorkerId;
  readonly nodeId: NodeId;
  readonly driverId: WorkerId;
  readonly threadIndex: number;
  readonly parkedWords: SharedArrayBuffer;
  /** Of the arena, by number. */
  readonly segments: readonly (readonly [number, SharedArrayBuffer])[];
  readonly memory: LinkMemory;
  readonly port: MessagePort;
  readonly config: Config;
  readonly checkInvariants: boolean;
  /** Of the api: passed on as it is. */
  readonly app: unknown;
}

/** The thread that hosts the raylet is the first. */
export const hostThreadIndex = 0;

export type PortMessage =
  /** Look at your rings. */
  | null
  /** worker → host: the event loop runs, the rings are read. */
  | { readonly type: "ready" }
  /** worker → host: make a link between me and this worker. */
  | { readonly type: "connect"; readonly peer: WorkerId }
  /** host → worker */
  | {
      readonly type: "link";
      readonly peer: WorkerId;
      readonly peerThreadIndex: number;
      readonly memory: LinkMemory;
      readonly side: 0 | 1;
      readonly port: MessagePort;
    }
  /** owner → worker, also on the port of their link. */
  | { readonly type: "buffers"; readonly to: Address; readonly moved: MovedBuffers }
  /** Either way: a segment that one thread made for itself, for all to map. */
  | { readonly type: "segment"; readonly segment: number; readonly buffer: SharedArrayBuffer }
  /** Either way: its object is gone. */
  | { readonly type: "dropSegment"; readonly segment: number }
  /** host → worker: say when what you have printed is with me. */
  | { readonly type: "flushOutput" }
  /** worker → host */
  | { readonly type: "outputFlushed" };
