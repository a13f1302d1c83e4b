/**
 * What stays the same over all calls of one remote function with one set of options. A call refers
 * to its template, so that a hundred thousand pending calls hold one copy of it.
 */
import type { FunctionDescriptor } from "./function-descriptor.ts";
import type { ResourceRequest } from "./resources.ts";
import { requestKey } from "./resources.ts";
import type { NodeId } from "./ids.ts";

export type SchedulingStrategy =
  | { readonly type: "default" }
  | { readonly type: "spread" }
  | { readonly type: "nodeAffinity"; readonly nodeId: NodeId; readonly soft: boolean }
  | {
      readonly type: "nodeLabels";
      readonly hard: ReadonlyMap<string, string>;
      readonly soft: ReadonlyMap<string, string>;
    };

/** What an executor must know to run a call; sent once per peer and then named by its number. */
export interface FunctionDefinition {
  /** null for a method of an actor, which `taskName` and `method` describe. */
  readonly descriptor: FunctionDescriptor | null;
  readonly method: string;
  readonly taskName: string;
  readonly numReturns: number;
  readonly resources: ResourceRequest;
  /** Longest time one execution may run, in ms; 0 for any. */
  readonly timeoutMs: number;
}

/** How often a call may run again; its owner decides. */
export interface RetryPolicy {
  /** After failures of the system and, if they count, exceptions; Infinity: for ever. */
  readonly maxRetries: number;
  /** Whether what user code throws counts: all of it, or what the api finds to match. */
  readonly retryExceptions: boolean | ExceptionMatcher;
}

/** The api's: a predicate of the user, or classes. */
export type ExceptionMatcher = object;

export const noRetries: RetryPolicy = { maxRetries: 0, retryExceptions: false };

export interface TaskTemplate {
  readonly definition: FunctionDefinition;
  /** Names the definition between this process and its peers. */
  readonly functionNumber: number;
  readonly schedulingKey: string;
  readonly strategy: SchedulingStrategy;
  readonly retry: RetryPolicy;
}

export function strategyKey(strategy: SchedulingStrategy): string {
  switch (strategy.type) {
    case "default":
      return "";
    case "spread":
      return "spread";
    case "nodeAffinity":
      return `node=${strategy.nodeId}${strategy.soft ? "?" : "!"}`;
    case "nodeLabels":
      return `labels=${[...strategy.hard].join("&")}|${[...strategy.soft].join("&")}`;
  }
}

export function definitionKey(definition: FunctionDefinition): string {
  const { descriptor, method, taskName, numReturns, resources, timeoutMs } = definition;
  const target =
    descriptor === null
      ? `.${method}`
      : `${descriptor.moduleUrl}#${descriptor.name || descriptor.ordinal}`;
  return `${target}|${taskName}|${numReturns}|${requestKey(resources)}|${timeoutMs}`;
}
