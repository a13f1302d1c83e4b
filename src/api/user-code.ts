/**
 * What the executor needs of the api: find the function, decode its arguments, run it in its
 * context.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { taskIdHex } from "#engine/common/ids.ts";
import { engineError } from "#engine/common/error-type.ts";
import { isInstance, thrownText } from "#engine/common/thrown.ts";
import type { IncomingBuffers } from "#engine/core-worker/incoming-buffers.ts";
import type { IncomingActor, IncomingTask } from "#engine/core-worker/incoming-task.ts";
import {
  type Encoded,
  FailedValue,
  type InlineValue,
  type Outcome,
  StoredValue,
} from "#engine/protocol/outcome.ts";
import { ownEncoded, ownOutcome } from "#engine/protocol/own-value.ts";
import type { CoreWorkerClient } from "#engine/services/core-worker-client.ts";
import type { ActorInstance, PreparedCall, UserCode } from "#engine/services/executor.ts";
import { explainTaskError } from "./identity/parked-modules.ts";
import type { RegisteredRemote } from "./identity/remote-registry.ts";
import { enterTask, leaveTask, TaskContext } from "./task-context.ts";
import { encodeSeveral } from "./several-results.ts";
import { portableError } from "./serialization/portable-error.ts";
import { refuseStream } from "./value-stream.ts";
import type { Values } from "./values.ts";

export type ResolveRemote = (
  descriptor: FunctionDescriptor,
) => RegisteredRemote | Promise<RegisteredRemote>;

/** Of an error in a message; of each of its fields, when it is larger. */
const errorBytesMax = 16 << 20;
const fieldBytesMax = 1 << 20;
/** Of what was thrown as text, in characters. */
const textMax = 1 << 16;

type AnyFunction = (...args: unknown[]) => unknown;
type AnyConstructor = new (...args: unknown[]) => object;

/** Arguments of a call as its message brought them. */
interface Given {
  readonly args: Encoded;
  readonly values: readonly Outcome[] | null;
  /** That were transferred with it. */
  readonly buffers?: IncomingBuffers | null;
}

export class ApiUserCode implements UserCode {
  readonly #client: CoreWorkerClient;
  readonly #values: Values;
  readonly #resolve: ResolveRemote;

  constructor(client: CoreWorkerClient, values: Values, resolve: ResolveRemote) {
    this.#client = client;
    this.#values = values;
    this.#resolve = resolve;
  }

