/** When a process ends: by itself, once nothing will settle any more, whatever stands around. */
import { transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const head = `
import { get, getActor, init, kill, put, remote, shutdown, wait } from "mobula";
const add = remote((a, b) => a + b);
const later = remote(() => new Promise((resolve) => setTimeout(resolve, 20, "later")));
const never = remote(() => new Promise(() => {}));
const say = remote(async (text) => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(text);
});
const Counter = remote(class CounterActor {
  #count = 0;
  #timer = setInterval(() => {}, 1000);
  add() { return ++this.#count; }
});
`;

interface Exit {
  readonly title: string;
  readonly code: string;
  readonly prints: string;
  /** Default 0. */
  readonly status?: number;
}

const exits: readonly Exit[] = [
  { title: "that only imports", code: "", prints: "" },
  { title: "that only starts a runtime", code: "await init();", prints: "" },
  {
    title: "without init(): the first .remote() starts the runtime",
    code: "console.log(await get(add.remote(1, 2)));",
    prints: "3\n",
  },
  {
    title: "without init(): the first put() starts the runtime",
    code: 'console.log(await get(put("stored")));',
    prints: "stored\n",
  },
  {
    title: "that joins what its first .remote() started",
    code: "const ref = add.remote(1, 2); await init(); console.log(await get(ref));",
    prints: "3\n",
  },
  {
    title: "that leaves a task running which nobody asks for: it ends first",
    code: 'await init(); say.remote("said");',
    prints: "said\n",
  },
  {
    title: "that leaves actors, refs and large values around",
    code: `await init();
      globalThis.kept = [Counter.remote(), put(new Uint8Array(1 << 22)), add.remote(1, 1)];
      await get(kept[0].add.remote());
      console.log("done");`,
    prints: "done\n",
  },
  {
    title: "that stopped waiting for a task which fits no node",
    code: `await init();
      const ref = add.options({ resources: { unicorn: 1 } }).remote(1, 1);
      await get(ref, { timeoutMs: 100 }).catch((error) => console.log(error.name));`,
    prints: "GetTimeoutError\n",
  },
  {
    title: "that never waited for a task which fits no node",
    code: `await init();
      add.options({ numCpus: 4096 }).remote(1, 1);
      console.log("done");`,
    prints: "done\n",
  },
  {
    title: "that never waited for an actor which fits no node, or its calls",
    code: `await init();
      const counter = Counter.options({ numGpus: 64 }).remote();
      counter.add.remote(1);
      console.log("done");`,
    prints: "done\n",
  },
  {
    title: "that calls shutdown() while a task never ends",
    code: `await init();
      never.remote();
      await shutdown();
      console.log("done");`,
    prints: "done\n",
  },
  {
    title: "that calls process.exit() while tasks run",
    code: "await init(); never.remote(); process.exit(3);",
    prints: "",
    status: 3,
  },
  {
    title: "that ends the runtime with a block",
    code: `{ await using runtime = await init(); never.remote(); }
      console.log("done");`,
    prints: "done\n",
  },
];

describe("a program", () => {
  let folder: UserFolder;
  beforeAll(() => {
    folder = new UserFolder();
  });
  afterAll(() => folder.remove());

  for (const [i, { title, code, prints, status = 0 }] of exits.entries()) {
    test(title, async () => {
      const name = `exit-${i}.mjs`;
      folder.write(name, transformSync(head + code, { target: "node20", format: "esm" }).code);
      const ended = await folder.run(name, { timeoutMs: 15_000 });
      expect(ended).toEqual({ status, output: prints });
    });
  }
});
