/** What a context of an engine world may do next: one user action, drawn by the world. */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { makeRequest, toFixedPoint } from "#engine/common/resources.ts";
import { noRetries } from "#engine/common/task-spec.ts";
import { taskOf, type TaskRecord } from "#engine/core-worker/object-entry.ts";
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { FailedValue, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { CallShape } from "#engine/services/task-templates.ts";
import { type ActorModel, check, nameOf, type ObjectName } from "./engine-model.ts";
import { Await, type Context, type GivenPart, givenOf } from "./engine-process.ts";
import { inlineValue, type Ref, thrownValue } from "./engine-values.ts";
import type { EngineWorld } from "./engine-world.ts";

const descriptor: FunctionDescriptor = {
  moduleUrl: "file:///program.ts",
  ordinal: 0,
  name: "",
  kind: "function",
  parameterCount: 0,
  sourceHash: 0,
  displayName: "work",
};

// oxlint-disable-next-line max-params -- the fields of a shape, in a table.
function shape(name: string, cpus: number, numReturns: number, retry = noRetries): CallShape {
  const resources = makeRequest([["CPU", toFixedPoint(cpus)]]);
  const definition = {
    descriptor: { ...descriptor, name },
    method: "",
    taskName: name,
    numReturns,
    resources,
    timeoutMs: 0,
  };
  return { definition, strategy: { type: "default" }, retry };
}

const once = { maxRetries: 1, retryExceptions: false };
const always = { maxRetries: 1, retryExceptions: true };
const asked = { maxRetries: 3, retryExceptions: {} };
/** Some share a scheduling key, and differ in how often they may run again. */
const taskShapes = [
  shape("one", 1, 1),
  shape("one", 1, 1, once),
  shape("one", 1, 1, always),
  shape("half", 0.5, 1),
  shape("half", 0.5, 1, asked),
  shape("two", 1, 2),
  shape("two", 1, 2, always),
];
const method: CallShape = {
  definition: {
    descriptor: null,
    method: "call",
    taskName: "Actor.call",
    numReturns: 1,
    resources: makeRequest([]),
    timeoutMs: 0,
  },
  strategy: { type: "default" },
  retry: noRetries,
};
const actorClass = shape("Actor", 1, 1);

export type UserAction = (world: EngineWorld, context: Context) => void;

export const userActions = {
  submitTask,
  putValue,
  awaitRefs,
  dropSomething,
  callActor,
  createActor,
  killActor,
  cancelSomething,
  keepForLater,
  takeKept,
  requestRoom,
} satisfies Record<string, UserAction>;

export type UserActionName = keyof typeof userActions;
export const userActionNames = Object.keys(userActions) as UserActionName[];

function submitTask(world: EngineWorld, context: Context): void {
  const taskShape = world.oneOf(taskShapes);
  const call = makeCall(world, context);
  const { client } = context.process;
  const task = client.submitTask(taskShape, call);
  noteTask(world, context, task, call);
  for (const name of returnsOf(task)) context.children.add(name);
}

function callActor(world: EngineWorld, context: Context): void {
  if (context.actors.length === 0) return;
  const actor = world.oneOf(context.actors);
  const call = makeCall(world, context);
  const task = context.process.client.submitActorTask(actor, method, call);
  const { model } = world;
  const modelOf = () => {
    const known = model.actors.get(actor.actorId);
    check(known !== undefined, `actor ${actor.actorId} was never made`);
    return known;
  };
  noteTask(world, context, task, { ...call, actorOf: modelOf });
  world.executor.onActorCall(actor, task);
}

function createActor(world: EngineWorld, context: Context): void {
  if (world.model.actors.size >= 3) return;
  const call = makeCall(world, context, world.pick(2));
  const { client, id } = context.process;
  const name = world.pick(2) === 0 ? "shared" : "";
  const className = "Actor";
  const named = {
    className,
    name,
    namespace: "default",
    getIfExists: name !== "",
    detached: false,
  };
  const placementResources = makeRequest([["CPU", toFixedPoint(world.pick(2))]]);
  const { actor, entry } = client.createActor(actorClass, call, {
    registration: named,
    spec: {
      descriptor: { ...descriptor, kind: "class", displayName: className },
      actorName: name,
      namespace: "default",
      detached: false,
      placementResources,
      runningResources: makeRequest([]),
      strategy: { type: "default" },
      maxConcurrency: 1 + world.pick(2),
    },
  });
  context.addActor(actor, entry);
  const given = call.parts.map(givenOf);
  world.model.addActor(actor.actorId, {
    given,
    creator: id,
    isShared: name !== "",
    wasKilled: false,
    wasMade: false,
    worker: null,
  });
}

function killActor(world: EngineWorld, context: Context): void {
  if (context.actors.length === 0 || world.pick(3) > 0) return;
  const actor = world.oneOf(context.actors);
  const { actorId } = actor;
  world.model.onKilled(actorId);
  const event = {
    type: "killActorCall",
    requestId: world.nextNumber(),
    actorId,
    reason: "",
  } as const;
  context.process.client.dispatch(event);
}

function cancelSomething(world: EngineWorld, context: Context): void {
  if (context.refs.length === 0 || world.pick(2) > 0) return;
  const { entry, name } = world.oneOf(context.refs);
  const { model } = world;
  const [force, recursive] = [world.pick(4) === 0, world.pick(3) > 0];
  const [task, noted] = [taskOf(entry), model.taskOfReturn.get(name)];
  if (noted !== undefined) model.cancelled.add(noted);
  const isWaiting = entry.state === "PENDING" && task?.stream === null;
  void context.process.client.cancel(entry, { force, recursive });
  if (task === undefined || (force && task.actor !== null)) return;
  check(entry.state !== "PENDING", `object ${name} was cancelled and goes on`);
  if (isWaiting && noted !== undefined) noted.isOver = true;
}

function putValue(world: EngineWorld, context: Context): void {
  const { value, n, refs } = makeValue(world, context, "value");
  const entry = context.process.client.putObject(value);
  const ref = context.addRef(entry);
  world.model.addValue(ref.name, { n, refs: refs.map(({ name }) => name) });
}

function awaitRefs(world: EngineWorld, context: Context): void {
  const refs = drawRefs(world, context, 3, true);
  if (refs.length === 0) return;
  const failsEarly = world.pick(2) === 0;
  const neededCount = failsEarly ? refs.length : 1 + world.pick(refs.length);
  const deadlineMs = world.pick(4) === 0 ? world.nowMs + world.pick(2) * 300 : Infinity;
  const request = new Await(context, refs, neededCount, { failsEarly, deadlineMs });
  context.awaits.add(request);
  context.process.client.awaitObjects(request);
}

function dropSomething(world: EngineWorld, context: Context): void {
  if (world.pick(3) === 0) context.dropView();
  else if (context.refs.length > 0) context.drop(world.oneOf(context.refs));
}

/** Module state: outlives the task. */
function keepForLater(world: EngineWorld, context: Context): void {
  if (context.refs.length === 0) return;
  const ref = world.oneOf(context.refs);
  context.refs.splice(context.refs.indexOf(ref), 1);
  context.process.globals.push(ref);
}

function takeKept({ pick }: EngineWorld, context: Context): void {
  const { globals } = context.process;
  if (globals.length === 0) return;
  const [ref] = globals.splice(pick(globals.length), 1);
  if (ref !== undefined) context.refs.push(ref);
}

function requestRoom(_world: EngineWorld, context: Context): void {
  if (context.process.extents.length < 4) context.process.requestExtent();
}

/** Ends a task in one of the ways user code may. */
export function finishTask(world: EngineWorld, context: Context, calmly: boolean): void {
  const { process, task } = context;
  check(task !== null, "only a task finishes");
  const { numReturns } = task.definition;
  const outcomes: Outcome[] = [];
  const first = nameOf({ owner: task.owner, serial: task.serial, index: 1 });
  const known = world.model.tasks.get(first);
  const mayRunAgain = known !== undefined && known.retry.retryExceptions !== false;
  const throws = !calmly && world.pick(mayRunAgain ? 2 : 6) === 0;
  if (throws && known !== undefined) known.throwCount += 1;
  for (let index = 1; index <= numReturns; index++) {
    const name = nameOf({ owner: task.owner, serial: task.serial, index });
    const made = makeValue(world, context, throws ? "error" : "value");
    if (made.value instanceof FailedValue) {
      // Of several returns every one carries the one error.
      for (const other of world.model.returnsOf(name)) {
        const names = made.refs.map((ref) => ref.name);
        world.model.addThrown(other, made.value.error.message, names);
      }
      outcomes.push(made.value);
      break;
    }
    world.model.addValue(name, { n: made.n, refs: made.refs.map((ref) => ref.name) });
    outcomes.push(made.value);
  }
  process.finish(context, outcomes, world.pick(2) === 0 ? 0.01 : 20);
  context.dropAll();
}

interface MadeValue {
  readonly value: Outcome;
  readonly n: number;
  readonly refs: readonly Ref[];
}

function makeValue(world: EngineWorld, context: Context, kind: "value" | "error"): MadeValue {
  const refs = drawRefs(world, context, 2, false);
  const n = world.nextNumber();
  const parts = refs.map((ref) => ({ kind: "ref", ref }) as const);
  const specials = context.process.specialsFor(parts);
  notePassedOn(world, context, refs);
  if (kind === "error") {
    return { value: thrownValue(`boom ${n}`, inlineValue(n, specials)), n, refs };
  }
  const extent = world.pick(2) === 0 ? context.process.extents.pop() : undefined;
  if (extent !== undefined) {
    world.memory.write(extent, n);
    world.model.storedNumbers.add(n);
    const { segment, offset, size } = extent;
    return { value: new StoredValue(segment, offset, size, specials), n, refs };
  }
  const value = specials.length === 0 && world.pick(2) === 0 ? n : inlineValue(n, specials);
  return { value, n, refs };
}

function makeCall(world: EngineWorld, context: Context, refsMax = 2) {
  const parts: GivenPart[] = [];
  for (const ref of drawRefs(world, context, refsMax, false)) {
    const topLevel = world.pick(2) === 0 && context.mayAwait(ref.name);
    parts.push({ kind: topLevel ? "value" : "ref", ref });
  }
  if (context.actors.length > 0 && world.pick(3) === 0) {
    parts.push({ kind: "actor", actor: world.oneOf(context.actors) });
  }
  const specials = context.process.specialsFor(parts);
  const { handles } = context.process.client.core;
  const refs = parts.map((part) =>
    part.kind === "actor" ? handles.entryOf(part.actor) : part.ref.entry,
  );
  notePassedOn(
    world,
    context,
    parts.flatMap((part) => (part.kind === "actor" ? [] : [part.ref])),
  );
  const n = world.nextNumber();
  const extent = world.pick(4) === 0 ? context.process.extents.pop() : undefined;
  if (extent !== undefined) world.memory.write(extent, n);
  const args =
    extent === undefined
      ? inlineValue(n, specials)
      : new StoredValue(extent.segment, extent.offset, extent.size, specials);
  return {
    args,
    refs: refs.length === 0 ? null : refs,
    written: null,
    depth: context.depth,
    parent: context.task,
    n,
    parts,
  };
}

function drawRefs(world: EngineWorld, context: Context, most: number, toAwait: boolean): Ref[] {
  const known = toAwait ? context.refs.filter((ref) => context.mayAwait(ref.name)) : context.refs;
  if (known.length === 0) return [];
  const drawn = new Set<Ref>();
  for (let left = toAwait ? 1 + world.pick(most) : world.pick(most + 1); left > 0; left--) {
    drawn.add(world.oneOf(known));
  }
  return [...drawn];
}

function notePassedOn(world: EngineWorld, { process }: Context, refs: readonly Ref[]): void {
  for (const { entry, name } of refs) {
    if (entry.owner !== process.id) world.model.passedOn.add(name);
  }
}

function noteTask(
  world: EngineWorld,
  context: Context,
  task: TaskRecord,
  call: { parts: readonly GivenPart[]; n: number; actorOf?: () => ActorModel },
): void {
  const returns = returnsOf(task);
  world.model.addTask(nameOf(task), {
    n: call.n,
    given: call.parts.map(givenOf),
    returns,
    actorOf: call.actorOf ?? null,
    parent: context.task === null ? null : nameOf({ ...nameOfTask(context.task), index: 1 }),
    isOver: false,
    retry: task.template.retry,
    startedOn: new Map(),
    takenBy: new Set(),
    throwCount: 0,
  });
  for (const entry of [task, ...(task.moreReturns ?? [])]) context.addRef(entry);
}

function nameOfTask({ owner, serial }: IncomingTask): Pick<ObjectName, "owner" | "serial"> {
  return { owner, serial };
}

function returnsOf(task: TaskRecord): string[] {
  return [task, ...(task.moreReturns ?? [])].map((entry) => nameOf(entry));
}
