/** Runs a program in a simulated world and says what was wrong, with the differential oracle. */
import type { SimOptions, SimReport } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";
import type { Failure } from "#sim/fast-check.ts";
import { agrees, cancelsByForce, type Outcome, type Program } from "./description.ts";
import { execute } from "./execute.ts";
import { interpret } from "./interpreter.ts";

export interface Verdict {
  readonly report: SimReport<Outcome[]>;
  readonly failures: readonly Failure[];
}

export async function judge(options: SimOptions, program: Program): Promise<Verdict> {
  const report = await simulate(options, () => execute(program));
  const failures: Failure[] = [...report.violations];
  if (report.reached.includes("deadlockFound")) {
    const message = "nothing that these programs do waits for itself, whatever a fault takes";
    failures.push({ oracle: "20 deadlocks", entity: "driver", message });
  }
  if (report.error !== undefined) {
    failures.push({ oracle: "program", entity: "driver", message: String(report.error) });
  }
  if (report.result !== undefined) {
    const allows = report.faultsFired > 0 || cancelsByForce(program.body);
    const wrong = whyDifferent(interpret(program), report.result, allows);
    if (wrong !== "") {
      failures.push({ oracle: "18 differential", entity: "driver", message: wrong });
    }
  }
  return { report, failures };
}

/** "" when they agree. */
export function whyDifferent(
  expected: readonly Outcome[],
  got: readonly Outcome[],
  faultsAllowed: boolean,
): string {
  if (expected.length !== got.length) return `${got.length} refs, ${expected.length} expected`;
  const at = expected.findIndex((one, i) => !agrees(one, got[i] as Outcome, faultsAllowed));
  if (at === -1) return "";
  return `ref ${at}: ${JSON.stringify(got[at])}, expected ${JSON.stringify(expected[at])}`;
}
