/**
 * What a remote function or class is called on the wire: enough to find it again in any thread that
 * imports the same module, and to notice when what was found there is something else.
 */
export interface FunctionDescriptor {
  /** URL of the module that called `remote()`, without query; "" when no worker can import it. */
  readonly moduleUrl: string;
  /** Position among the `remote()` calls of the module that have the same `name`, from 0. */
  readonly ordinal: number;
  /** The name given to `remote()` on purpose, or "". Never `fn.name`, which bundlers change. */
  readonly name: string;
  readonly kind: "function" | "class";
  readonly parameterCount: number;
  /** Hash of the source text as its realm loaded it; 0 when it cannot be compared with another. */
  readonly sourceHash: number;
  /** For messages only: `square (hello.ts:5)`. */
  readonly displayName: string;
}
