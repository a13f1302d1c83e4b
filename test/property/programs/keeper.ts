/** The actors of programs: they keep what calls give them, and show it when they are asked. */
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import { getRuntimeContext } from "#api/runtime-context.ts";
import type { ActorHandle } from "#api/types.ts";
import { notKept, pingNumber } from "./description.ts";
import { numberOfCall } from "./numbers.ts";
import {
  dispose,
  letGo,
  letGoOf,
  numberIn,
  type Ref,
  refsIn,
  sleep,
  type Value,
  valueOf,
} from "./values.ts";

export type Handle = ActorHandle<Keeper>;

interface CallHead {
  readonly caller: string;
  /** Rises with every call of the caller. */
  readonly seq: number;
  readonly nested: readonly Ref[];
  readonly keep: boolean;
  readonly ms: number;
  readonly friends: readonly Handle[];
}

interface Kept {
  readonly refs: readonly Ref[];
  readonly friends: readonly Handle[];
}

const nothing: Kept = { refs: [], friends: [] };

export class Keeper {
  readonly #lastSeqs = new Map<string, number>();
  readonly #kept = new Map<string, Kept>();

  async call(head: CallHead, ...direct: Value[]): Promise<number> {
    const { caller, seq, nested, keep, ms, friends } = head;
    if (seq <= (this.#lastSeqs.get(caller) ?? -1)) throw new Error(`call ${seq} came too late`);
    this.#lastSeqs.set(caller, seq);
    this.#kept.set(`${caller}/${seq}`, keep ? { refs: nested, friends } : nothing);
    if (!keep) dispose(nested);
    if (!keep) letGoOf(friends);
    for (const value of direct) {
      dispose(refsIn(value));
      letGo(value);
    }
    if (ms > 0) await sleep(ms);
    return numberOfCall(direct.map(numberIn), nested.length);
  }

  async recall(caller: string, seq: number, pauseMs: number): Promise<Value> {
    const kept = this.#kept.get(`${caller}/${seq}`);
    if (kept === undefined) throw new Error(notKept);
    const { refs, friends } = kept;
    const self = getRuntimeContext().currentActor<Keeper>();
    const pings = friends.map((friend) => pingAll.remote([friend, self], pauseMs) as Ref);
    // Somebody may hold it when nobody has a handle to this actor any more.
    const own = [put(refs.length) as Ref, ...pings];
    // Once the result is encoded it names them itself.
    setTimeout(() => dispose(own), 1);
    return valueOf(refs.length, [...refs, ...own], 0);
  }

  ping(): number {
    return pingNumber;
  }
}

/** Of two actors, in a task that goes on when the call has ended that gave it their handles. */
const pingAll = remote(
  { numCpus: 0 },
  async (actors: readonly Handle[], pauseMs: number): Promise<number> => {
    if (pauseMs > 0) await sleep(pauseMs);
    const pings = actors.map((actor) => actor.ping.remote());
    letGoOf(actors);
    const [n = 0] = await get(pings);
    dispose(pings);
    return n;
  },
);

const KeeperActor = remote(Keeper);
const OneCallKeeper = remote({ maxConcurrency: 1 }, Keeper);

// Away from the driver's node, where there are others: their arguments and results travel.
const far = { schedulingStrategy: "SPREAD" } as const;

/** Every other one has calls that wait at the actor itself. */
export function makeKeeper(i: number, run: string | null): Handle {
  const named = run === null ? {} : { name: `keeper ${i} of ${run}`, getIfExists: true };
  return (i % 2 === 0 ? KeeperActor : OneCallKeeper).options({ ...far, ...named }).remote();
}

const joinKeeper = remote({ numCpus: 0 }, (i: number, run: string): { readonly handle: Handle } => {
  const handle = makeKeeper(i, run);
  // Once the result is encoded it names it itself.
  setTimeout(() => letGoOf([handle]), 1);
  return { handle };
});

export const pingJoined = remote(
  { numCpus: 0 },
  async (i: number, run: string): Promise<number> => {
    const joined = joinKeeper.remote(i, run);
    try {
      const { handle } = await get(joined);
      const ping = handle.ping.remote();
      letGoOf([handle]);
      try {
        return await get(ping);
      } finally {
        dispose([ping]);
      }
    } finally {
      dispose([joined]);
    }
  },
);
