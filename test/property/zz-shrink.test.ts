import { test } from "vitest";
import { readFileSync, writeFileSync } from "node:fs";
import { checkAtRest, checkEmpty, dropEverything } from "./engine-oracles.ts";
import { EngineWorld } from "./engine-world.ts";
function attempt(options: any): string {
  try {
    const engine = new EngineWorld(options);
    engine.runChaos();
    engine.runToQuiet();
    checkAtRest(engine);
    dropEverything(engine);
    engine.runToQuiet();
    checkEmpty(engine, options.cpus);
    return "";
  } catch (error) {
    return String((error as Error).message).replace(/[0-9a-f]{6,}/g, "#").replace(/\d+/g, "0");
  }
}
test("shrink", () => {
  const options = JSON.parse(readFileSync(process.env.CASE ?? "/tmp/dbg/case0.json", "utf8"));
  const wanted = attempt(options);
  console.log("wanted:", wanted);
  let draws: number[] = options.draws;
  const ok = (d: number[]) => attempt({ ...options, draws: d }) === wanted;
  const until = Date.now() + 1000 * Number(process.env.SECONDS_MAX ?? 60);
  for (let round = 0; round < 6 && Date.now() < until; round++) {
    const before = JSON.stringify(draws);
    for (let size = Math.max(1, draws.length >> 1); size >= 1; size = size >> 1) {
      for (let at = 0; at < draws.length && Date.now() < until; ) {
        const less = [...draws.slice(0, at), ...draws.slice(at + size)];
        if (ok(less)) draws = less; else at += size;
      }
    }
    for (let i = 0; i < draws.length && Date.now() < until; i++) {
      for (const v of [0, 1, 2, 3, draws[i]! % 2520]) {
        if (v >= draws[i]!) break;
        const less = [...draws]; less[i] = v;
        if (ok(less)) { draws = less; break; }
      }
    }
    if (JSON.stringify(draws) === before) break;
  }
  writeFileSync("/tmp/dbg/case.json", JSON.stringify({ ...options, draws }));
  console.log("draws:", draws.length, JSON.stringify(draws));
}, 600_000);
