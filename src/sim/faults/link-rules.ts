/**
 * What faults do to the links between nodes for a while: delay, hold, cut, lose, double, turn
 * round.
 */
import type { Prng } from "#engine/common/prng.ts";
import type { MessageType } from "#engine/protocol/message.ts";
import type { Fate, Place } from "#transports/simulated/network-world.ts";

interface During {
  readonly from: number;
  readonly to: number;
  readonly untilMs: number;
  /** A frame was touched by it, or an attempt to connect; perhaps not for the first time. */
  onTouch(): void;
}

interface DelayRule extends During {
  /** Added to each frame; Infinity for a hold, which ends at `untilMs`. */
  readonly delayMs: number;
  /** Infinity where the link is wide enough for everything. */
  readonly bytesPerMs: number;
}

/** Frames between the two nodes go through one after another, as fast as the bytes allow. */
interface Bottleneck extends DelayRule {
  freeAtMs: number;
}

interface HarmRule extends During {
  /** A cut is the legal form of a loss; the others are for hostile worlds. */
  readonly harm: Exclude<Fate, "pass" | "replay">;
  readonly probability: number;
  /** Its own, so that one fault less changes nothing of the others. */
  readonly random: Prng;
}

/** Of frames that come twice one in so many does so from a link that has ended. */
const replayOneIn = 4;

export type RpcInstant = "beforeSend" | "whileHandled" | "replyLost";

interface RpcRule {
  readonly method: string;
  readonly instant: RpcInstant;
  left: number;
  onTouch(): void;
}

export class LinkRules {
  #delays: Bottleneck[] = [];
  #partitions: During[] = [];
  #harms: HarmRule[] = [];
  #rpcs: RpcRule[] = [];
  /** `from>to` of processes whose next frame cuts the link: a reply that gets lost. */
  readonly #lostReplies = new Set<string>();

  delay(rule: DelayRule): void {
    this.#delays.push({ ...rule, freeAtMs: 0 });
  }

  separate(rule: During): void {
    this.#partitions.push(rule);
  }

  harm(rule: HarmRule): void {
    this.#harms.push(rule);
  }

  rpc(rule: RpcRule): void {
    this.#rpcs.push({ ...rule });
  }

  clear(): void {
    this.#delays = [];
    this.#partitions = [];
    this.#harms = [];
    this.#rpcs = [];
    this.#lostReplies.clear();
  }

  extraDelayMs(from: Place, to: Place, frame: { sizeBytes: number; nowMs: number }): number {
    const { sizeBytes, nowMs } = frame;
    let extra = 0;
    for (const rule of this.#delays) {
      if (!isOn(rule, from, to, nowMs)) continue;
      rule.freeAtMs = Math.max(rule.freeAtMs, nowMs) + sizeBytes / rule.bytesPerMs;
      const delayMs = rule.delayMs + rule.freeAtMs - nowMs;
      const added = Math.min(delayMs, rule.untilMs - nowMs);
      if (added > 0) rule.onTouch();
      extra = Math.max(extra, added);
    }
    return extra;
  }

  /** Until when nothing gets from one node to the other; 0 when nothing is in the way. */
  blockedUntilMs(from: number, to: number, nowMs: number): number {
    let untilMs = 0;
    for (const rule of this.#partitions) {
      if (!isOn(rule, { node: from }, { node: to }, nowMs)) continue;
      rule.onTouch();
      untilMs = Math.max(untilMs, rule.untilMs);
    }
    return untilMs;
  }

  fateOf(
    from: Place,
    to: Place,
    frame: { readonly type: MessageType; readonly nowMs: number },
  ): Fate {
    if (this.#lostReplies.delete(`${from.name}>${to.name}`)) return "cut";
    if (this.#takeRpc(frame.type, ["beforeSend"]) !== undefined) return "cut";
    for (const rule of this.#harms) {
      if (!isOn(rule, from, to, frame.nowMs)) continue;
      if (rule.random.float() >= rule.probability) continue;
      rule.onTouch();
      const isOld = rule.harm === "duplicate" && rule.random.below(replayOneIn) === 0;
      return isOld ? "replay" : rule.harm;
    }
    return "pass";
  }

  /** Whether the link is cut once this frame has been handled. */
  cutsBehind(from: Place, to: Place, type: MessageType): boolean {
    const rpc = this.#takeRpc(type, ["whileHandled", "replyLost"]);
    if (rpc?.instant === "replyLost") this.#lostReplies.add(`${to.name}>${from.name}`);
    return rpc?.instant === "whileHandled";
  }

  #takeRpc(type: MessageType, instants: readonly RpcInstant[]): RpcRule | undefined {
    const rpc = this.#rpcs.find(({ method, instant, left }) => {
      return method === type && left > 0 && instants.includes(instant);
    });
    if (rpc === undefined) return undefined;
    rpc.left -= 1;
    rpc.onTouch();
    return rpc;
  }
}

function isOn(
  rule: Omit<During, "onTouch">,
  from: { node: number },
  to: { node: number },
  nowMs: number,
): boolean {
  return rule.from === from.node && rule.to === to.node && rule.untilMs > nowMs;
}
