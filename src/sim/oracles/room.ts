/**
 * 4 No loss, as far as room goes: what is pulled is given up for want of room only while its node
 * has none in one piece.
 */
import type { EngineError } from "#engine/common/error-type.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { ObjectLocal } from "#engine/protocol/copy.ts";
import type { SimNode } from "#sim/cluster/sim-node.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import { Oracle, type Violate } from "./oracle.ts";

export class RoomOracle extends Oracle {
  readonly name = "4 no loss";
  readonly #nodes: () => readonly SimNode[];

  constructor(violate: Violate, nodes: () => readonly SimNode[]) {
    super(violate);
    this.#nodes = nodes;
  }

  override onSent(frame: Frame): void {
    if (frame.type !== "objectLocal") return;
    const { outcome } = messageOf(frame) as ObjectLocal;
    if (outcome instanceof FailedValue && outcome.error.type === "OBJECT_STORE_FULL") {
      this.#check(frame, outcome.error);
    }
  }

  #check({ from }: Frame, { subject, message }: EngineError): void {
    const node = this.#nodes().find(({ nodeId, life }) => nodeId === from && life.isAlive);
    if (node === undefined) return;
    const { pulls, store } = node.running.raylet.objects;
    const waiting = [...pulls.pulls()].filter(({ state }) => state === "waiting");
    const [first] = waiting;
    // Those behind one that waits do not take its room.
    if (first === undefined || waiting.length > 1 || first.size > store.largestFreeBytes) return;
    const free = `${store.largestFreeBytes} bytes are free in one piece`;
    this.violate({ entity: subject, message: `no room, but ${free}: ${message}` });
  }
}
