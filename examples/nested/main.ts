/**
 * Tasks that start tasks: primes below a bound are counted by halving the range until a piece is
 * small. Then a tree of tasks that is handed down as refs: nobody waits in the middle.
 */
import { get, init, remote } from "mobula";

const pieceSize = 25_000;

const countPrimes = remote(async (from: number, to: number): Promise<number> => {
  if (to - from <= pieceSize) return countHere(from, to);
  const middle = Math.floor((from + to) / 2);
  // A task that waits in `get` lends its CPU to its children: this ends with a single CPU, too.
  const halves = [countPrimes.remote(from, middle), countPrimes.remote(middle, to)];
  const [left = 0, right = 0] = await get(halves);
  return left + right;
});

const add = remote((left: number, right: number) => left + right);

function countHere(from: number, to: number): number {
  let count = 0;
  for (let n = Math.max(2, from); n < to; n++) if (isPrime(n)) count += 1;
  return count;
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

await init({ localMode: process.argv.includes("--local") });

const bound = 400_000;
console.log(`${await get(countPrimes.remote(0, bound))} primes below ${bound}`);

// The same by dependencies: a ref as a direct argument arrives as its value.
let counts = Array.from({ length: 16 }, (_, i) => countPrimes.remote(i * 25_000, (i + 1) * 25_000));
while (counts.length > 1) {
  const pairs = counts.filter((_, i) => i % 2 === 0);
  counts = pairs.map((left, i) => add.remote(left, counts[2 * i + 1] ?? 0));
}
const [total] = await get(counts);
console.log(`${total} by adding up 16 pieces in pairs`);
