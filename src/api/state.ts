/**
 * `mobula/state`: what there is at this moment, as Ray's state API lists it, and why what waits
 * does. Objects, tasks and workers are those of the caller's node; actors and nodes, with what
 * their stores hold, the cluster's.
 *
 * Nothing here is needed to run a program: it is read from the processes when somebody asks.
 */
import type { NodeId } from "#engine/common/ids.ts";
import type { StatePage } from "#engine/core-worker/calls.ts";
import { type ReferenceType, stateRowsMax } from "#engine/protocol/state.ts";
import { checkBoolean, checkInteger, checkOptions, describe, kindError } from "./option-checks.ts";
import { never, requireClient } from "./runtime.ts";
import { actorInfo, nodeInfo, objectInfo, storeInfo, taskInfo, workerInfo } from "./state-infos.ts";
import type {
  ActorState,
  Filter,
  Kind,
  Listing,
  ListOptions,
  ObjectStoreInfo,
  Rows,
  Summary,
  TaskInfo,
  TaskState,
} from "./state-types.ts";

export type * from "./state-types.ts";

type SummarizedKind = "tasks" | "actors" | "objects";
type StateOf<K extends SummarizedKind> = K extends "tasks"
  ? TaskState
  : K extends "actors"
    ? ActorState
    : ReferenceType;
type ListedKind = "tasks" | "actors" | "objects" | "nodes" | "workers";

const listedKinds: readonly ListedKind[] = ["objects", "tasks", "actors", "nodes", "workers"];
const laterKinds = ["jobs", "placementGroups"];
const limitByDefault = 100;

export async function list<K extends Kind>(
  kind: K,
  options: ListOptions<Rows[K]> = {},
): Promise<Listing<Rows[K]>> {
  const known = checkKind("list", kind, listedKinds);
  checkListOptions(known, options);
  const { filters = [], limit = limitByDefault } = options;
  // Filtered here, so that all that could match must come.
  const { rows, missing } = await fetchRows(
    "list",
    known,
    filters.length > 0 ? stateRowsMax : limit,
  );
  const matching = rows.filter((row) => filters.every((filter) => matches(row, filter)));
  const listed = matching.slice(0, limit);
  return Object.defineProperty(listed, "missing", { value: missing }) as Listing<Rows[K]>;
}

/** The row of this id: of an object that of its owner, if there is one; of a task the last try. */
export async function get<K extends Kind>(kind: K, id: string): Promise<Rows[K] | undefined> {
  const known = checkKind("get", kind, listedKinds);
  if (typeof id !== "string") {
    throw new TypeError(
      `get(${JSON.stringify(kind)}): the id must be a string, got ${describe(id)}`,
    );
  }
  const { rows } = await fetchRows("get", known, stateRowsMax);
  const found = rows.filter((row) => idOf(known, row) === id);
  if (known === "tasks") return lastAttempt(found as TaskInfo[]) as Rows[K] | undefined;
  const byOwner = found.find((row) => "ownerWorkerId" in row && row.ownerWorkerId === row.workerId);
  return (byOwner ?? found[0]) as Rows[K] | undefined;
}

/** Counts by name and state; of objects by the place they were made at, where that is recorded. */
export async function summarize<K extends SummarizedKind>(kind: K): Promise<Summary<StateOf<K>>> {
  const known = checkKind("summarize", kind, ["tasks", "actors", "objects"]);
  const { rows, missing } = await fetchRows("summarize", known, stateRowsMax);
  const byName = new Map<string, { counts: Record<string, number> }>();
  for (const row of rows) {
    const [name, state] = nameAndState(row);
    const { counts } = byName.get(name) ?? { counts: {} };
    byName.set(name, { counts });
    counts[state] = (counts[state] ?? 0) + 1;
  }
  const summary = { total: rows.length, byName: Object.fromEntries(byName) };
  return Object.defineProperty(summary, "missing", { value: missing }) as Summary<StateOf<K>>;
}

// ---------------------------------------------------------------- rows

type AnyRow = Rows[ListedKind];

async function fetchRows(
  verb: string,
  kind: ListedKind,
  limit: number,
): Promise<{ rows: AnyRow[]; missing: readonly string[] }> {
  const caller = requireClient(verb);
  if (caller === null) return never();
  const { client } = caller;
  const isOfCluster = kind === "actors" || kind === "nodes";
  const pages = await (isOfCluster
    ? client.listCluster(kind, limit)
    : client.listState(kind, limit));
  const stores = kind === "nodes" ? await client.listState("stores", stateRowsMax) : [];
  const storeOf = new Map(
    stores.flatMap((page) => page.stores.map((row) => [row.nodeId, storeInfo(row)] as const)),
  );
  const rows = pages.flatMap((page) => rowsOf(page, storeOf));
  const missing = [...pages, ...stores].flatMap((page) => page.missing);
  return { rows: kind === "tasks" ? liveFirst(newestOf(rows as TaskInfo[])) : rows, missing };
}

