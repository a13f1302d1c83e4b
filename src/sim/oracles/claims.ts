/** What the words of a reason claim, one after the other, as far as it can be looked at. */
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import { pullWords } from "./pull-reasons.ts";

export type Claim =
  /** The object, or return of a task, that the next claims are about; `name`: of the task. */
  | { readonly type: "names"; readonly oid: string; readonly name: string | null }
  | { readonly type: "sent" | "runs"; readonly worker: WorkerId }
  | { readonly type: "queued"; readonly worker: WorkerId; readonly behind: string }
  /** What runs is in get or wait, for what is named next. */
  | { readonly type: "waits" }
  | { readonly type: "lacksArguments" }
  /** Another call needs what is named next: which one is not said. */
  | { readonly type: "needs" }
  /** A running task is in get or wait, for what is named next. */
  | {
      readonly type: "waitsAt";
      readonly name: string;
      readonly taskId: string;
      readonly worker: WorkerId;
    }
  /** A raylet has said so of the bytes of what was named last. */
  | { readonly type: "pull"; readonly text: string }
  | { readonly type: "nodeDied"; readonly node: NodeId }
  | { readonly type: "workerEnded"; readonly worker: WorkerId };

const hex = "[0-9a-f]";
const worker = `(${hex}{40})`;
const node = `(${hex}{32})`;
const oid = `(${hex}{56})`;
const taskId = `(${hex}{52})`;

interface Pattern {
  readonly source: string;
  readonly groupCount: number;
  make(...groups: string[]): Claim;
}

/** In the order in which they are looked for at each place. */
const patterns: readonly Pattern[] = [
  {
    source: `^task (.+?) \\(${taskId}\\) on worker ${worker} waits for`,
    groupCount: 3,
    make: (name = "", id = "", at = "") => {
      return { type: "waitsAt", name, taskId: id, worker: at as WorkerId };
    },
  },
  // Which of that name it is the line before has told, and perhaps not as the last of it.
  {
    source: `^task (?:(?! \\(${hex}{52,56}\\)).)+? waits for (?=task |object )`,
    groupCount: 0,
    make: () => ({ type: "needs" }),
  },
  {
    source: `it waits for its turn on worker ${worker}, behind task (.+?)(?=, which waits|$)`,
    groupCount: 2,
    make: (at = "", behind = "") => ({ type: "queued", worker: at as WorkerId, behind }),
  },
  {
    source: "waits behind task .+? of the same actor(?:, which waits for its arguments)?",
    groupCount: 0,
    make: () => ({ type: "needs" }),
  },
  {
    source: `task (.+?) \\(${oid}\\)`,
    groupCount: 2,
    make: (name = "", id = "") => ({ type: "names", oid: id, name }),
  },
  {
    source: `object ${oid}`,
    groupCount: 1,
    make: (id = "") => ({ type: "names", oid: id, name: null }),
  },
  {
    source: `(?:it was sent|its [a-z ]+ are on their way) to worker ${worker}`,
    groupCount: 1,
    make: (to = "") => ({ type: "sent", worker: to as WorkerId }),
  },
  {
    source: `it runs on worker ${worker}`,
    groupCount: 1,
    make: (at = "") => ({ type: "runs", worker: at as WorkerId }),
  },
  { source: "waits in (?:get|wait) for", groupCount: 0, make: () => ({ type: "waits" }) },
  { source: "waits for its arguments", groupCount: 0, make: () => ({ type: "lacksArguments" }) },
  { source: `(${pullWords})`, groupCount: 1, make: (text = "") => ({ type: "pull", text }) },
  {
    source: `node ${node} died`,
    groupCount: 1,
    make: (id = "") => ({ type: "nodeDied", node: id as NodeId }),
  },
  {
    source: `worker thread ${worker}`,
    groupCount: 1,
    make: (id = "") => ({ type: "workerEnded", worker: id as WorkerId }),
  },
];

const any = new RegExp(patterns.map(({ source }) => `(${source})`).join("|"), "g");

export function claimsOf(text: string): Claim[] {
  return [...text.matchAll(any)].map((found) => {
    let group = 1;
    for (const { groupCount, make } of patterns) {
      if (found[group] !== undefined)
        return make(...found.slice(group + 1, group + 1 + groupCount));
      group += 1 + groupCount;
    }
    throw new TypeError(`no pattern is that of ${found[0]}`);
  });
}
