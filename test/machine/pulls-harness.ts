/** A raylet whose processes ask for objects of an owner on another node. */
import type { Config } from "#engine/common/config.ts";
import { type NodeId, type WorkerId, workerIdOf } from "#engine/common/ids.ts";
import { FrameBytes } from "#engine/protocol/arena.ts";
import { noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import { otherNodeId, RayletHarness } from "./raylet-harness.ts";

export const owner = workerIdOf(otherNodeId, 3);
export const object = { serial: 5, index: 1 };
export const copy = { ...object, version: 2 };

export class Pulls extends RayletHarness {
  #nextRequestId = 1;

  constructor(config: Partial<Config> = {}, segments = [4096]) {
    super({ config: { pullChunkBytes: 100, ...config }, segments, prestartCount: 2 });
    this.withWorkers(2);
  }

  pull(process: WorkerId, options: { priority?: 0 | 1 | 2; serial?: number } = {}): number {
    const { priority = 0, serial = object.serial } = options;
    const requestId = this.#nextRequestId++;
    const name = { ...object, serial };
    const request = { requestId, owner, object: name, priority };
    this.handle({ type: "pullObject", from: process, ...request });
    return requestId;
  }

  locate(nodes: readonly NodeId[], size = 250, fields: { serial?: number; version?: number } = {}) {
    const { serial = object.serial, version = copy.version } = fields;
    const outcome = new StoredValue(0, 0, size, noSpecials, nodes[0] ?? otherNodeId, version);
    this.found(nodes, outcome, serial);
  }

  found(nodes: readonly NodeId[], outcome: Outcome, serial = object.serial): void {
    const name = { ...object, serial };
    this.handle({ type: "objectLocations", from: owner, object: name, nodes, outcome });
  }

  /** The chunks that were asked for and not answered, as the asked nodes would. */
  answer(asked = this.out.all("pullChunk")): void {
    this.out.clear();
    for (const { requestId, size } of asked) this.chunk(requestId, size);
  }

  chunk(requestId: number, size: number, from: NodeId = otherNodeId): void {
    const bytes = new FrameBytes(new Uint8Array(size), 0, size);
    this.handle({ type: "chunk", from, requestId, bytes });
  }

  notHere(requestId: number, lastArrival = 1): void {
    this.handle({ type: "notHere", from: otherNodeId, requestId, lastArrival });
  }

  unpin(process: WorkerId, ...requestIds: number[]): void {
    this.handle({ type: "unpinObjects", from: process, requestIds });
  }

  whyNot(process: WorkerId, pullId: number): string {
    this.handle({ type: "explainPull", from: process, requestId: this.#nextRequestId++, pullId });
    return this.out.last("pullExplained", process).text;
  }

  localOf(requestId: number): Outcome {
    return this.out.all("objectLocal").find((one) => one.requestId === requestId)?.outcome;
  }

  get freeBytes(): number {
    return this.raylet.counts.arenaFreeBytes;
  }
}
