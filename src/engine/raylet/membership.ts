/**
 * This node among the others: it reports to the GCS that it lives and what it has free, and keeps
 * what the GCS tells of the rest.
 *
 * State:  the last view, less what was sent to other nodes since; the dead nodes; for how long the
 *         GCS was silent.
 * In/out: start, resourceView, heartbeatAck, nodeDied, deadlines → registerNode, heartbeat,
 *         ExitNode.
 * Bounds: one heartbeat in `heartbeatMs`, one more in `resourceReportMs` where something changed.
 *         A head that is alone sends none.
 * Errors: a node that was declared dead, or hears nothing for `gcsReconnectMs`, ends itself. Of a
 *         pause of this process one heartbeat counts: what had been said meanwhile is behind it.
 * Source: Ray's ray_syncer and health checks; protocols §4 Node, §8.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { gcsAddress, type NodeId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { HeartbeatAck, NodeDied, NodeState, ResourceView } from "#engine/protocol/gcs.ts";
import type { RayletOut } from "./placement-queue.ts";

const deadMax = 100_000;

export interface MembershipOptions {
  readonly nodeId: NodeId;
  readonly config: Config;
  readonly isHead: boolean;
  readonly available: () => ResourceRequest;
}

export class Membership {
  readonly #options: MembershipOptions;
  #others: NodeState[] = [];
  #version = 0;
  /** Oldest death first. */
  readonly #dead = new Map<NodeId, string>();
  #seq = 0;
  #lastSentMs = -Infinity;
  /** Since the GCS was last heard, as far as this process was running. */
  #silentMs = 0;
  #heartbeatAtMs = Infinity;
  #reportAtMs = Infinity;
  #hasExited = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** The living nodes but this one. */
  get others(): readonly NodeState[] {
    return this.#others;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Why it died, or undefined. */
  deathOf(nodeId: NodeId): string | undefined {
    return this.#dead.get(nodeId);
  }

  onStart(nowMs: number): void {
    if (!this.#options.isHead) this.#begin(nowMs);
  }

  /** True when the nodes, or what they have free, may have changed. */
  onResourceView({ version, nodes }: ResourceView, nowMs: number): boolean {
    if (version <= this.#version) return false;
    this.#version = version;
    const { nodeId, isHead } = this.#options;
    this.#others = nodes.filter((node) => node.nodeId !== nodeId && !this.#dead.has(node.nodeId));
    if (this.#others.length > 0) this.#begin(nowMs);
    else if (isHead) this.#pause();
    return true;
  }

  onHeartbeatAck({ nodeIsDead }: HeartbeatAck, out: RayletOut): void {
    this.#silentMs = 0;
    if (nodeIsDead) this.#exit("the GCS took it for dead: it was silent for too long", out);
  }

  /** False if that was known. */
  onNodeDied({ nodeId, reason }: NodeDied): boolean {
    if (this.#dead.has(nodeId)) return false;
    this.#dead.set(nodeId, reason);
    if (this.#dead.size > deadMax) {
      for (const oldest of this.#dead.keys()) {
        this.#dead.delete(oldest);
        break;
      }
    }
    this.#others = this.#others.filter((node) => node.nodeId !== nodeId);
    return true;
  }

  /** A lease was sent there: that counts until the next view. */
  charge(nodeId: NodeId, resources: ResourceRequest): void {
    this.#others = this.#others.map((node) => {
      if (node.nodeId !== nodeId) return node;
      const available = new Map(node.available);
      for (const [name, amount] of resources) {
        available.set(name, (available.get(name) ?? 0) - amount);
      }
      return { ...node, available };
    });
  }

  /** What this node has free has changed. */
  onAvailableChanged(nowMs: number): void {
    if (this.#heartbeatAtMs === Infinity) return;
    const atMs = Math.max(nowMs, this.#lastSentMs + this.#options.config.resourceReportMs);
    this.#reportAtMs = Math.min(this.#reportAtMs, atMs);
  }

  nextDeadlineMs(): number {
    return Math.min(this.#heartbeatAtMs, this.#reportAtMs);
  }

  /** Reports what is due. */
  settle(nowMs: number, out: RayletOut): void {
    if (nowMs < this.nextDeadlineMs() || this.#hasExited) return;
    const { config, available } = this.#options;
    this.#silentMs += Math.min(nowMs - this.#lastSentMs, config.heartbeatMs);
    if (this.#silentMs > config.gcsReconnectMs) {
      this.#exit(`it heard nothing from the GCS for ${config.gcsReconnectMs} ms`, out);
      return;
    }
    this.#seq += 1;
    this.#lastSentMs = nowMs;
    this.#reportAtMs = Infinity;
    this.#heartbeatAtMs = nowMs + config.heartbeatMs;
    const { nodeId } = this.#options;
    const seq = this.#seq;
    out.send(gcsAddress, { type: "heartbeat", from: nodeId, seq, available: available() });
  }

  checkInvariants(): void {
    assert(this.#dead.size <= deadMax, "too many dead nodes are remembered");
    for (const { nodeId } of this.#others) {
      assert(nodeId !== this.#options.nodeId, "a node is not among the others");
      assert(!this.#dead.has(nodeId), "a dead node is not among the others");
    }
  }

  #begin(nowMs: number): void {
    if (this.#heartbeatAtMs !== Infinity || this.#hasExited) return;
    this.#heartbeatAtMs = nowMs;
    // A silence counts from the first heartbeat on.
    this.#lastSentMs = nowMs;
    this.#silentMs = 0;
  }

  #pause(): void {
    this.#heartbeatAtMs = Infinity;
    this.#reportAtMs = Infinity;
  }

  #exit(reason: string, out: RayletOut): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#pause();
    out.instruct({ type: "exitNode", reason });
  }
}
