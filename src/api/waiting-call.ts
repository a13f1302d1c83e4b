/**
 * A call that waits for objects, and tells its outcome once to the one who made it: when they are
 * there, its time is up, its signal says so, or its task or runtime ends.
 */
import type { IncomingTask } from "#engine/core-worker/incoming-task.ts";
import { PendingCall } from "#engine/services/core-worker-client.ts";
import { whenAborted } from "./abort-listeners.ts";
import { MobulaError } from "./errors.ts";
import { toClass } from "./failure.ts";
import type { Caller } from "./runtime.ts";
import { cancelledError, type TaskContext } from "./task-context.ts";
import { startWaiting, stopWaiting } from "./waiting-tasks.ts";

const nothing = (): void => {};

const done = Promise.resolve();

/**
 * Rejects when whoever adopts this promise has done so: V8 looks for the functions that await along
 * the promises of the reaction that runs, so only then the stack of an error can name them.
 */
function rejectedSoon(error: unknown): Promise<never> {
  return done
    .then(nothing)
    .then(nothing)
    .then(function rejected(): never {
      if (error instanceof MobulaError) Error.captureStackTrace(error, rejected);
      throw error;
    });
}

/** A request that tells its outcome once, to the one who made it. */
export abstract class WaitingCall extends PendingCall {
  resolve: (value: never) => void = nothing;
  reject: (error: unknown) => void = nothing;
  #caller: Caller | null = null;
  #isWaiting = false;
  #stopListening: () => void = nothing;

  /** The task that waits; null for the driver, and once it is settled. */
  get context(): TaskContext | null {
    return this.#caller?.context ?? null;
  }

  override get task(): IncomingTask | null {
    return this.#caller?.context?.task ?? null;
  }

  abstract onReady(caller: Caller): void;
  abstract onTimedOut(caller: Caller): void;

  start(caller: Caller, signal: AbortSignal | undefined): void {
    if (signal?.aborted) {
      this.reject(signal.reason);
      return;
    }
    this.#caller = caller;
    this.waiter = caller.context?.task ?? null;
    this.isAbortable = signal !== undefined;
    caller.client.awaitObjects(this);
    if (this.settled) return;
    if (caller.context !== null) startWaiting(caller.context);
    this.#isWaiting = true;
    if (signal === undefined) return;
    this.#stopListening = whenAborted(signal, () => {
      caller.client.dispatch({ type: "abandonAwait", request: this });
      this.#end();
      const { reject } = this;
      this.#letGo();
      reject(signal.reason);
    });
  }

  override onSettled(): void {
    const caller = this.#end();
    if (caller === null) return;
    try {
      if (this.failure !== null) throw toClass(this.failure);
      if (this.timedOut) this.onTimedOut(caller);
      else this.onReady(caller);
    } catch (error) {
      this.#fail(error);
    }
  }

  override onClosed(error: Error): void {
    this.#end();
    this.#fail(error);
  }

  override onTaskCancelled(): void {
    const context = this.#end()?.context ?? null;
    if (context !== null) this.#fail(cancelledError(context));
  }

  protected tell(outcome: unknown): void {
    const { resolve } = this;
    this.#letGo();
    resolve(outcome as never);
  }

  /** With a stack that leads to whoever awaits the call, instead of through the engine. */
  #fail(error: unknown): void {
    this.tell(rejectedSoon(error));
  }

  /**
   * Whoever keeps a call that was settled, until its time is up or the rest of its objects are
   * there, must not keep the views and refs that it gave.
   */
  #letGo(): void {
    this.resolve = nothing;
    this.reject = nothing;
  }

  #end(): Caller | null {
    const caller = this.#caller;
    this.#caller = null;
    this.#stopListening();
    if (this.#isWaiting && caller?.context) stopWaiting(caller.context);
    return caller;
  }
}
