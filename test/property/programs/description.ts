/**
 * A program as a JSON value: what the driver, its tasks and its actors do, step by step. Operands
 * (`of`, `direct`, `nested`, `returns`) are positions among the slots of a body, taken modulo their
 * number, so that every list of numbers is a program and shrinks to another.
 *
 * A slot is a ref, or in a task a value that came as a direct argument. Every value is
 * `{ n, refs, pad }`; its number n is all that is computed with.
 */
export interface Body {
  readonly steps: readonly Step[];
  readonly result: Result;
}

export type Step =
  /** Stores a number with refs inside, and so many bytes. */
  | {
      readonly op: "put";
      readonly n: number;
      readonly nested: readonly number[];
      readonly bytes: number;
    }
  | {
      readonly op: "task";
      readonly body: Body;
      /** Refs whose values the task gets, and refs that it gets as refs. */
      readonly direct: readonly number[];
      readonly nested: readonly number[];
      readonly cpus: 0 | 0.5 | 1 | 2;
      readonly returns: 1 | 2;
      readonly maxRetries: 0 | 1 | 3;
      /** `matching` and `class` match what bodies throw themselves, `other` does not. */
      readonly retryExceptions: boolean | "matching" | "class" | "other";
      /** To whichever node is next, though there be room here. */
      readonly spread?: boolean;
    }
  /**
   * As many short tasks of one kind, with the numbers n, n + 1 … of their own. The last one waits
   * for `awaited`: what is pushed behind it must not wait with it.
   */
  | {
      readonly op: "burst";
      readonly n: number;
      readonly count: number;
      readonly ms: number;
      readonly direct: readonly number[];
      readonly awaited: readonly number[];
    }
  /** A call of one of the driver's actors; `keep`: it holds on to what is nested. */
  | {
      readonly op: "call";
      readonly actor: number;
      readonly direct: readonly number[];
      readonly nested: readonly number[];
      readonly keep: boolean;
      readonly ms: number;
      /** An actor whose handle is given, too: it is kept, and called by a recall. */
      readonly friend?: number | null;
    }
  /**
   * A call that looks into what an earlier call of this body left with the actor, and has the
   * friends that it finds there called by tasks that pause so long before.
   */
  | {
      readonly op: "recall";
      readonly actor: number;
      readonly call: number;
      readonly pauseMs?: number;
    }
  /**
   * A task that asks for an actor by the name of one of the driver's, with getIfExists, and calls
   * it through the handle that another task has sent on before it was told whose it is.
   */
  | { readonly op: "join"; readonly actor: number }
  /** Without a time-out a failure ends the body. With one its outcome does not matter. */
  | { readonly op: "get"; readonly of: readonly number[]; readonly timeoutMs: number | null }
  | {
      readonly op: "wait";
      readonly of: readonly number[];
      readonly count: number;
      readonly timeoutMs: number | null;
      /** Only until there are values somewhere. */
      readonly staysAway?: boolean;
    }
  /** Of the call that makes it, if that has not ended by then. */
  | {
      readonly op: "cancel";
      readonly of: number;
      readonly afterMs: number;
      readonly force: boolean;
      readonly recursive: boolean;
    }
  | { readonly op: "drop"; readonly of: number }
  | { readonly op: "sleep"; readonly ms: number };

export type Result =
  | { readonly type: "throw"; readonly text: string }
  | {
      readonly type: "value";
      readonly n: number;
      /** Refs that the result names. */
      readonly returns: readonly number[];
      readonly bytes: number;
      /** Attempts of the task before this one fail. */
      readonly firstGood: number;
    };

export interface Program {
  readonly actorCount: number;
  /** They have names, so that a join finds them. */
  readonly namesActors?: boolean;
  /** The actors end before the program does, not with it. */
  readonly killsActors: boolean;
  /** The driver gives up its handles behind its last step, and every body those that it got. */
  readonly dropsActors?: boolean;
  /**
   * Before the driver looks at what its refs came to it waits until they have values, wherever
   * those lie, and so long again. Null: it looks at once.
   */
  readonly restMs?: number | null;
  /** The driver never lets go of its refs: what is there in the end must be as owners know it. */
  readonly keepsRefs?: boolean;
  readonly body: Body;
}

/**
 * What a ref comes to in the end, with all that it names: a value, an error (any of `errors`: with
 * several failed arguments the first one counts), or what the engine says it lost.
 */
export type Outcome =
  | {
      readonly n: number;
      readonly refs: readonly Outcome[];
      readonly bytes: number;
      readonly mayBeCancelled?: true;
    }
  | { readonly errors: readonly string[]; readonly mayBeCancelled?: true }
  | { readonly system: string };

/** Whether a thread may be ended for one of its tasks, and cost others: as a fault would. */
export function cancelsByForce({ steps }: Body): boolean {
  return steps.some((step) => {
    return (
      (step.op === "cancel" && step.force) || (step.op === "task" && cancelsByForce(step.body))
    );
  });
}

/** Thrown by a recall of a call that never ran, for want of an argument. */
export const notKept = "not kept";

/** What an actor answers when another, which has kept its handle, has it called. */
export const pingNumber = 3;

/** Thrown by an attempt before the first good one. */
export const tooEarly = "too early";

/** The same everywhere but for what faults took. */
export function agrees(expected: Outcome, got: Outcome, faultsAllowed: boolean): boolean {
  // A fault costs an attempt, and so another retry or one error less.
  if (faultsAllowed && [expected, got].some(isTooEarly)) return true;
  if ("system" in expected) return false;
  const mayBeCancelled = expected.mayBeCancelled === true;
  if ("system" in got) {
    return faultsAllowed || (mayBeCancelled && got.system === "TaskCancelledError");
  }
  const mayBeLost = faultsAllowed || mayBeCancelled;
  if (mayBeLost && "errors" in got && got.errors.includes(notKept)) return true;
  if ("errors" in got) {
    return "errors" in expected && got.errors.every((text) => expected.errors.includes(text));
  }
  if ("errors" in expected) return false;
  if (expected.n !== got.n || expected.bytes !== got.bytes) return false;
  if (expected.refs.length !== got.refs.length) return false;
  return expected.refs.every((inner, i) => agrees(inner, got.refs[i] as Outcome, faultsAllowed));
}

function isTooEarly(outcome: Outcome): boolean {
  return "errors" in outcome && outcome.errors.includes(tooEarly);
}
