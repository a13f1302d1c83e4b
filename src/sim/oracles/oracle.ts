/** What must hold in every run, whatever the program: told of violations, never asserts itself. */
import type { Violation } from "#sim/options.ts";
import type { Cluster } from "#sim/cluster.ts";

export interface Oracle {
  /** `<number> <name>` as in docs/internals/simulation.md. */
  readonly name: string;
  /** When nothing is left to happen, after healing. */
  atQuiet(cluster: Cluster, report: (violation: Omit<Violation, "atMs" | "oracle">) => void): void;
}
