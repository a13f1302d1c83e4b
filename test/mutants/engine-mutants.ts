/** Bugs of every part of the engine, as they might be written. */
import type { LaterMutant, Mutant } from "./mutant.ts";

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
        find: "const lease = this.#leases.get(reply.stream);",
        replace:
          "const lease = [...this.#leases.values()].findLast((l) => l.workerId === reply.from);",
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
        file: "src/api/get.ts",
        find: "if (caller.context !== null) startWaiting(caller.context);",
        replace: "if (caller.context !== null && this.failsEarly) startWaiting(caller.context);",
      },
      {
        file: "src/api/get.ts",
        find: "if (caller?.context) stopWaiting(caller.context);",
        replace: "if (caller?.context && this.failsEarly) stopWaiting(caller.context);",
      },
    ],
  },
];

export const laterExamples: readonly LaterMutant[] = [
  { name: "actor created twice after a GCS restart", waitsFor: "a GCS that restarts" },
  {
    name: "owner frees what a dead borrower had lent on",
    waitsFor: "the ownership protocol: today's engine has this gap, and says so",
  },
  { name: "late first attempt overwrites the retry", waitsFor: "retries" },
  { name: "sequence numbers reused after an actor restart", waitsFor: "restarts of actors" },
  { name: "lease expiry on wall time", waitsFor: "anything in the engine that reads a wall clock" },
  { name: "WAL record acknowledged before fsync", waitsFor: "a GCS that writes to a disk" },
  { name: "generator takes items of a stale attempt", waitsFor: "generators" },
];

const tasks: readonly Mutant[] = [
  {
    name: "lost grant not returned",
    why: "a grant for a request that was cancelled is dropped, not given back",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "      this.#requests.release(leaseId, message.from, out);\n",
        replace: "",
      },
    ],
  },
  {
    name: "failed argument waits",
    why: "a task with a failed argument waits for its other arguments",
    edits: [
      {
        file: `${coreWorker}/dependency-resolver.ts`,
        find: "if (hasFailed) task.unresolvedCount = 0;",
        replace: "void hasFailed;",
      },
    ],
  },
  {
    name: "blocked lease serves",
    why: "tasks too short to share wait behind one that waits for them",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
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
        find: `      queue.inFlightCount -= 1;
      queue.tasks.unshift(task);
    }
    this.#dispatch`,
        replace: `      queue.inFlightCount -= 1;
    }
    this.#dispatch`,
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
        file: `${coreWorker}/core-worker.ts`,
        find: "if (this.#isOfTheDead(event)) this.#refuse(event);",
        replace: "if (event.type === 'dead') this.#refuse(event);",
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
    name: "deadline off by one",
    why: "> for >=: a call whose time is just up waits for the next deadline",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "Math.min(this.#memoryStore.nextDeadlineMs(), this.submitter.nextDeadlineMs())",
        replace: "this.submitter.nextDeadlineMs()",
      },
    ],
  },
];

const references: readonly Mutant[] = [
  {
    name: "borrowed ref sent on is not kept",
    why: "a borrower lets go of what it has named to a third process",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "else if (entry.owner !== receiver) entry.escaped = true;",
        replace: "",
      },
    ],
  },
  {
    name: "subscribe does not hold",
    why: "whoever asks for an object does not count as one who holds it",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "this.references.addHolder(object, borrower) ??",
        replace: "this.references.find(this.context.self, object) ??",
      },
    ],
  },
  {
    name: "kept refs are not held",
    why: "what a task goes on using after its reply does not count at its owner",
    edits: [
      {
        file: `${coreWorker}/core-worker.ts`,
        find: "for (const name of keptRefs) this.references.addHolder(name, from);",
        replace: "void keptRefs;",
      },
    ],
  },
  {
    name: "exported ref not counted",
    why: "a ref inside a result that goes out is not held for its receiver",
    edits: [
      {
        file: `${coreWorker}/reference-counter.ts`,
        find: "        this.addHolder(special, receiver);\n",
        replace: "        void receiver;\n",
      },
    ],
  },
  {
    name: "result waits without its refs",
    why: "a result that waits for room in the arena does not keep what it names",
    edits: [
      {
        file: "src/api/values.ts",
        find: "for (const entry of held) entry.localRefs += 1;",
        replace: "",
      },
      {
        file: "src/api/values.ts",
        find: "for (const entry of held) this.#client.dropRef(entry);",
        replace: "",
      },
    ],
  },
  {
    name: "arguments let go first",
    why: "what a task's arguments name is freed before the results that name it too are counted",
    edits: [
      {
        file: `${coreWorker}/task-manager.ts`,
        find: "    this.#unfinishedCount -= 1;\n",
        replace: "    this.#unfinishedCount -= 1;\n    this.#releaseArguments(task);\n",
      },
    ],
  },
];

const actors: readonly Mutant[] = [
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

const nodes: readonly Mutant[] = [
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
        find: "      out.send(from, this.#workerDied(workerId, error));\n",
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
        find: "for (const lease of [...(own?.leases.values() ?? [])]) this.#end(lease);",
        replace: "void own;",
      },
    ],
  },
  {
    name: "two tasks on a far worker",
    why: "> for >=: a lease of another node gets one task more than can be told apart",
    edits: [
      {
        file: `${coreWorker}/task-submitter.ts`,
        find: "lease.inFlightCount >= this.#window(lease)",
        replace: "lease.inFlightCount > this.#window(lease)",
      },
    ],
  },
  {
    name: "unacknowledged frames forgotten",
    why: "what was under way when a link was cut is not sent again",
    edits: [
      {
        file: "src/transports/session/session.ts",
        find: "    this.#drop(peerTakenThrough);\n    this.#link = link;",
        replace: "    this.#drop(this.#sentThrough);\n    this.#link = link;",
      },
    ],
  },
];

const copies: readonly Mutant[] = [
  {
    name: "reply ahead of its bytes",
    why: "a result is told to its owner before its node's raylet can serve it",
    edits: [
      {
        file: `${coreWorker}/task-receiver.ts`,
        find: "    if (sealed === null) this.#reply(ended, out);\n    else this",
        replace: "    this.#reply(ended, out);\n    if (sealed !== null) this",
      },
      {
        file: `${coreWorker}/task-receiver.ts`,
        find: "(later) => this.#reply(ended, later)",
        replace: "() => {}",
      },
    ],
  },
  {
    name: "secondaries not freed",
    why: "an owner that frees an object forgets the copies that came to be on other nodes",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "for (const node of secondaries) this.#batch.addFree(node, { serial,",
        replace: "for (const node of secondaries.slice(9)) this.#batch.addFree(node, { serial,",
      },
    ],
  },
  {
    name: "copy added too late stays",
    why: "a copy that is there only once its object is freed is not told to go",
    edits: [
      {
        file: `${coreWorker}/object-directory.ts`,
        find: "this.#batch.addFree(node, copy);",
        replace: "void node;",
      },
    ],
  },
  {
    name: "chunk at the wrong place",
    why: "every chunk is copied to the beginning of the object",
    edits: [
      {
        file: `${raylet}/pull-manager.ts`,
        find: "to: { segment, offset: extent.offset + offset, size },",
        replace: "to: { segment, offset: extent.offset, size },",
      },
    ],
  },
];

export const mutants: readonly Mutant[] = [
  ...planted,
  ...examples,
  ...tasks,
  ...references,
  ...actors,
  ...nodes,
  ...copies,
];
