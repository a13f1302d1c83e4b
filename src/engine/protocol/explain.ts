/**
 * Questions that follow why something waits, from process to process, until something waits for
 * nothing that anybody else knows of. One-way: each process tells the asker how far it came, so a
 * lost one leaves it with less to say, and never with silence.
 */
import type { Address, WorkerId } from "#engine/common/ids.ts";
import type { ObjectName } from "./task.ts";

export interface WaitQuestion {
  readonly asker: WorkerId;
  /** Of the asker: never used twice there. */
  readonly requestId: number;
  /** Links of the chain that are told already: a limit, and the order of the answers. */
  readonly depth: number;
  /** What is known so far, for a person; lacks its end. */
  readonly text: string;
}

/** process whose chain has come to an object of another → its owner. */
export interface ExplainObject {
  readonly type: "explainObject";
  readonly from: Address;
  readonly object: ObjectName;
  readonly question: WaitQuestion;
}

/** owner of a task → the worker that it was pushed to. */
export interface ExplainTask {
  readonly type: "explainTask";
  readonly from: Address;
  readonly serial: number;
  readonly stream: number;
  readonly seq: number;
  readonly question: WaitQuestion;
}

/** any process on the way → the asker. */
export interface Explained {
  readonly type: "explained";
  readonly from: Address;
  readonly requestId: number;
  readonly depth: number;
  readonly text: string;
  /** False when the question went on from there. */
  readonly isLast: boolean;
}

/** process → its raylet: why is what I asked for with that pullObject not here yet? */
export interface ExplainPull {
  readonly type: "explainPull";
  readonly from: Address;
  readonly requestId: number;
  /** The requestId of the pullObject. */
  readonly pullId: number;
}

/** raylet → the sender of explainPull. */
export interface PullExplained {
  readonly type: "pullExplained";
  readonly from: Address;
  readonly requestId: number;
  readonly text: string;
}

export type ExplainMessage = ExplainObject | ExplainTask | Explained | ExplainPull | PullExplained;
