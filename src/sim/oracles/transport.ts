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

/** What is known of a frame. */
class Sent {
  readonly lane: Lane;
  readonly number: number;
  taken = false;

  constructor(lane: Lane, number: number) {
    this.lane = lane;
    this.number = number;
  }
}

type End = Link["from"];

export class TransportOracle extends Oracle {
  readonly name = "19 transport";
  readonly #lanes: Lane[] = [];
  readonly #lanesOfTasks = new Map<End, Map<End, Lane>>();
  readonly #lanesOfOthers = new Map<End, Map<End, Lane>>();

  override onSent(frame: Frame, link: Link): void {
    const lane = this.#laneOf(frame, link);
    lane.sentCount += 1;
    if (!upkeep.includes(frame.type)) lane.missingCount += 1;
    frame.watched = new Sent(lane, lane.sentCount);
  }

  override onTaken(frame: Frame): void {
    const sent = frame.watched;
    const entity = frame.to;
    if (!(sent instanceof Sent)) {
      this.violate({ entity, message: `${frame.said.text} arrived and was never sent` });
      return;
    }
    const { lane, number } = sent;
    if (sent.taken) this.violate({ entity, message: `${frame.said.text} arrived twice` });
    else if (number < lane.takenThrough) {
      this.violate({ entity, message: `${frame.said.text} arrived behind a later frame` });
    }
    if (!sent.taken && !upkeep.includes(frame.type)) lane.missingCount -= 1;
    sent.taken = true;
    lane.takenThrough = Math.max(lane.takenThrough, number);
  }

  override atQuiet(): void {
    for (const { link, ofTasks, missingCount } of this.#lanes) {
      const { from, to } = link;
      if (missingCount === 0 || ofTasks || from.isClosed || to.isClosed) continue;
      const message = `${missingCount} frames from ${from.name} to ${to.name} did not arrive`;
      this.violate({ entity: to.name, message });
    }
  }

  #laneOf({ type }: Frame, link: Link): Lane {
    const { from, to } = link;
    const ofTasks = type === "pushTask";
    const lanes = ofTasks ? this.#lanesOfTasks : this.#lanesOfOthers;
    let lanesFrom = lanes.get(from);
    if (lanesFrom === undefined) lanes.set(from, (lanesFrom = new Map()));
    let lane = lanesFrom.get(to);
    if (lane === undefined) {
      lane = { link, ofTasks, sentCount: 0, takenThrough: 0, missingCount: 0 };
      lanesFrom.set(to, lane);
      this.#lanes.push(lane);
    }
    return lane;
  }
}
