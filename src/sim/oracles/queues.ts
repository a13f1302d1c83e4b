/**
 * 17 Hygiene: what is under way to a peer, from its sender to its reader, is bounded at every
 * event, in frames and in bytes.
 *
 * What is optional is sent only while a link has room in its window. The rest has credits: a worker
 * is pushed no more than a stream may have unanswered, and nobody says the same thing over and over
 * to a peer that does not read. At quiet a session keeps no more frames than its peer may owe
 * acknowledgements for.
 */
import type { MessageType } from "#engine/protocol/message.ts";
import type { TakenBack } from "#engine/protocol/task.ts";
import type { Cluster } from "#sim/cluster/cluster.ts";
import { roomOf } from "#transports/session/send-window.ts";
import { keptAtRestMax } from "#transports/simulated/channel.ts";
import { type Frame, messageOf } from "#transports/simulated/frame.ts";
import type { Link } from "#transports/simulated/network-watch.ts";
import { isFar, leaseOf } from "./far-pushes.ts";
import { Oracle, type Violate } from "./oracle.ts";

/** What its sender may keep for later, or never send. */
const optional: readonly MessageType[] = ["pushTask", "chunk", "resourceView"];
/** Each gives up one count more of those that pushes have brought: none says the same again. */
const counting: readonly MessageType[] = ["releaseHolds"];
/** A thing may change back and forth a few times until its peer reads of it. */
const sameMax = 8;

export interface QueueBounds {
  readonly linkWindowBytes: number;
  readonly pipelineDepthMax: number;
}

interface Queue {
  frames: number;
  /** With what each frame takes beside its bytes. */
  bytes: number;
  /** By a digest of all that they say. */
  readonly same: Map<number, number>;
}

export class QueueOracle extends Oracle {
  readonly name = "17 hygiene";
  readonly #bounds: QueueBounds;
  readonly #queues = new Map<Link, Queue>();
  /** By stream to a worker of another node. */
  readonly #unanswered = new Map<string, number>();

  constructor(violate: Violate, bounds: QueueBounds) {
    super(violate);
    this.#bounds = bounds;
  }

  override onSent(frame: Frame, link: Link): void {
    let queue = this.#queues.get(link);
    if (queue === undefined) {
      queue = { frames: 0, bytes: 0, same: new Map() };
      this.#queues.set(link, queue);
    }
    const { type, said, from: entity } = frame;
    const { linkWindowBytes } = this.#bounds;
    if (queue.bytes >= linkWindowBytes && optional.includes(type)) {
      const { frames, bytes } = queue;
      const what = `${frames} frames of ${bytes} bytes are under way, and there is no room`;
      const message = `${link.from.name} sends ${link.to.name} a ${type} while ${what}`;
      this.violate({ entity, message: `${message}: the window has ${linkWindowBytes}` });
    }
    queue.frames += 1;
    queue.bytes += roomOf(frame.sizeBytes);
    const same = (queue.same.get(said.digest) ?? 0) + 1;
    queue.same.set(said.digest, same);
    if (same > sameMax && !counting.includes(type)) {
      const what = `${said.text} ${same} times, at most ${sameMax}, before it reads one of them`;
      this.violate({ entity, message: `${link.from.name} sends ${link.to.name} ${what}` });
    }
    if (type === "pushTask" && isFar(link)) this.#onPushed(frame);
  }

  override onTaken(frame: Frame, link: Link): void {
    this.#onGone(frame, link);
    const { type, to } = frame;
    if (type === "taskReply" && isFar(link)) this.#onAnswered(leaseOf(to, frame.stream), 1);
    if (type !== "takenBack" || !isFar(link)) return;
    const { stream, seqs } = messageOf(frame) as TakenBack;
    this.#onAnswered(leaseOf(to, stream), seqs.length);
  }

  override onRetracted(frame: Frame, link: Link): void {
    this.#onGone(frame, link);
  }

  override atQuiet({ network }: Cluster): void {
    for (const { from, to, count } of network.keptFrames()) {
      if (count <= keptAtRestMax) continue;
      const message = `${from} keeps ${count} frames for ${to}, at most ${keptAtRestMax}`;
      this.violate({ entity: from, message });
    }
  }

  #onPushed({ from, to, stream }: Frame): void {
    const lease = leaseOf(from, stream);
    const count = (this.#unanswered.get(lease) ?? 0) + 1;
    this.#unanswered.set(lease, count);
    const most = Math.max(1, this.#bounds.pipelineDepthMax);
    if (count <= most) return;
    const message = `${count} pushes on stream ${stream} to ${to} are unanswered, at most ${most}`;
    this.violate({ entity: from, message });
  }

  #onAnswered(lease: string, count: number): void {
    const before = this.#unanswered.get(lease);
    if (before !== undefined) this.#unanswered.set(lease, before - count);
  }

  #onGone({ said, sizeBytes }: Frame, link: Link): void {
    const queue = this.#queues.get(link);
    if (queue === undefined) return;
    queue.frames -= 1;
    queue.bytes -= roomOf(sizeBytes);
    const same = queue.same.get(said.digest) ?? 0;
    if (same > 1) queue.same.set(said.digest, same - 1);
    else queue.same.delete(said.digest);
  }
}
