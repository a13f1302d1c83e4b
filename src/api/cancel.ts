/** `cancel`: ends a task that nobody wants any more. */
import { handleInternals } from "./actor-handle.ts";
import { refIn } from "./captured-refs.ts";
import { ObjectRef } from "./object-ref.ts";
import { checkBoolean, checkOptions, describe } from "./option-checks.ts";
import type { CancelOptions } from "./options.ts";
import { never, requireClient } from "./runtime.ts";
import type { CancelSignature } from "./signatures.ts";

export const cancel: CancelSignature = async (target, options = {}) => {
  const caller = requireClient("cancel");
  if (caller === null) return never();
  const { force = false, recursive = true } = checkCancelOptions(options);
  const ref: unknown = target;
  if (!ObjectRef.is(ref)) throw notCancellable(ref);
  const own = refIn(caller.client, ref, "cancel");
  const refused = await caller.client.cancel(ObjectRef.entryOf(own), { force, recursive });
  if (!refused) return;
  throw new TypeError(
    `cancel: ${ref.id} is of a call of an actor, and force would end the actor with all its ` +
      "calls: cancel it without force, or end the actor by kill()",
  );
};

function checkCancelOptions(options: unknown): CancelOptions {
  const checked = checkOptions("cancel", options, ["force", "recursive"]);
  for (const [name, value] of Object.entries(checked)) checkBoolean(`cancel: ${name}`, value);
  return checked;
}

function notCancellable(target: unknown): TypeError {
  if (typeof target === "object" && target !== null && handleInternals(target) !== undefined) {
    return new TypeError("cancel() takes the ref of a call, got an actor: end that by kill()");
  }
  return new TypeError(`cancel() takes a ref (what .remote() gave), got ${describe(target)}`);
}
