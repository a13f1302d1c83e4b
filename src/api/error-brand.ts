/**
 * How the classes of errors.ts are told: by a brand on every prototype, and by name where they
 * travel. The brand is global, so two copies of the package know each other's errors.
 */

/** On every prototype: the names of the class and its ancestors, nearest first. */
export const brand: unique symbol = Symbol.for("mobula.error") as never;

interface Branded {
  readonly [brand]: readonly string[];
}

type BrandedClass = abstract new (...args: never[]) => Error & Branded;

const classesByName = new Map<string, BrandedClass>();

/** The class of this copy of the package, by the name an error travels under. */
export function mobulaErrorClass(name: string): BrandedClass | undefined {
  return classesByName.get(name);
}

/** The name that a prototype declares; undefined for one that is not of this package. */
export function mobulaErrorName(prototype: object): string | undefined {
  return Object.hasOwn(prototype, brand) ? (prototype as Branded)[brand][0] : undefined;
}

/** Names a class on its prototype: `name` of an error is then no field of its own. */
export function declareClass(cls: BrandedClass, name: string, code: string): void {
  const inherited: readonly string[] = cls.prototype[brand] ?? [];
  const constant = (value: unknown): PropertyDescriptor => ({
    value,
    writable: true,
    configurable: true,
  });
  Object.defineProperties(cls.prototype, {
    name: constant(name),
    _tag: constant(name),
    code: constant(code),
    [brand]: constant([name, ...inherited]),
  });
  classesByName.set(name, cls);
}
