/**
 * Names of live actors: in a namespace a name belongs to one of them, from registration until
 * death.
 */
import { assert } from "#engine/common/assert.ts";
import type { ActorRow } from "./actor-row.ts";

export class ActorNames {
  /** Namespace → name → row; an inner map is never empty. */
  readonly #byNamespace = new Map<string, Map<string, ActorRow>>();

  get size(): number {
    let count = 0;
    for (const names of this.#byNamespace.values()) count += names.size;
    return count;
  }

  find(namespace: string, name: string): ActorRow | undefined {
    return this.#byNamespace.get(namespace)?.get(name);
  }

  reserve(row: ActorRow): void {
    const { namespace, name } = row.registration;
    if (name === "") return;
    let names = this.#byNamespace.get(namespace);
    if (names === undefined) {
      names = new Map();
      this.#byNamespace.set(namespace, names);
    }
    assert(!names.has(name), "a name reserved twice");
    names.set(name, row);
  }

  release(row: ActorRow): void {
    const { namespace, name } = row.registration;
    if (name === "") return;
    const names = this.#byNamespace.get(namespace);
    assert(names?.get(name) === row, "release of another's name");
    names.delete(name);
    if (names.size === 0) this.#byNamespace.delete(namespace);
  }

  checkInvariants(): void {
    for (const names of this.#byNamespace.values()) {
      assert(names.size > 0, "an empty namespace");
      for (const row of names.values()) assert(row.state !== "DEAD", "a dead actor has a name");
    }
  }
}
