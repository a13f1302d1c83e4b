/**
 * The nodes of the cluster: ALIVE → DEAD, which is final: an id never comes back.
 *
 * State:  living rows by id, in the order they joined; the ids of the dead, oldest death first.
 * In/out: registerNode, heartbeat, ticks of the health check → heartbeatAck, resourceView; who is
 *         declared dead is told by Gcs to all it concerns.
 * Bounds: one row a node, `deadMax` dead ids; one view in `resourceReportMs`, and none behind
 *         others that a node cannot read: it gets the newest once it can.
 * Errors: a node is dead after `ticksMax` ticks without a heartbeat. Ticks, not elapsed time: after
 *         a pause of this process they go on where they were, behind what waited in its queue.
 * Source: Ray gcs_node_manager, gcs_health_check_manager; protocols §4 Node.
 */
import { assert } from "#engine/common/assert.ts";
import type { Config } from "#engine/common/config.ts";
import { gcsAddress, type NodeId } from "#engine/common/ids.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";
import type { Heartbeat, NodeState, RegisterNode } from "#engine/protocol/gcs.ts";
import type { NodeListing } from "#engine/protocol/state.ts";
import type { Outbox } from "#engine/protocol/machine.ts";
import { type Choice, pickNode } from "#engine/scheduling/pick-node.ts";
import type { SchedulingStrategy } from "#engine/common/task-spec.ts";

const deadMax = 100_000;
const ticksMax = 5;
const noAmounts: ResourceRequest = new Map();
const noLabels: ReadonlyMap<string, string> = new Map();

interface NodeRow {
  readonly registration: RegisterNode;
  available: ResourceRequest;
  lastSeq: number;
  missedTicks: number;
  /** The last view was not sent: its link was full. */
  lacksView: boolean;
}

export class Nodes {
  readonly #config: Config;
  readonly #rows = new Map<NodeId, NodeRow>();
  /** Oldest death first. */
  readonly #dead = new Set<NodeId>();
  #version = 0;
  #nextTickMs = Infinity;
  /** When the next view is due; Infinity while nothing has changed. */
  #viewAtMs = Infinity;
  #lastViewMs = -Infinity;
  #turn = 0;

  constructor(config: Config) {
    this.#config = config;
  }

  get size(): number {
    return this.#rows.size;
  }

  get ids(): IterableIterator<NodeId> {
    return this.#rows.keys();
  }

  /** Oldest death first. */
  get deadIds(): IterableIterator<NodeId> {
    return this.#dead.values();
  }

  isDead(nodeId: NodeId): boolean {
    return this.#dead.size > 0 && this.#dead.has(nodeId);
  }

