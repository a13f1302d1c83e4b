/** A run on disk: all that it was a function of, beside its program. */
import { writeFile } from "node:fs/promises";
import type { Fault } from "./fault.ts";
import type { SimOptions } from "./options.ts";

/** Rises when an old file would no longer mean the same run. */
export const reproVersion = 1;

export interface Repro {
  readonly version: number;
  readonly seed: number;
  readonly nodes: SimOptions["nodes"];
  readonly faults: readonly Fault[];
  readonly choices: readonly number[];
  readonly choicesOnly: boolean;
  readonly traceHash: string;
}

export async function saveRepro(path: string, repro: Repro): Promise<void> {
  await writeFile(path, `${JSON.stringify(repro, null, 2)}\n`);
}
