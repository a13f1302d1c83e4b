/**
 * Lists of objects and tasks of a node: asks every process, passes on what each tells, and names
 * those that do not answer. Lists of what stores hold: asks the raylets of the other nodes.
 *
 * State:  open requests by their own number, oldest first.
 * In/out: ListState, StateCollected, AskStore, StoreTold, ends of processes and nodes, deadlines →
 *         CollectState, AskStore, StoreTold, StateListed.
 * Bounds: `requestsMax` requests, `stateTimeoutMs` each; of each process as many rows as were asked
 *         for. Not of all together: the first to answer, with a long queue, would hide the rest.
 * Errors: a process that has ended, or is in a synchronous task for too long, is left out by name;
 *         so is a node that has died or cannot be reached.
 * Source: Ray node_manager GetObjectsInfo; dashboard state aggregator.
 */
import type { Address, NodeId, WorkerId } from "#engine/common/ids.ts";
import {
  type AskStore,
  type ListState,
  noStateRows,
  type StateCollected,
  statePages,
  type ObjectRow,
  type StateRows,
  type StoreRow,
  type StoreTold,
  type WorkerRow,
} from "#engine/protocol/state.ts";
import type { RayletOut } from "./placement-queue.ts";

const requestsMax = 64;

interface Request {
  readonly asker: Address;
  readonly requestId: number;
  /** Processes of this node, or other nodes. */
  readonly waiting: Set<Address>;
  readonly isOfNodes: boolean;
  readonly missing: string[];
  readonly endsAtMs: number;
}

export interface CollectorParts {
  readonly nodeId: NodeId;
  readonly stateTimeoutMs: number;
  /** Drivers, and workers that are ready. */
  processes(): WorkerId[];
  workers(): WorkerRow[];
  /** The living ones. */
  otherNodes(): NodeId[];
  store(): StoreRow;
  /** Whether its bytes are on this node's disk alone. */
  isSpilled(object: ObjectRow): boolean;
}

export class StateCollector {
  readonly #parts: CollectorParts;
  readonly #requests = new Map<number, Request>();
  #nextRequestId = 1;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  get requestCount(): number {
    return this.#requests.size;
  }

  onListState(message: ListState, nowMs: number, out: RayletOut): void {
    const { from: asker, requestId, kind, limit } = message;
    if (kind === "workers") return this.#tellWorkers({ asker, requestId }, limit, out);
    if (this.#requests.size >= requestsMax) {
      const missing = [`all: ${requestsMax} lists are being made already; ask again later`];
      this.#end({ asker, requestId, missing }, out);
      return;
    }
    const own = this.#nextRequestId++;
    const { nodeId: from, stateTimeoutMs } = this.#parts;
    const isOfNodes = kind === "stores";
    const asked = isOfNodes
      ? this.#parts.otherNodes().slice(0, Math.max(0, limit - 1))
      : this.#parts.processes();
    const waiting = new Set<Address>(asked);
    const endsAtMs = nowMs + stateTimeoutMs;
    const request = { asker, requestId, waiting, isOfNodes, missing: [], endsAtMs };
    this.#requests.set(own, request);
    if (isOfNodes) this.#sendStore(request, this.#parts.store(), out);
    for (const address of waiting) {
      if (isOfNodes) out.send(address, { type: "askStore", from, requestId: own });
      else out.send(address, { type: "collectState", from, requestId: own, kind, limit });
    }
    this.#endIfComplete(own, request, out);
  }

  onStateCollected(message: StateCollected, out: RayletOut): void {
    const request = this.#requests.get(message.requestId);
    if (request === undefined || !request.waiting.has(message.from)) return;
    const rows = this.#told(message.rows);
    if (rows.objects.length + rows.tasks.length > 0) this.#send(request, rows, out);
    if (!message.isLast) return;
    if (message.note !== "") request.missing.push(`worker ${message.from}: ${message.note}`);
    request.waiting.delete(message.from);
    this.#endIfComplete(message.requestId, request, out);
  }

  /** Of another raylet. */
  onAskStore({ from: asker, requestId }: AskStore, out: RayletOut): void {
    const { nodeId: from } = this.#parts;
    out.send(asker, { type: "storeTold", from, requestId, store: this.#parts.store() });
  }

  onStoreTold({ from, requestId, store }: StoreTold, out: RayletOut): void {
    const request = this.#requests.get(requestId);
    if (request === undefined || !request.waiting.delete(from)) return;
    this.#sendStore(request, store, out);
    this.#endIfComplete(requestId, request, out);
  }

  onNodeDied(nodeId: NodeId, out: RayletOut): void {
    for (const [own, request] of this.#requests) {
      if (!request.waiting.delete(nodeId)) continue;
      request.missing.push(`node ${nodeId} has died`);
      this.#endIfComplete(own, request, out);
    }
  }

  /** Where the bytes of an object lie only the raylet knows. */
  #told({ objects, ...others }: StateRows): StateRows {
    const { isSpilled } = this.#parts;
    return { ...others, objects: objects.map((row) => ({ ...row, isSpilled: isSpilled(row) })) };
  }

  onProcessEnded(process: WorkerId, out: RayletOut): void {
    for (const [own, request] of this.#requests) {
      if (request.asker === process) {
        this.#requests.delete(own);
      } else if (request.waiting.delete(process)) {
        request.missing.push(`worker ${process} has ended`);
        this.#endIfComplete(own, request, out);
      }
    }
  }

  nextDeadlineMs(): number {
    for (const { endsAtMs } of this.#requests.values()) return endsAtMs;
    return Infinity;
  }

  onDeadline(nowMs: number, out: RayletOut): void {
    for (const [own, request] of this.#requests) {
      if (request.endsAtMs > nowMs) return;
      const { stateTimeoutMs } = this.#parts;
      const late = `did not answer within ${stateTimeoutMs} ms (systemConfig.stateTimeoutMs)`;
      for (const address of request.waiting) {
        request.missing.push(
          request.isOfNodes
            ? `node ${address} ${late}: it is busy, or cannot be reached`
            : `worker ${address} ${late}: a task that does not give way keeps its thread busy`,
        );
      }
      request.waiting.clear();
      this.#endIfComplete(own, request, out);
    }
  }

  /** What no process is asked for. */
  #tellWorkers(to: Pick<Request, "asker" | "requestId">, limit: number, out: RayletOut): void {
    for (const workers of statePages(this.#parts.workers().slice(0, limit))) {
      this.#send(to, { ...noStateRows, workers }, out);
    }
    this.#end({ ...to, missing: [] }, out);
  }

  #sendStore(request: Request, store: StoreRow, out: RayletOut): void {
    this.#send(request, { ...noStateRows, stores: [store] }, out);
  }

  #endIfComplete(own: number, request: Request, out: RayletOut): void {
    if (request.waiting.size > 0) return;
    this.#requests.delete(own);
    this.#end(request, out);
  }

  #send(to: { asker: Address; requestId: number }, rows: StateRows, out: RayletOut): void {
    this.#answer(to, { rows, isLast: false, missing: [] }, out);
  }

  #end(request: Pick<Request, "asker" | "requestId" | "missing">, out: RayletOut): void {
    this.#answer(request, { rows: noStateRows, isLast: true, missing: request.missing }, out);
  }

  #answer(
    { asker, requestId }: { asker: Address; requestId: number },
    page: { rows: StateRows; isLast: boolean; missing: readonly string[] },
    out: RayletOut,
  ): void {
    out.send(asker, { type: "stateListed", from: this.#parts.nodeId, requestId, ...page });
  }
}
