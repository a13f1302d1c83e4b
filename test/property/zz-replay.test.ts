import { test } from "vitest";
import { readFileSync } from "node:fs";
import { Host } from "#engine/services/host.ts";
import { checkAtRest, checkEmpty, dropEverything } from "./engine-oracles.ts";
import { EngineWorld } from "./engine-world.ts";
test("replay", () => {
  const options = JSON.parse(readFileSync("/tmp/dbg/case.json", "utf8"));
  const seen: string[] = [];
  const show = (v: any) => JSON.stringify(v, (k, x) => k === "from" ? undefined : (x instanceof Map ? [...x] : x instanceof Uint8Array ? undefined : k === "definition" || k === "descriptor" || k==="resources" || k === "entries" || k==="task" || k==="call"|| k==="registration" ||k==="strategy"||k==="request"||k==="actor"&&typeof x==="object" ? (x?.template?.definition?.taskName ?? x?.taskName ?? x?.name ?? typeof x) : x)).replaceAll("0123456789abcdef0123456789abcdef", "@").replace(/"/g,"");
  const original = Host.prototype.dispatch;
  Host.prototype.dispatch = function (address: any, event: any) {
    seen.push(`${address} <- ${event.from ?? ""} ${show(event).slice(0, 330)}`.replaceAll("0123456789abcdef0123456789abcdef", "@"));
    return original.call(this, address, event);
  };
  const engine = new EngineWorld(options);
  try {
    engine.runChaos();
    seen.push("---- heal");
    engine.runToQuiet();
    checkAtRest(engine);
    seen.push("---- drop");
    dropEverything(engine);
    engine.runToQuiet();
    checkEmpty(engine, options.cpus);
  } catch (error) {
    console.log(seen.slice(-(Number(process.env.LINES ?? 120))).join("\n"));
    throw error;
  }
});
