/**
 * What all calls of one shape share, made once: functions are numbered, and the key says which
 * calls may run on the same leased worker.
 */
import type {
  FunctionDefinition,
  RetryPolicy,
  SchedulingStrategy,
  TaskTemplate,
} from "#engine/common/task-spec.ts";
import { definitionKey, strategyKey } from "#engine/common/task-spec.ts";

/** What the options of one remote function come to; one object per set of options. */
export interface CallShape {
  readonly definition: FunctionDefinition;
  readonly strategy: SchedulingStrategy;
  readonly retry: RetryPolicy;
}

export class TaskTemplates {
  readonly #byShape = new WeakMap<CallShape, TaskTemplate>();
  readonly #functionNumbers = new Map<string, number>();

  of(shape: CallShape): TaskTemplate {
    const known = this.#byShape.get(shape);
    if (known !== undefined) return known;
    const { definition, strategy, retry } = shape;
    const key = definitionKey(definition);
    const functionNumber = this.#numberOf(key);
    const schedulingKey = `${key}|${strategyKey(strategy)}`;
    const template = { definition, functionNumber, schedulingKey, strategy, retry };
    this.#byShape.set(shape, template);
    return template;
  }

  #numberOf(key: string): number {
    const known = this.#functionNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.#functionNumbers.size + 1;
    this.#functionNumbers.set(key, number);
    return number;
  }
}
