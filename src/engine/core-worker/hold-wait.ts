/** A message that waits for its holds: it names refs of third processes, who are asked first. */
import type { WorkerId } from "#engine/common/ids.ts";
import type { ActorByName, ActorRegistered } from "#engine/protocol/gcs.ts";
import type { HeldRef } from "#engine/protocol/hold.ts";
import type { ActorClient } from "./actor-client.ts";
import type { ConstructorFinished, TaskFinished } from "./calls.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { PushStream } from "./push-stream.ts";

/**
 * What is to be sent, or told to user code when a handle is ours (`found`, `joined`); `call` is the
 * one of the client that is asked for, not always the next.
 */
export type HeldSend =
  | { readonly type: "reply"; readonly finished: TaskFinished }
  | { readonly type: "constructed"; readonly finished: ConstructorFinished }
  | { readonly type: "objectState"; readonly entry: ObjectEntry; readonly borrower: WorkerId }
  | { readonly type: "found"; readonly found: ActorByName }
  | { readonly type: "joined"; readonly client: ActorClient; readonly found: ActorRegistered }
  | { readonly type: "call"; readonly client: ActorClient; readonly stream: PushStream };

export class HoldWait {
  readonly send: HeldSend;
  /** Holds that are there, and unconfirmed. */
  readonly made: HeldRef[] = [];
  /** A use each until it is sent; null if none. */
  pins: ObjectEntry[] | null = null;
  /** Answers that have not come. */
  missingCount = 0;
  /** It will not be sent. */
  abandoned = false;

  constructor(send: HeldSend) {
    this.send = send;
  }
}

/** As messages carry them. */
export function heldRefs(wait: HoldWait | null): readonly HeldRef[] | null {
  return wait === null || wait.made.length === 0 ? null : wait.made;
}