  /** For those who ask what there is: the living, then the dead, of which only the ids are left. */
  listings(limit: number): NodeListing[] {
    const living = [...this.#rows.values()].map(({ registration }): NodeListing => {
      const { nodeId, isHead, address, hostname, resources, labels } = registration;
      const rest = { resources, labels, deathReason: "" };
      return { nodeId, isAlive: true, isHead, address, hostname, ...rest };
    });
    const dead = [...this.#dead].map((nodeId): NodeListing => {
      const deathReason = "the GCS heard nothing from it for too long";
      const rest = { resources: noAmounts, labels: noLabels, deathReason };
      return { nodeId, isAlive: false, isHead: false, address: "", hostname: "", ...rest };
    });
    return [...living, ...dead].slice(0, limit);
  }

  nextDeadlineMs(): number {
    return Math.min(this.#nextTickMs, this.#viewAtMs);
  }

  /** True when the node is new. */
  onRegisterNode(message: RegisterNode, nowMs: number): boolean {
    const { nodeId, resources } = message;
    if (this.#rows.has(nodeId)) return false;
    const fresh = { lastSeq: 0, missedTicks: 0, lacksView: false };
    const row = { registration: message, available: resources, ...fresh };
    this.#rows.set(nodeId, row);
    this.#onMembersChanged(nowMs);
    return true;
  }

  onHeartbeat({ from, seq, available }: Heartbeat, nowMs: number, out: Outbox<never>): void {
    const nodeId = from as NodeId;
    const row = this.#rows.get(nodeId);
    const nodeIsDead = this.#dead.has(nodeId);
    if (row === undefined && !nodeIsDead) return;
    out.send(nodeId, { type: "heartbeatAck", from: gcsAddress, seq, nodeIsDead });
    if (row === undefined || seq <= row.lastSeq) return;
    row.lastSeq = seq;
    row.missedTicks = 0;
    if (isSame(row.available, available)) return;
    row.available = new Map(available);
    this.#viewSoon(nowMs);
  }

  /** Nodes whose time is up; they are rows until `bury`. */
  takeOverdue(nowMs: number): NodeId[] {
    if (nowMs < this.#nextTickMs) return [];
    this.#nextTickMs = nowMs + this.#config.healthTimeoutMs / ticksMax;
    const overdue: NodeId[] = [];
    for (const [nodeId, row] of this.#rows) {
      row.missedTicks += 1;
      if (row.missedTicks > ticksMax) overdue.push(nodeId);
    }
    return overdue;
  }

  /** False if it was dead, or never was. */
  bury(nodeId: NodeId, nowMs: number): boolean {
    if (!this.#rows.delete(nodeId)) return false;
    this.#dead.add(nodeId);
    if (this.#dead.size > deadMax) {
      for (const oldest of this.#dead) {
        this.#dead.delete(oldest);
        break;
      }
    }
    this.#onMembersChanged(nowMs);
    return true;
  }

  /** To every node, if anything has changed and it is time. */
  sendView(nowMs: number, out: Outbox<never>): void {
    if (nowMs < this.#viewAtMs) return;
    this.#viewAtMs = Infinity;
    this.#lastViewMs = nowMs;
    this.#sendViewTo([...this.#rows], out);
  }

  /** A link has room again. */
  onWritable(out: Outbox<never>): void {
    const lacking = [...this.#rows].filter(([, { lacksView }]) => lacksView);
    if (lacking.length > 0) this.#sendViewTo(lacking, out);
  }

  /** Where to create an actor. What it takes counts until the node reports. */
  pick(resources: ResourceRequest, strategy: SchedulingStrategy): Choice {
    const nodes = this.#states();
    if (nodes.length === 0) {
      return { nodeId: null, why: "waits for a node: none has joined", hopeless: false };
    }
    const choice = pickNode(nodes, { resources, strategy, preferred: null, turn: this.#turn++ });
    const row = choice.nodeId === null ? undefined : this.#rows.get(choice.nodeId);
    if (row !== undefined) row.available = minus(row.available, resources);
    return choice;
  }

  checkInvariants(): void {
    assert(this.#dead.size <= deadMax, "too many dead nodes are remembered");
    for (const [nodeId, { registration }] of this.#rows) {
      assert(nodeId === registration.nodeId, "a node under another's id");
      assert(!this.#dead.has(nodeId), "a dead node is not a row");
    }
    assert(this.#nextTickMs === Infinity || this.#rows.size > 1, "one node checks nobody");
  }

  /** Each view says all: one that waits to be read is as good as the next. */
  #sendViewTo(rows: readonly (readonly [NodeId, NodeRow])[], out: Outbox<never>): void {
    this.#version += 1;
    const view = { from: gcsAddress, version: this.#version, nodes: this.#states() };
    for (const [nodeId, row] of rows) {
      row.lacksView = out.isCongested(nodeId);
      if (!row.lacksView) out.send(nodeId, { type: "resourceView", ...view });
    }
  }

  #onMembersChanged(nowMs: number): void {
    // At once, also to the one that is alone again.
    this.#viewAtMs = this.#rows.size > 1 || this.#version > 0 ? nowMs : Infinity;
    if (this.#rows.size <= 1) this.#nextTickMs = Infinity;
    else if (this.#nextTickMs === Infinity) {
      this.#nextTickMs = nowMs + this.#config.healthTimeoutMs / ticksMax;
    }
  }

  #viewSoon(nowMs: number): void {
    if (this.#rows.size <= 1) return;
    const atMs = Math.max(nowMs, this.#lastViewMs + this.#config.resourceReportMs);
    this.#viewAtMs = Math.min(this.#viewAtMs, atMs);
  }

  #states(): NodeState[] {
    return [...this.#rows.values()].map(({ registration, available }) => ({
      nodeId: registration.nodeId,
      totals: registration.resources,
      available,
      labels: registration.labels,
    }));
  }
}

function isSame(a: ResourceRequest, b: ResourceRequest): boolean {
  if (a.size !== b.size) return false;
  for (const [name, amount] of a) if (b.get(name) !== amount) return false;
  return true;
}

function minus(amounts: ResourceRequest, taken: ResourceRequest): ResourceRequest {
  const rest = new Map(amounts);
  for (const [name, amount] of taken) rest.set(name, (rest.get(name) ?? 0) - amount);
  return rest;
}
