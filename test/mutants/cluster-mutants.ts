/** Bugs of actors, of nodes and of what lies between them. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";
const raylet = "src/engine/raylet";

export const actors: readonly Mutant[] = [
  {
    name: "ready call overtakes",
    why: "a call with its arguments at hand goes ahead of an earlier one that waits for its own",
    edits: [
      {
        file: `${coreWorker}/actor-submitter.ts`,
        find: "    client.calls.push(task);\n",
        replace: "    if (ready) client.calls.unshift(task);\n    else client.calls.push(task);\n",
      },
    ],
  },
  {
    name: "calls of a dead actor hang",
    why: "what was under way to an actor that died never ends",
    edits: [
      {
        file: `${coreWorker}/actor-submitter.ts`,
        find: "        this.#manager.finish(task, death, null, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "death of an actor not published",
    why: "callers of an actor that died are not told",
    edits: [
      {
        file: "src/engine/gcs/actors.ts",
        find: "    row.spec = null;\n    this.#publish(row, out);\n",
        replace: "    row.spec = null;\n",
      },
    ],
  },
];

export const nodes: readonly Mutant[] = [
  {
    name: "spillback to self",
    why: "a node sends the owner of a request to itself",
    edits: [
      {
        file: `${raylet}/lease-manager.ts`,
        find: "    if (nodeId !== null && nodeId !== this.#self) {\n      this.#sendSpilled",
        replace: "    if (nodeId !== null) {\n      this.#sendSpilled",
      },
    ],
  },
  {
    name: "death of a node not told",
    why: "a raylet that hears of a node's death does not tell its processes",
    edits: [
      {
        file: `${raylet}/raylet.ts`,
        find: 'this.#tellProcesses({ type: "nodeDied", from',
        replace: 'void ({ type: "nodeDied", from',
      },
    ],
  },
  {
    name: "death of a far worker not told",
    why: "the raylets that asked for a process do not hear of its end",
    edits: [
      {
        file: `${raylet}/peer-watch.ts`,
        find: "      out.send(watcher, this.#workerDied(workerId, error));\n",
        replace: "      void watcher;\n",
      },
    ],
  },
  {
    name: "watch of an ended process unanswered",
    why: "who asks too late for the end of a process never hears of it",
    edits: [
      {
        file: `${raylet}/raylet.ts`,
        find: "      out.send(from, this.#workerDied(workerId, endedEarlier(workerId)));\n",
        replace: "",
      },
    ],
  },
  {
    name: "leases of a dead owner stay",
    why: "what a process that died had leased is not free again",
    edits: [
      {
        file: `${raylet}/lease-manager.ts`,
        find: "lease.worker?.id !== workerId) this.#doom(lease);",
        replace: "lease.worker?.id !== workerId) void lease;",
      },
    ],
  },
  {
    name: "two tasks on a far worker",
    why: "a task that may not run again shares a lease of another node, and with it its end",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "if (lease.isFar && lease.inFlightCount > 0 && !hasRetryLeft(task)) return false;",
        replace: "",
      },
    ],
  },
  {
    name: "unacknowledged frames forgotten",
    why: "what was under way when a link was cut is not sent again",
    edits: [
      {
        file: "src/transports/session/session.ts",
        find: "    this.#drop(told.ack);\n    let number = told.ack;",
        replace: "    this.#drop(this.#sentThrough);\n    let number = this.#sentThrough;",
      },
    ],
  },
];
