/** Bugs of every part of the engine, as they might be written. */
import { cancels } from "./cancel-mutants.ts";
import { actors, nodes } from "./cluster-mutants.ts";
import { copies } from "./copy-mutants.ts";
import { ends } from "./end-mutants.ts";
import { handles } from "./handle-mutants.ts";
import type { LaterMutant, Mutant } from "./mutant.ts";
import { pulls } from "./pull-mutants.ts";
import { references } from "./reference-mutants.ts";
import { spills } from "./spill-mutants.ts";
import { retries, tasks } from "./task-mutants.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";

/** The three kinds that must be found, shrunk and told: planted.test.ts. */
export const planted: readonly Mutant[] = [
  {
    name: "lost wake-up",
    why: "the second who waits for an object takes the place of the first",
    edits: [
      {
        file: `${coreWorker}/memory-store.ts`,
        find: "entry.waiters = isLive(waiters) ? [waiters, waiter] : waiter;",
        replace: "entry.waiters = waiter;",
      },
    ],
  },
  {
    name: "result of a stale stream wins",
    why: "a reply is matched by its worker, not by its stream: two leases on one worker mix",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "const lease = this.#leases.find(reply.stream, reply.from);",
        replace:
          "const lease = [...this.#leases.all()].findLast((l) => l.workerId === reply.from);",
      },
    ],
  },
  {
    name: "lease freed twice",
    why: "the CPU of a blocked lease was lent, and is given back again when the lease ends",
    edits: [
      {
        file: `${raylet}/local-resources.ts`,
        find: "if (allocation.lent) this.retake(allocation);",
        replace: "allocation.lent = false;",
      },
    ],
  },
];

/** Of the ten examples of docs/internals/simulation.md, those that apply. */
const examples: readonly Mutant[] = [
  {
    name: "lease returned by worker",
    why: "return of a lease keyed by worker, not lease",
    edits: [
      {
        file: `${raylet}/lease-manager.ts`,
        find: "if (lease !== undefined) this.#end(lease);",
        replace: `const leases = [...(owner?.leases.values() ?? [])];
    const first = leases.find(({ worker }) => worker !== null && worker === lease?.worker);
    if (lease !== undefined) this.#end(first ?? lease);`,
      },
    ],
  },
  {
    name: "owner frees what a dead borrower had lent on",
    why: "a borrower dies before its receiver has told the owner of itself, and the owner frees",
    edits: [
      {
        file: `${coreWorker}/hold-grants.ts`,
        find: `out.send(holder, { type: "queryHolds", from: this.#context.self, maker: workerId,`,
        replace: `this.onHoldsQueried({ type: "holdsQueried", from: holder, maker: workerId });
      void ({ type: "queryHolds", from: this.#context.self, maker: workerId,`,
      },
    ],
  },
  {
    name: "hold given back twice",
    why: "the end of a copied handle decrements twice",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: `    if (entry.registered) this.#batch.addHold(entry.owner, entry);
    this.#freeValue(entry);`,
        replace: `    if (entry.registered) this.#batch.addHold(entry.owner, entry);
    if (entry.registered) this.#batch.addHold(entry.owner, entry);
    this.#freeValue(entry);`,
      },
    ],
  },
  {
    name: "wait keeps the CPU",
    why: "wait inside a task does not release the CPU",
    edits: [
      {
        file: "src/api/waiting-call.ts",
        find: "if (caller.context !== null) startWaiting(caller.context);",
        replace: "if (caller.context !== null && this.failsEarly) startWaiting(caller.context);",
      },
      {
        file: "src/api/waiting-call.ts",
        find: "if (this.#isWaiting && caller?.context) stopWaiting(caller.context);",
        replace:
          "if (this.#isWaiting && caller?.context && this.failsEarly) stopWaiting(caller.context);",
      },
    ],
  },
];

export const laterExamples: readonly LaterMutant[] = [
  { name: "actor created twice after a GCS restart", waitsFor: "a GCS that restarts" },
  { name: "sequence numbers reused after an actor restart", waitsFor: "restarts of actors" },
  { name: "lease expiry on wall time", waitsFor: "anything in the engine that reads a wall clock" },
  { name: "WAL record acknowledged before fsync", waitsFor: "a GCS that writes to a disk" },
  { name: "generator takes items of a stale attempt", waitsFor: "generators" },
];

const deadlocks: readonly Mutant[] = [
  {
    name: "whoever runs there is taken for the task",
    why: "a probe for a task that has not started goes on through another one on its worker",
    edits: [
      {
        file: `${coreWorker}/wait-edges.ts`,
        find: "const task = receiver.runningOf(owner, stream, seq);",
        replace: "const [task] = receiver.running;",
      },
      {
        file: `${coreWorker}/wait-edges.ts`,
        find: "if (task.serial !== serial) return null;",
        replace: "if (serial < 0) return null;",
      },
    ],
  },
];

export const mutants: readonly Mutant[] = [
  ...planted,
  ...examples,
  ...tasks,
  ...retries,
  ...references,
  ...handles,
  ...actors,
  ...nodes,
  ...cancels,
  ...deadlocks,
  ...copies,
  ...pulls,
  ...spills,
  ...ends,
];
