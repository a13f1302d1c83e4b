/**
 * 19 Transport: a frame of a link arrives once at most and in order, and at quiet every control
 * frame between living processes has arrived.
 */
import type { MessageType } from "#engine/protocol/message.ts";
import type { Frame } from "#transports/simulated/frame.ts";
import type { Link } from "#transports/simulated/network-watch.ts";
import { Oracle } from "./oracle.ts";

/** Some of these are always under way. */
const upkeep: readonly MessageType[] = [
  "heartbeat",
  "heartbeatAck",
  "resourceView",
  "probeObject",
  "probeTask",
];

interface Lane {
  readonly link: Link;
  /** Task frames travel beside the others, and may be retracted. */
  readonly ofTasks: boolean;
  sentCount: number;
  takenThrough: number;
  missingCount: number;
}

interface Sent {
  readonly lane: Lane;
  readonly number: number;
  taken: boolean;
}

export class TransportOracle extends Oracle {
  readonly name = "19 transport";
  readonly #lanes = new Map<string, Lane>();
  readonly #sent = new WeakMap<Frame, Sent>();

  override onSent(frame: Frame, link: Link): void {
    const lane = this.#laneOf(frame, link);
    lane.sentCount += 1;
    if (!upkeep.includes(frame.type)) lane.missingCount += 1;
    this.#sent.set(frame, { lane, number: lane.sentCount, taken: false });
  }

  override onTaken(frame: Frame): void {
    const sent = this.#sent.get(frame);
    const entity = frame.to;
    if (sent === undefined) {
      this.violate({ entity, message: `${frame.text} arrived and was never sent` });
      return;
    }
    const { lane, number } = sent;
    if (sent.taken) this.violate({ entity, message: `${frame.text} arrived twice` });
    else if (number < lane.takenThrough) {
      this.violate({ entity, message: `${frame.text} arrived behind a later frame` });
    }
    if (!sent.taken && !upkeep.includes(frame.type)) lane.missingCount -= 1;
    sent.taken = true;
    lane.takenThrough = Math.max(lane.takenThrough, number);
  }

  override atQuiet(): void {
    for (const { link, ofTasks, missingCount } of this.#lanes.values()) {
      const { from, to } = link;
      if (missingCount === 0 || ofTasks || from.isClosed || to.isClosed) continue;
      const message = `${missingCount} frames from ${from.name} to ${to.name} did not arrive`;
      this.violate({ entity: to.name, message });
    }
  }

  #laneOf({ type }: Frame, link: Link): Lane {
    const ofTasks = type === "pushTask";
    const key = `${link.from.name}>${link.to.name}${ofTasks ? " tasks" : ""}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { link, ofTasks, sentCount: 0, takenThrough: 0, missingCount: 0 };
      this.#lanes.set(key, lane);
    }
    return lane;
  }
}
