/**
 * Which failure a case of a property is about: the first that a check of it has seen. Kept beside
 * the values that its runs are made of, so that `check()` of a smaller case knows of it.
 */
import type { SimOptions } from "#sim/options.ts";

export interface FirstFailure {
  /** Signatures of what a run has shown. Throws where others have failed and this has not. */
  see(signatures: readonly string[]): void;
}

/** By the list of faults or of choices: who adds to the options leaves those as they are. */
const byList = new WeakMap<object, FirstFailure>();

export function keepFirstFailure(list: object, first: FirstFailure): void {
  byList.set(list, first);
}

export function firstFailureOfList(list: object): FirstFailure | undefined {
  return byList.get(list);
}

/** Undefined for options that no arbitrary has made. */
export function firstFailureOf({ faults, choices }: SimOptions): FirstFailure | undefined {
  const lists = [faults, choices].filter((list) => list !== undefined);
  return lists.map((list) => byList.get(list)).find((first) => first !== undefined);
}
