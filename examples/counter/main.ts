/**
 * An actor: an object that lives on a worker of its own. Its calls run one after the other; whoever
 * has its handle, or its name, may call it.
 */
import { type ActorHandle, get, init, kill, remote } from "mobula";

class Counter {
  #counts = new Map<string, number>();

  add(key: string, amount = 1): number {
    const count = (this.#counts.get(key) ?? 0) + amount;
    this.#counts.set(key, count);
    return count;
  }

  counts(): [key: string, count: number][] {
    return [...this.#counts].sort();
  }
}

const RemoteCounter = remote(Counter);

const countLetters = remote(async (text: string, counter: ActorHandle<Counter>) => {
  const calls = [...text].map((letter) => counter.add.remote(letter));
  await get(calls);
});

await init({ localMode: process.argv.includes("--local") });

// Calls through one handle keep their order.
const counter = RemoteCounter.options({ name: "letters" }).remote();
console.log(await get([1, 2, 3].map(() => counter.add.remote("calls"))));

// A handle is a value: two tasks count with the same actor.
await get([countLetters.remote("banana", counter), countLetters.remote("bandana", counter)]);

// Found again by name.
const same = await RemoteCounter.get("letters");
for (const [key, count] of await get(same.counts.remote())) console.log(`${key}: ${count}`);

await kill(counter);
