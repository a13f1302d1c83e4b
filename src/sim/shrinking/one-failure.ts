/**
 * An arbitrary whose values know which failure their case is about: while it shrinks, a run that
 * fails in another way is no counterexample, and fast-check passes over it.
 */
import * as fc from "fast-check";
import { type FirstFailure, firstFailureOfList, keepFirstFailure } from "./first-failure.ts";

/** A drawn value, and all that it shrinks to, have one. */
class OneFailure implements FirstFailure {
  #found: string | null = null;

  see(signatures: readonly string[]): void {
    const [first] = signatures;
    if (first === undefined) return;
    this.#found ??= first;
    if (!signatures.includes(this.#found)) throw new fc.PreconditionFailure();
  }
}

/** What the arbitrary inside knows of a value. */
interface Context {
  readonly first: FirstFailure;
  readonly inner: unknown;
}

export class AboutOneFailure<T extends object> extends fc.Arbitrary<T> {
  readonly #inner: fc.Arbitrary<T>;

  constructor(inner: fc.Arbitrary<T>) {
    super();
    this.#inner = inner;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    return withFirst(this.#inner.generate(random, biasFactor), new OneFailure());
  }

  override canShrinkWithoutContext(value: unknown): value is T {
    return this.#inner.canShrinkWithoutContext(value);
  }

  /** A value that was given by hand has no context. */
  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    const known = context as Context | undefined;
    const first = known?.first ?? firstFailureOfList(value) ?? new OneFailure();
    return this.#inner.shrink(value, known?.inner).map((smaller) => withFirst(smaller, first));
  }
}

function withFirst<T extends object>(made: fc.Value<T>, first: FirstFailure): fc.Value<T> {
  const { value } = made;
  keepFirstFailure(value, first);
  const context: Context = { first, inner: made.context };
  return new fc.Value(value, context);
}
