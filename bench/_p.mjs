import { init, remote, get } from "mobula";
const noop = remote((x) => x);
await init({ numCpus: Number(process.argv[2] ?? 2) });
await get(noop.remote(1));
async function pipe(n, w) { let next = 0, done = 0; const t = performance.now(); await new Promise((res, rej) => { const go = () => { if (next >= n) return; const i = next++; get(noop.remote(i)).then((v) => { if (v !== i) rej(new Error("wrong")); if (++done === n) res(); else go(); }, rej); }; for (let k = 0; k < w; k++) go(); }); return n / (performance.now() - t) * 1000; }
for (let r = 0; r < 6; r++) console.log("pipe/s", Math.round(await pipe(200000, 1000)));
