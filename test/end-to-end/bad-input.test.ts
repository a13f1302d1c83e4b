/**
 * Wrong input that nobody catches: the process ends at once, with the class and the words that say
 * what was wrong.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserFolder } from "./user-folder.ts";

const head = `
import { asCompleted, get, getActor, init, kill, put, registerClass } from "mobula";
import { remote, shutdown, wait } from "mobula";
const add = remote((a, b) => a + b);
const echo = remote((value) => value);
const never = remote(() => new Promise(() => {}));
const Counter = remote(class CounterActor { add() { return 1; } });
await init({ numCpus: 1 });
`;

const cases: readonly (readonly [title: string, code: string, error: RegExp])[] = [
  ["an unknown option of a task", "add.options({ numCpu: 1 })", /TypeError: .*"numCpu".*numCpus/],
  ["an unknown option of remote()", "remote({ cpus: 1 }, () => 1)", /TypeError: .*"cpus"/],
  ["an unknown option of a class", "Counter.options({ restarts: 1 })", /TypeError: .*"restarts"/],
  [
    "an unknown option of a method",
    "Counter.remote().add.options({ retries: 1 })",
    /TypeError: .*"retries"/,
  ],
  ["an unknown option of get", "await get(put(1), { timeout: 1 })", /TypeError: .*"timeout"/],
  ["negative resources", "add.options({ numCpus: -1 })", /RangeError: numCpus/],
  [
    "negative custom resources",
    "add.options({ resources: { slot: -0.5 } })",
    /RangeError: resources\.slot/,
  ],
  ["remote() of what is remote already", "remote(add)", /TypeError: .*remote already/],
  [
    "two options that say where",
    'add.options({ labelSelector: { zone: "a" }, schedulingStrategy: "SPREAD" })',
    /TypeError: labelSelector and schedulingStrategy/,
  ],
  ["null for options", "add.options(null)", /TypeError: options .* got null/],
  ["a remote function called directly", "add(1, 2)", /TypeError: .*\.remote\(/],
  ["a remote class called directly", "new Counter()", /TypeError: /],
  ["get of what is no ref", "await get(5)", /TypeError: .*expected a ref.*got 5/],
  ["get of a promise", "await get(Promise.resolve(1))", /TypeError: .*await it first/],
  ["wait with duplicates", "const r = put(1); await wait([r, r])", /TypeError: .*item 1/],
  [
    "wait for more than there are",
    "await wait([put(1)], { numReturns: 2 })",
    /RangeError: numReturns/,
  ],
  ["init twice", "await init({ numCpus: 1 })", /AlreadyInitializedError: .*bad-\d+\.mjs:8/],
  ["a function as an argument", "echo.remote(() => 1)", /SerializationError: .*args\[0\]/],
  [
    "a function inside an argument",
    "echo.remote({ list: [{ onClick() {} }] })",
    /SerializationError: .*args\[0\]\.list\[0\]\.onClick/,
  ],
  ["a symbol as an argument", "echo.remote(Symbol('s'))", /SerializationError: .*args\[0\]/],
  [
    "an argument whose getter throws",
    "echo.remote({ get broken() { throw new RangeError('not now'); } })",
    /Error: .*not now/,
  ],
  ["remote() of what is no function", "remote({ numCpus: 1 })", /TypeError: remote\(\) takes/],
  ["remote() of nothing", "remote()", /TypeError: remote\(\) takes/],
  ["put of a promise", "put(Promise.resolve(1))", /TypeError: .*await it first/],
  ["put of a function", "put(() => 1)", /TypeError: .*make it remote/],
  ["put of a ref", "put(put(1))", /TypeError: .*stored already/],
  [
    "a ref of a runtime that has ended",
    "const r = put(1); await shutdown(); await init({ numCpus: 1 }); await get(r)",
    /TypeError: .*another runtime/,
  ],
  [
    "a call after shutdown",
    "await shutdown(); add.remote(1, 2)",
    /NotInitializedError: .*init\(\)/,
  ],
  [
    "a remote function below init()",
    "const late = remote(() => 1); await get(late.remote())",
    /TypeError: .*below `await init\(\)`/,
  ],
  ["an unknown option of kill", "await kill(Counter.remote(), { foo: 1 })", /TypeError: .*"foo"/],
  ["null for options of kill", "await kill(Counter.remote(), null)", /TypeError: .* got null/],
  [
    "a wrong kind of option of kill",
    "await kill(Counter.remote(), { noRestart: 'no' })",
    /TypeError: kill: noRestart must be a boolean, got "no"/,
  ],
  [
    "an unknown option of getActor",
    "await getActor('x', { namespac: 'q' })",
    /TypeError: getActor .*"namespac".*namespace/,
  ],
  [
    "a namespace of getActor that is no string",
    "await getActor('x', { namespace: 5 })",
    /TypeError: getActor: namespace must be a string, got 5/,
  ],
  ["null for options of getActor", "await getActor('x', null)", /TypeError: .* got null/],
  ["null for options of a class's get", "await Counter.get('x', null)", /TypeError: .* got null/],
  [
    "an unknown option of an init that joins",
    "await init({ ignoreReinitError: true, bogus: 1 })",
    /TypeError: init .*"bogus"/,
  ],
  [
    "a wrong amount in an init that joins",
    "await init({ ignoreReinitError: true, numCpus: -1 })",
    /RangeError: init: numCpus/,
  ],
  ["null for a second init", "await init(null)", /TypeError: options of init .* got null/],
  [
    "an amount that would be rounded to nothing",
    "await shutdown(); await init({ numCpus: 0.00001 })",
    /RangeError: init: numCpus must be 0 or at least 0\.0001/,
  ],
  [
    "more memory than can be",
    "await shutdown(); await init({ objectStoreMemory: 1e15 })",
    /RangeError: init: objectStoreMemory/,
  ],
  ["a list for options of shutdown", "await shutdown([])", /TypeError: .* got a list/],
  [
    "an unknown strategy",
    "add.options({ schedulingStrategy: { foo: 1 } })",
    /TypeError: schedulingStrategy .*"foo"/,
  ],
  [
    "a strategy of a wrong kind",
    "add.options({ schedulingStrategy: { nodeId: 'a', soft: 'yes' } })",
    /TypeError: schedulingStrategy\.soft must be a boolean, got "yes"/,
  ],
  [
    "a label selector that is none",
    "add.options({ labelSelector: { a: 'in(b' } })",
    /RangeError: labelSelector\.a must be .*"in\(b"/,
  ],
  [
    "a label selector that is not built yet",
    "add.options({ schedulingStrategy: { hard: { a: 'in(b,c)' } } })",
    /TypeError: schedulingStrategy\.hard\.a: .*contract/,
  ],
  [
    "options after the function",
    "remote(() => 1, { numCpus: 1 })",
    /TypeError: remote\(\): options come first/,
  ],
  ["null for options of remote()", "remote(null, () => 1)", /TypeError: .* got null/],
  [
    "an unknown part of a codec",
    "registerClass(class A {}, { serialize: (a) => 1, deserialize: () => new A(), extra: 1 })",
    /TypeError: .*registerClass\(A\).*"extra"/,
  ],
  ["null for a codec", "registerClass(class A {}, null)", /TypeError: .*registerClass\(A\).* null/],
  [
    "a wrong kind of option of wait",
    "await wait([put(1)], { fetchLocal: 'no' })",
    /TypeError: fetchLocal must be a boolean, got "no"/,
  ],
  [
    "a hole in a list of refs",
    "await get([put(1), , put(2)])",
    /TypeError: get: item 1 .*undefined/,
  ],
  [
    "a hole in a list for wait",
    "await wait([put(1), , put(2)])",
    /TypeError: wait: item 1 .*undef/,
  ],
  ["asCompleted of what is no list", "asCompleted(5)", /TypeError: asCompleted\(\) .*got 5/],
  ["null for options of asCompleted", "asCompleted([], null)", /TypeError: .* got null/],
  [
    "an unknown option of asCompleted",
    "asCompleted([put(1)], { numReturns: 1 })",
    /TypeError: asCompleted .*"numReturns"/,
  ],
  [
    "asCompleted of what are no refs",
    "asCompleted([put(1), 2])",
    /TypeError: asCompleted: item 1 .*got 2/,
  ],
  [
    "asCompleted of duplicates",
    "const r = put(1); asCompleted([r, r])",
    /TypeError: asCompleted\(\) takes each ref once; item 1/,
  ],
  [
    "get of a handle",
    "await get(Counter.remote())",
    /TypeError: get: expected a ref .*got an object of no class/,
  ],
  ["a number of returns out of bounds", "add.options({ numReturns: 0 })", /RangeError: numReturns/],
];

describe("wrong input ends the program:", () => {
  let folder: UserFolder;
  beforeAll(() => {
    folder = new UserFolder();
  });
  afterAll(() => folder.remove());

  for (const [i, [title, code, error]] of cases.entries()) {
    test.concurrent(title, async () => {
      const name = `bad-${i}.mjs`;
      // A task that never ends, and would keep the process alive, must not.
      folder.write(name, `${head}never.remote();\n${code};\nconsole.log("went on");\n`);
      const { status, output } = await folder.run(name, { timeoutMs: 15_000 });
      expect(output).toMatch(error);
      expect(output).not.toContain("went on");
      expect(status, output).toBe(1);
    });
  }
});
