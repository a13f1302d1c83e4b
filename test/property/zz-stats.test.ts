import fc from "fast-check";
import { test } from "vitest";
import { Host } from "#engine/services/host.ts";
import { checkAtRest, checkEmpty, dropEverything } from "./engine-oracles.ts";
import { EngineWorld } from "./engine-world.ts";
import { userActionNames } from "./engine-program.ts";
import { Links } from "./engine-links.ts";
test("stats", () => {
  const count = new Map<string, number>();
  const bump = (k: string, n = 1) => count.set(k, (count.get(k) ?? 0) + n);
  const d = Host.prototype.dispatch;
  Host.prototype.dispatch = function (a: any, e: any) { bump(e.type); if (e.type === "taskReply" && e.keptRefs) bump("reply+kept"); if (e.type==="taskReply" && e.outcome?.error) bump("reply+error"); if (e.type==="taskReply" && e.outcome?.specials?.length) bump("reply+refs");
   if (e.type==="pushTask" && e.values?.some((v:any)=>v?.specials?.length)) bump("push+innerrefs"); if (e.type==="objectState") bump("objectState:"+(e.outcome?.error?.type ?? "value")); if (e.type==="pushTask" && e.from===a) bump("push loopback"); if (e.type==="removeRefs") bump("refs removed", e.entries.length);
   return d.call(this, a, e); };
  const t = Links.prototype.transportOf;
  Links.prototype.transportOf = function (s: any) { const x = t.call(this, s); return { ...x, retract: (to: any, p: any) => { const r = x.retract(to, p); bump("retract " + r); return r; } }; };
  const sampled = fc.sample(fc.record({
    cpus: fc.integer({ min: 1, max: 3 }),
    config: fc.record({ pipelineDepthMax: fc.constantFrom(1, 2, 1024), pendingLeaseRequestsMax: fc.constantFrom(1, 10), leaseTurnMs: fc.constantFrom(0, 500), taskWorkersMax: fc.constantFrom(1, 2, 64) }),
    actions: fc.subarray(userActionNames).map((n) => [...n, "submitTask", "putValue", "awaitRefs"] as const), congestedAt: fc.constantFrom(1, 3, 1000), crashes: fc.boolean(),
    draws: fc.array(fc.nat({ max: 0xffff }), { minLength: 50, maxLength: 900, size: "max" }),
  }), { numRuns: 300, seed: 5 });
  let events = 0, escaped = 0, kept = 0;
  for (const o of sampled) {
    const w = new EngineWorld(o); w.runChaos(); bump("chaos events", w.eventCount); w.runToQuiet(); checkAtRest(w); dropEverything(w); w.runToQuiet(); checkEmpty(w, o.cpus);
    events += w.eventCount; bump("draws", o.draws.length); bump("dead", w.model.dead.size); bump("tasks", w.model.tasks.size); bump("started", [...w.model.tasks.values()].filter(x => x.startedOn).length); bump("thrown", w.model.thrown.size);
    let esc = 0; for (const p of w.processes.values()) { const n = [...p.client.core.references.registered()].length; if (n) esc = 1; bump("left entries", n); bump("processes"); } if (w.model.kept.size) kept++; escaped += esc;
  }
  console.log(JSON.stringify({ events, runsWithLeft: escaped, runsWithCtorArgs: kept, ...Object.fromEntries([...count].sort()) }, null, 1));
}, 600000);
