import { test } from "vitest";
import * as fc from "fast-check";
import { judge } from "./property/programs/judge.ts";
import { cases } from "./property/programs/cases.ts";
test("x", async () => {
  const nodes = Number(process.env.NODES ?? 3), from = Number(process.env.FROM ?? 0), n = Number(process.env.N ?? 200);
  let bad = 0; const tally: Record<string, number> = {};
  for (let i = from; i < from + n; i++) {
    const [one] = fc.sample(cases(nodes), { seed: i, numRuns: 1 });
    const { report, failures } = await judge(one!.options, one!.program);
    for (const r of report.reached) tally[r] = (tally[r] ?? 0) + 1;
    if (failures.length > 0) {
      bad++;
      console.log(i, JSON.stringify(failures.slice(0, 3)), JSON.stringify(one!.options));
      if (process.env.TRACE) { console.log(JSON.stringify(one!.program)); console.log(report.trace().split("\n").filter((l) => new RegExp(process.env.TRACE!, "i").test(l)).join("\n")); }
      if (bad > 5) break;
    }
  }
  console.log("bad", bad, JSON.stringify(tally));
}, 600_000);
