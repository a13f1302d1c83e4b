/** What an oracle saw, as an error: of the kind of every broken invariant. */
import { AssertionError } from "#engine/common/assert.ts";
import type { Violated } from "./oracle.ts";

export class ViolationError extends AssertionError {
  readonly oracle: string;
  /** Id of what it happened to. */
  readonly entity: string;

  constructor(oracle: string, { entity, message }: Violated) {
    super(`mobula: oracle ${oracle}, of ${entity}: ${message}`);
    this.oracle = oracle;
    this.entity = entity;
  }
}
