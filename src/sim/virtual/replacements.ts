/** Properties that are replaced for the time of a run, and put back as they were. */
export class Replacements {
  readonly #undo: (() => void)[] = [];

  value(target: object, name: string, value: unknown): void {
    this.#define(target, name, { value, writable: true, configurable: true });
  }

  getter(target: object, name: string, get: (this: never) => unknown): void {
    this.#define(target, name, { get, configurable: true });
  }

  accessor(target: object, name: string, { get, set }: Accessor): void {
    this.#define(target, name, { get, set, configurable: true });
  }

  putBack(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }

  #define(target: object, name: string, descriptor: PropertyDescriptor): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    // What is spread comes last, or V8 makes a hidden class anew each time.
    Object.defineProperty(target, name, { enumerable: before?.enumerable ?? false, ...descriptor });
    this.#undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    });
  }
}

interface Accessor {
  get(this: never): unknown;
  set(this: never, value: unknown): void;
}
