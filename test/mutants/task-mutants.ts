/** Bugs on the way of a task: queues, leases, attempts. */
import type { Mutant } from "./mutant.ts";

const coreWorker = "src/engine/core-worker";

export const tasks: readonly Mutant[] = [
  {
    name: "blocked lease serves",
    why: "tasks too short to share wait behind one that waits for them",
    edits: [
      {
        file: `${coreWorker}/lease-policy.ts`,
        find: "leases.some(({ blocked }) => !blocked)",
        replace: "leases.length > 0",
      },
    ],
  },
  {
    name: "release forgotten",
    why: "an idle lease is forgotten by its owner and never given back",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "    this.#requests.release(lease.stream, lease.raylet, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "taken-back task lost",
    why: "a task that a blocked worker sends back is not queued again",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "      else queue.tasks.unshift(task);\n    }\n    this.#dispatch",
        replace: "    }\n    this.#dispatch",
      },
    ],
  },
  {
    name: "revoked lease ignored",
    why: "what ran on a worker that died never ends",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "if (lease !== undefined) this.#endRevoked(lease, error, nowMs, out);",
        replace: "void lease;",
      },
    ],
  },
  {
    name: "request of a dead node not moved",
    why: "a lease that was asked of a node that died is never asked for again",
    edits: [
      {
        file: `${coreWorker}/lease-requests.ts`,
        find: "      this.ask(queue, this.#context.raylet, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "wrong lease id",
    why: "a worker tells that another lease is blocked",
    edits: [
      {
        file: `${coreWorker}/task-receiver.ts`,
        find: "leaseId: task.stream,",
        replace: "leaseId: task.seq,",
      },
    ],
  },
  {
    name: "the dead are believed",
    why: "messages of a process that ended are taken though it is known",
    edits: [
      {
        file: `${coreWorker}/peer-deaths.ts`,
        find: 'if (ended.size === 0 || !("from" in event) || !ended.has(event.from)) return false;',
        replace: "if (ended.size >= 0) return false;",
      },
    ],
  },
  {
    name: "time-out too early",
    why: "a time-out is counted in units that are a tenth too short",
    edits: [
      {
        file: "src/engine/services/core-worker-client.ts",
        find: "this.host.nowMs + timeoutMs;",
        replace: "this.host.nowMs + timeoutMs * 0.9;",
      },
    ],
  },
  {
    name: "deadline of a call forgotten",
    why: "nothing wakes a process when the time of a call is up",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "Math.min(this.#memoryStore.nextDeadlineMs(), ofTasks, ofRest)",
        replace: "Math.min(ofTasks, ofRest)",
      },
    ],
  },
];

export const retries: readonly Mutant[] = [
  {
    name: "late first attempt overwrites the retry",
    why: "what ran on a revoked lease is still known there: its late reply ends the task",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: `      lease.remove(task.seq);
      queue.inFlightCount -= 1;
      const isUnstarted`,
        replace: `      task.stream = null;
      queue.inFlightCount -= 1;
      const isUnstarted`,
      },
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: `    this.#leases.forget(lease);
    this.#dispatch(queue, nowMs, out);`,
        replace: `    queue.leases.splice(queue.leases.indexOf(lease), 1);
    this.#dispatch(queue, nowMs, out);`,
      },
    ],
  },
  {
    name: "retry not counted",
    why: "a crash does not use up the budget: a task runs again for ever",
    edits: [
      {
        file: `${coreWorker}/task-retries.ts`,
        find: "if (isOfTheSystem && hasRetryLeft(task)) {\n      task.retriesUsed += 1;",
        replace: "if (isOfTheSystem && hasRetryLeft(task)) {",
      },
    ],
  },
  {
    name: "one retry too few",
    why: "the budget counts attempts, not what comes after the first",
    edits: [
      {
        file: `${coreWorker}/task-retries.ts`,
        find: "return retriesUsed < template.retry.maxRetries;",
        replace: "return retriesUsed + 1 < template.retry.maxRetries;",
      },
    ],
  },
  {
    name: "attempt not counted",
    why: "a task runs again under the number of its dead attempt",
    edits: [
      {
        file: `${coreWorker}/task-retries.ts`,
        find: "    task.attempt += 1;\n",
        replace: "",
      },
    ],
  },
  {
    name: "unstarted tasks charged",
    why: "what the dead worker had not begun counts as if it had",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "const isUnstarted = !lease.isFar && out.retract(lease.workerId, framePosition);",
        replace: "const isUnstarted = !lease.isFar && framePosition < 0;",
      },
    ],
  },
  {
    name: "moved buffers not missed",
    program: "tasks",
    why: "a task runs again although its transferred buffers went with the execution before",
    edits: [
      {
        file: `${coreWorker}/transferred-buffers.ts`,
        find: "      transferred.areGone = true;\n",
        replace: "",
      },
    ],
  },
  {
    name: "copy of buffers not kept",
    program: "tasks",
    why: "the copy that another node is given of transferred buffers is freed before it is read",
    edits: [
      {
        file: `${coreWorker}/transferred-buffers.ts`,
        find: "      stored.uses += 1;\n",
        replace: "",
      },
    ],
  },
];
