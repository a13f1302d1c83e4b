/** `kill` and `getActor`. */
import { checkSameRuntime, handleInternals } from "./actor-handle.ts";
import { checkBoolean, checkOptions, describe } from "./option-checks.ts";
import { getActor as findActor } from "./remote.ts";
import { never, requireClient } from "./runtime.ts";
import type { GetActorSignature, KillSignature } from "./signatures.ts";

export const getActor: GetActorSignature = (name, options) => findActor(name, options);

export const kill: KillSignature = async (actor, options = {}) => {
  const caller = requireClient("kill");
  if (caller === null) return never();
  const handle = typeof actor === "object" && actor !== null ? handleInternals(actor) : undefined;
  if (handle === undefined) {
    throw new TypeError(`kill() takes an actor's handle, got ${describe(actor)}`);
  }
  checkOptions("kill", options, ["noRestart"]);
  checkBoolean("kill: noRestart", options.noRestart);
  if (options.noRestart === false) {
    throw new TypeError(
      "kill: noRestart: false is part of the contract but this version does not restart actors yet",
    );
  }
  checkSameRuntime(handle, caller.client);
  await caller.client.killActor(handle.actor.actorId, "it was killed by kill()");
};