function rowsOf(
  { objects, tasks, workers, actors, nodes }: StatePage,
  storeOf: ReadonlyMap<NodeId, ObjectStoreInfo>,
): AnyRow[] {
  return [
    ...objects.map(objectInfo),
    ...tasks.map(taskInfo),
    ...workers.map(workerInfo),
    ...actors.map(actorInfo),
    ...nodes.map((row) => {
      const objectStore = storeOf.get(row.nodeId);
      return objectStore === undefined ? nodeInfo(row) : { ...nodeInfo(row), objectStore };
    }),
  ];
}

/** An attempt that runs is known to its owner and to its executor: the one that knows most. */
function newestOf(tasks: readonly TaskInfo[]): TaskInfo[] {
  const byAttempt = new Map<string, TaskInfo>();
  for (const task of tasks) {
    const key = `${task.taskId} ${task.attemptNumber}`;
    const known = byAttempt.get(key);
    if (known === undefined || knowledge(task) >= knowledge(known)) byAttempt.set(key, task);
  }
  return [...byAttempt.values()];
}

/** What was cancelled has failed for its owner, and may run on. */
function knowledge({ state }: TaskInfo): number {
  if (state === "FINISHED") return 3;
  if (state.startsWith("RUNNING")) return 2;
  return state === "FAILED" ? 1 : 0;
}

/** What runs, what waits, then what has ended: no limit hides the living behind the dead. */
function liveFirst(tasks: readonly TaskInfo[]): TaskInfo[] {
  return tasks.toSorted((a, b) => rankOf(a) - rankOf(b));
}

function rankOf({ state }: TaskInfo): number {
  if (state.startsWith("RUNNING")) return 0;
  return state === "FINISHED" || state === "FAILED" ? 2 : 1;
}

function lastAttempt(attempts: readonly TaskInfo[]): TaskInfo | undefined {
  return attempts.toSorted((a, b) => b.attemptNumber - a.attemptNumber)[0];
}

function idOf(kind: ListedKind, row: AnyRow): unknown {
  const fields = row as unknown as Record<string, unknown>;
  return fields[`${kind.slice(0, -1)}Id`];
}

function nameAndState(row: AnyRow): [name: string, state: string] {
  if ("referenceType" in row) return [row.callSite ?? "unknown place", row.referenceType];
  if ("taskId" in row) return [row.name, row.state];
  if ("className" in row) return [row.className, row.state];
  return ["", ""];
}

// ---------------------------------------------------------------- checks

function checkKind<K extends string>(verb: string, kind: string, kinds: readonly K[]): K {
  const known = kinds.find((one) => one === kind);
  if (known !== undefined) return known;
  const what = typeof kind === "string" ? JSON.stringify(kind) : describe(kind);
  const isLater = laterKinds.includes(kind);
  const isNotYet = "is part of the contract but this version does not list it yet";
  const why = isLater ? isNotYet : "is no kind";
  throw new TypeError(`${verb}: ${what} ${why}; there are: ${kinds.join(", ")}`);
}

/** What rows of a kind may have, to filter by. */
const fieldsOf: Readonly<Record<ListedKind, readonly string[]>> = {
  objects: fields("objectId sizeBytes referenceType ownerWorkerId workerId spilled callSite"),
  tasks: fields("taskId name state attemptNumber jobId actorId nodeId workerId"),
  actors: fields("actorId className name namespace state numRestarts nodeId workerId deathCause"),
  nodes: fields("nodeId alive isHead address hostname deathReason"),
  workers: fields("workerId nodeId alive"),
};

function fields(names: string): readonly string[] {
  return [...names.split(" "), "pendingReason"];
}

function checkListOptions(kind: ListedKind, options: ListOptions): void {
  const { filters, limit, detail } = checkOptions("list", options, ["filters", "limit", "detail"]);
  if (limit !== undefined) checkInteger("limit", limit, 1, stateRowsMax);
  checkBoolean("detail", detail);
  if (filters === undefined) return;
  if (!Array.isArray(filters)) throw kindError("filters", "a list", filters);
  for (const [i, filter] of filters.entries()) checkFilter(kind, filter, `list: filter ${i}`);
}

function checkFilter(kind: ListedKind, filter: unknown, where: string): void {
  if (!Array.isArray(filter) || filter.length !== 3) {
    throw new TypeError(`${where} must be [field, "=" or "!=", value], got ${describe(filter)}`);
  }
  const [field, op, value] = filter as unknown[];
  if (typeof field !== "string") {
    throw new TypeError(`${where}: the field must be a string, got ${describe(field)}`);
  }
  if (!fieldsOf[kind].includes(field)) {
    const has = fieldsOf[kind].join(", ");
    throw new TypeError(
      `${where}: ${kind} have no field ${JSON.stringify(field)}; they have: ${has}`,
    );
  }
  if (op !== "=" && op !== "!=") {
    throw new TypeError(`${where}: the operator must be "=" or "!=", got ${describe(op)}`);
  }
  if (!["string", "number", "boolean"].includes(typeof value)) {
    throw new TypeError(
      `${where}: the value must be a string, number or boolean, got ${describe(value)}`,
    );
  }
}

function matches(row: AnyRow, [field, op, value]: Filter<never>): boolean {
  const has = (row as unknown as Record<string, unknown>)[field];
  return (has === value) === (op === "=");
}
