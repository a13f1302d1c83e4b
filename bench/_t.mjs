import { init, remote, get } from "mobula";
const noop = remote((x) => x);
await init({ numCpus: Number(process.argv[2] ?? 2) });
let n = 0;
try {
  for (let i = 0; i < 3000; i++) {
    await get(noop.remote(i), { timeoutMs: 2000 });
    n++;
  }
  console.error("lat ok", n);
  n = 0;
  for (let r = 0; r < 200; r++) {
    await get(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((x) => noop.remote(x)),
      { timeoutMs: 2000 },
    );
    n++;
  }
  console.error("10 ok", n);
  for (let r = 0; r < 200; r++) {
    await get(
      Array.from({ length: 1000 }, (_, x) => noop.remote(x)),
      { timeoutMs: 2000 },
    );
    n++;
  }
  console.error("1000 ok", n);
} catch (e) {
  console.error("after", n, e.message);
  process.exit(1);
}
