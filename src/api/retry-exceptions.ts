/**
 * The options `maxRetries` and `retryExceptions`: what the engine needs of them, and the look at an
 * error that a task threw, at the owner of the call.
 *
 * A list of classes matches an instance of one of them, or an error whose class (or one that it
 * extends) has that name where it was thrown. Predicates see the error itself, not the TaskError.
 */
import type { ExceptionMatcher, RetryPolicy } from "#engine/common/task-spec.ts";
import { thrownText } from "#engine/common/thrown.ts";
import type { FailedValue } from "#engine/protocol/outcome.ts";
import type { CoreWorkerClient, Judgement } from "#engine/services/core-worker-client.ts";
import { toError } from "./failure.ts";
import type { Options } from "./option-checks.ts";
import { errorClassNames } from "./serialization/error-envelope.ts";
import { enterTask, leaveTask, TaskContext } from "./task-context.ts";
import type { Values } from "./values.ts";

type ErrorClass = new (...args: never[]) => Error;
type Predicate = (error: unknown) => unknown;
/** As the options have it: by class here, by name where they have travelled to. */
type Given = boolean | Predicate | readonly (ErrorClass | string)[];

const retriesByDefault = 3;

/** Undefined for what `retryExceptions` may be. */
export function whyNotRetryExceptions(value: unknown): string | undefined {
  if (typeof value === "boolean") return undefined;
  if (Array.isArray(value)) {
    return value.every(isErrorClass) ? undefined : "a list of classes that extend Error";
  }
  if (isErrorClass(value)) return "a list: [MyError], not a class alone";
  return typeof value === "function" ? undefined : "a boolean, a predicate or a list of classes";
}

export function retryPolicyOf(options: Options): RetryPolicy {
  const asked = options["maxRetries"] as number | undefined;
  const given = options["retryExceptions"] as Given | undefined;
  return {
    maxRetries: asked === -1 ? Infinity : (asked ?? retriesByDefault),
    retryExceptions: typeof given === "object" && given.length === 0 ? false : (given ?? false),
  };
}

/** Options as they travel inside a remote function: classes by their names. */
export function portableOptions(options: Options): Options {
  const given = options["retryExceptions"];
  if (!Array.isArray(given)) return options;
  const retryExceptions = given.map((cls: ErrorClass | string) =>
    typeof cls === "string" ? cls : cls.name,
  );
  return { ...options, retryExceptions };
}

export function judgeException(
  matcher: ExceptionMatcher,
  failed: FailedValue,
  by: { client: CoreWorkerClient; values: Values },
): Judgement | Promise<Judgement> {
  const { client, values } = by;
  const { cause } = failed;
  try {
    const thrown = cause === null ? toError(failed, values) : values.decodeThrown(cause);
    if (typeof matcher !== "function") {
      return { retries: matchesOne(thrown, matcher as (ErrorClass | string)[]), why: "" };
    }
    return { retries: ask(matcher as Predicate, thrown, client), why: "" };
  } catch (error) {
    const why = ` (not retried, for retryExceptions failed: ${thrownText(error)})`;
    return { retries: false, why };
  }
}

/** In the name of the process that owns the call. */
function ask(predicate: Predicate, thrown: unknown, client: CoreWorkerClient): boolean {
  const context = new TaskContext(client, null, null);
  try {
    const answer = enterTask(context, () => predicate(thrown));
    if (typeof answer === "boolean") return answer;
    throw new TypeError("a predicate must answer true or false at once");
  } finally {
    leaveTask(context);
  }
}

function matchesOne(thrown: unknown, wanted: readonly (ErrorClass | string)[]): boolean {
  const names = typeof thrown === "object" && thrown !== null ? errorClassNames(thrown) : [];
  return wanted.some((cls) =>
    typeof cls === "string"
      ? names.includes(cls)
      : thrown instanceof cls || names.includes(cls.name),
  );
}

function isErrorClass(value: unknown): boolean {
  if (typeof value !== "function") return false;
  return value === Error || (value.prototype as unknown) instanceof Error;
}
