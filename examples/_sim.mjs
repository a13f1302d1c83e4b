import { remote, get, put, wait } from "mobula";
import { simulate } from "mobula/sim";
const add = remote((a, b) => a + b);
const slow = remote(async (x) => { await new Promise((r) => setTimeout(r, 100 * Math.random())); return [x, Date.now() > 0, Math.random()]; });
const fib = remote(async (n) => { if (n < 2) return n; const [a, b] = await get([fib.remote(n - 1), fib.remote(n - 2)]); return a + b; });
const Counter = remote(class { n = 0; inc() { return ++this.n; } });
const t0 = performance.now(); let events = 0;
for (let seed = 0; seed < +(process.argv[2] ?? 20); seed++) {
  const one = () => simulate({ seed, chaos: process.argv.includes("--chaos") }, async (sim) => {
    const c = Counter.remote();
    const refs = Array.from({ length: 10 }, (_, i) => add.remote(i, add.remote(i, 1)));
    const f = fib.remote(5);
    const s = [1, 2, 3].map((i) => slow.remote(i));
    await sim.sleep(5);
    const counts = await get([1, 2, 3].map(() => c.inc.remote()));
    return { sums: await get(refs), fib: await get(f), slow: await get(s), counts };
  });
  const a = await one(), b = await one();
  events += a.events + b.events;
  if (a.traceHash !== b.traceHash) { console.log("MISMATCH", seed, a.traceHash, b.traceHash, a.events, b.events); const la = a.trace().split("\n"), lb = b.trace().split("\n"); const i = la.findIndex((l, k) => l !== lb[k]); console.log(la.slice(Math.max(0, i - 2), i + 2).join("\n")); console.log("----\n" + lb.slice(Math.max(0, i - 2), i + 2).join("\n")); break; }
  if (seed < 2 || a.violations.length || (a.error && !process.argv.includes("--chaos"))) console.log(seed, a.traceHash, a.events, a.virtualMs.toFixed(1), a.faultsFired, a.error?.message, JSON.stringify(a.violations), JSON.stringify(a.result)?.slice(0, 150));
}
const ms = performance.now() - t0; console.log(events, "events", Math.round(events / ms * 1000), "/s");
