/** What the tests of cancellation do and look at. */
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import type { CoreWorkerHarness } from "./core-worker-harness.ts";

interface Reach {
  readonly force?: boolean;
  readonly recursive?: boolean;
}

let requestId = 0;

/** As the api does. True when it was refused. */
export function cancel(
  h: CoreWorkerHarness,
  entry: ObjectEntry,
  reach: Reach = {},
): boolean | null {
  const { force = false, recursive = true } = reach;
  requestId += 1;
  h.handle({ type: "cancelCall", requestId, entry, force, recursive });
  const answer = h.instructions("cancelled").find((one) => one.requestId === requestId);
  return answer?.refused ?? null;
}

export function errorOf({ outcome }: ObjectEntry): string {
  return outcome instanceof FailedValue ? outcome.error.type : "";
}

/** All frames pushed so far have been taken by their executor. */
export function started(h: CoreWorkerHarness): PushTask {
  for (let position = 1; position < 1000; position++) h.out.startedFrames.add(position);
  return h.out.last("pushTask");
}