  prepareTask(
    task: IncomingTask,
    actor: ActorInstance | null,
  ): PreparedCall | Promise<PreparedCall> {
    const { descriptor, method } = task.definition;
    if (descriptor === null) {
      return this.#prepare(task, actor, methodOf(actor, method), task);
    }
    const remote = this.#resolve(descriptor);
    if (!(remote instanceof Promise)) {
      return this.#prepare(task, null, remote.target as AnyFunction, task);
    }
    const given = own(task);
    return remote.then(({ target }) => this.#prepare(task, null, target as AnyFunction, given));
  }

  async prepareConstructor(actor: IncomingActor): Promise<PreparedCall> {
    const { spec } = actor;
    const { target } = await this.#resolve(spec.descriptor);
    const cls = target as unknown as AnyConstructor;
    const context = new TaskContext(this.#client, null, actor);
    const args = this.#decode(this.#areMapped(spec) ? spec : await this.#whenMapped(spec));
    return {
      run: () => enterTask(context, () => new cls(...args)),
      encode: () => undefined,
      encodeError: (error) => this.encodeError(error, cls.name, spec.actorId),
      finish: () => leaveTask(context),
    };
  }

  defaultConcurrency(instance: object): number {
    return hasAsyncMethod(instance) ? 1000 : 1;
  }

  encodeError(error: unknown, taskName: string, subject: string): FailedValue {
    const text = shortened(thrownText(error));
    const message = `${taskName} failed: ${text}`;
    const cause = this.#encodeThrown(error, text);
    return new FailedValue(engineError("TASK_ERROR", message, subject, taskName), cause);
  }

  // ------------------------------------------------------------ inside

  // oxlint-disable-next-line max-params -- hot: an object around them would be one more each call.
  #prepare(
    task: IncomingTask,
    actor: ActorInstance | null,
    body: AnyFunction,
    given: Given,
  ): PreparedCall | Promise<PreparedCall> {
    if (!this.#areMapped(given)) {
      return this.#whenMapped(given).then((mapped) => this.#prepare(task, actor, body, mapped));
    }
    const context = new TaskContext(this.#client, task, actor?.actor ?? null);
    return new TaskCall({ userCode: this, context, task, actor, body, args: this.#decode(given) });
  }

  /** Of what the body has thrown. */
  encodeTaskError(error: unknown, task: IncomingTask): FailedValue {
    const { descriptor, taskName } = task.definition;
    const moduleUrl = descriptor?.moduleUrl ?? "";
    addHint(error, moduleUrl);
    return this.encodeError(error, taskName, taskIdHex(task.owner, task.serial));
  }

  encodeResult(
    result: unknown,
    { definition: { numReturns, taskName } }: IncomingTask,
    mayChange: boolean,
  ): Outcome | readonly Outcome[] | Promise<Outcome | readonly Outcome[]> {
    refuseStream(result, taskName);
    if (numReturns === 1) return this.#values.encodeResult(result, mayChange);
    if (!Array.isArray(result) || result.length !== numReturns) {
      const got = Array.isArray(result) ? `${result.length} values` : "no list";
      throw new TypeError(`numReturns is ${numReturns}, but ${taskName} returned ${got}`);
    }
    return encodeSeveral(this.#values, result, mayChange);
  }

  #decode({ args, values, buffers }: Given): unknown[] {
    const { specials } = args;
    const moved = this.#movedBuffers(buffers ?? null);
    if (specials.length === 0) return this.#values.decodeArguments(args, specials, moved);
    const revived = specials.map((special, i) => {
      if (special.type !== "ref" || !special.topLevel) return this.#values.revive(special);
      const outcome = values?.[i];
      if (!(outcome instanceof StoredValue)) return this.#values.decode(outcome, null);
      const { owner, serial, index } = special;
      const entry = this.#client.core.references.adopt(owner, serial, index);
      return this.#values.decode(outcome, entry);
    });
    return this.#values.decodeArguments(args, revived, moved);
  }

  /** The memory that was moved here, or copies that are the task's alone. */
  #movedBuffers(buffers: IncomingBuffers | null): readonly ArrayBuffer[] | undefined {
    if (buffers === null) return undefined;
    const { moved, copy } = buffers;
    // What the task lets go of is garbage while it runs.
    buffers.moved = null;
    return moved ?? (this.#values.decode(copy, null) as readonly ArrayBuffer[]);
  }

  /** Every stored byte is mapped in this thread: as a rule at once. */
  #areMapped({ args, values, buffers }: Given): boolean {
    if (!this.#values.isMapped(args) || !this.#values.isMapped(buffers?.copy)) return false;
    return values === null || values.every((value) => this.#values.isMapped(value));
  }

  async #whenMapped(given: Given): Promise<Given> {
    const owned = own(given);
    const missing = [owned.args, ...(owned.values ?? []), given.buffers?.copy].filter(
      (outcome): outcome is StoredValue => !this.#values.isMapped(outcome),
    );
    await Promise.all(missing.map((value) => this.#values.whenMapped(value)));
    return owned;
  }

  /**
   * What cannot travel, or is too large for a message, leaves its class, message and stack, and
   * text where its fields were; in the worst case its text alone.
   */
  #encodeThrown(thrown: unknown, text: string): InlineValue {
    const values = this.#values;
    try {
      return values.encodeInline(thrown, errorBytesMax);
    } catch (notEncodable) {
      const error = isInstance(thrown, Error) ? thrown : new Error(text, { cause: notEncodable });
      const whyNot = (value: unknown): string | undefined =>
        values.whyNotEncodable(value, fieldBytesMax);
      try {
        return values.encodeInline(portableError(error, whyNot), errorBytesMax);
      } catch {
        return values.encodeInline(new Error(text), errorBytesMax);
      }
    }
  }
}

/** A task, or a call of an actor, with its arguments. */
class TaskCall implements PreparedCall {
  readonly #userCode: ApiUserCode;
  readonly #context: TaskContext;
  readonly #task: IncomingTask;
  readonly #actor: ActorInstance | null;
  readonly #body: AnyFunction;
  readonly #args: readonly unknown[];

  constructor(parts: {
    userCode: ApiUserCode;
    context: TaskContext;
    task: IncomingTask;
    actor: ActorInstance | null;
    body: AnyFunction;
    args: readonly unknown[];
  }) {
    this.#userCode = parts.userCode;
    this.#context = parts.context;
    this.#task = parts.task;
    this.#actor = parts.actor;
    this.#body = parts.body;
    this.#args = parts.args;
  }

  run(): unknown {
    return enterTask(this.#context, () =>
      Reflect.apply(this.#body, this.#actor?.instance, this.#args),
    );
  }

  encode(result: unknown): ReturnType<PreparedCall["encode"]> {
    // What an actor returns may be its state, which other calls and timers go on with.
    return this.#userCode.encodeResult(result, this.#task, this.#actor !== null);
  }

  encodeError(error: unknown): FailedValue {
    return this.#userCode.encodeTaskError(error, this.#task);
  }

  finish(): void {
    leaveTask(this.#context);
  }
}

function shortened(text: string): string {
  if (text.length <= textMax) return text;
  return `${text.slice(0, textMax)}… (${text.length - textMax} more characters)`;
}

function addHint(error: unknown, moduleUrl: string): void {
  const hint = explainTaskError(error, moduleUrl);
  if (hint === undefined || !isInstance(error, Error)) return;
  // A frozen error goes without.
  Reflect.set(error, "message", `${error.message} (${hint})`);
}

/** The message's bytes are only lent. */
function own({ args, values, buffers }: Given): Given {
  const owned = { args: ownEncoded(args), values: values?.map(ownOutcome) ?? null };
  return { ...owned, buffers: buffers ?? null };
}

function methodOf(actor: ActorInstance | null, method: string): AnyFunction {
  if (actor === null) throw new TypeError(`${method}: this worker hosts no actor`);
  const { instance } = actor;
  const found = (instance as Record<string, unknown>)[method];
  if (typeof found === "function" && method !== "constructor") return found as AnyFunction;
  const className = instance.constructor.name || actor.actor.spec.descriptor.displayName;
  throw new TypeError(`${className} has no method ${JSON.stringify(method)}`);
}

function hasAsyncMethod(instance: object): boolean {
  for (let level = instance; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    if (level === null) return false;
    for (const property of Object.values(Object.getOwnPropertyDescriptors(level))) {
      const { value } = property as { value?: unknown };
      if (typeof value !== "function") continue;
      const kind = value.constructor.name;
      if (kind === "AsyncFunction" || kind === "AsyncGeneratorFunction") return true;
    }
  }
  return false;
}
