/**
 * Messages that follow who waits for whom, from a call of get along everything that it needs, to
 * see whether that leads back to it. One-way: a lost or dropped one is replaced by the next round.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { ObjectName } from "./task.ts";

/** One call of get or wait, by the process it waits in: a number is never used twice there. */
export interface WaitStamp {
  readonly workerId: WorkerId;
  readonly blockSeq: number;
}

export interface WaitProbe {
  /** The task that asks: whoever submitted it, and its number there. */
  readonly owner: WorkerId;
  readonly serial: number;
  /** Of this task; each round asks anew. */
  readonly round: number;
  /** A waiting task of a lower id stops it: a cycle is then found by that one. */
  readonly yields: boolean;
  /** The calls of get that it has come through, in order; the first is the asker's. */
  readonly path: readonly WaitStamp[];
  /** On the second lap: the path of the first, which it must repeat. Empty on the first. */
  readonly expected: readonly WaitStamp[];
  /** What waits for what, for a person; the last line lacks its end. */
  readonly lines: readonly string[];
}

/** process that needs an object → its owner. */
export interface ProbeObject {
  readonly type: "probeObject";
  readonly from: Address;
  readonly object: ObjectName;
  readonly probe: WaitProbe;
}

/** owner of a task → the worker that it was pushed to, or whose turn it waits for. */
export interface ProbeTask {
  readonly type: "probeTask";
  readonly from: Address;
  readonly serial: number;
  readonly stream: number;
  /** Its place in the stream; one that was not pushed yet has the next. */
  readonly seq: number;
  readonly probe: WaitProbe;
}

export type ProbeMessage = ProbeObject | ProbeTask;
