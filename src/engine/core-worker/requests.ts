/** Requests of the api that others answer: sent on as they are, and so are the answers. */
import type { SegmentFreed } from "#engine/protocol/copy.ts";
import type { ActorKilled } from "#engine/protocol/gcs.ts";
import type { ArenaAllocated } from "#engine/protocol/object.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import type { Out, ProcessContext } from "./process-context.ts";

/** False for what is none of these. */
export function routeRequests(event: CoreWorkerEvent, context: ProcessContext, out: Out): boolean {
  const { self: from, raylet, gcs } = context;
  switch (event.type) {
    case "killActorCall": {
      const { requestId, actorId, reason } = event;
      out.send(gcs, { type: "killActor", from, requestId, actorId, reason });
      return true;
    }
    case "actorKilled":
      return onActorKilled(event, out);
    case "getActorByNameCall": {
      const { requestId, name, namespace } = event;
      out.send(gcs, { type: "getActorByName", from, requestId, name, namespace });
      return true;
    }
    case "allocateCall": {
      const { requestId, size, mayWait } = event;
      out.send(raylet, { type: "allocateArena", from, requestId, size, mayWait });
      return true;
    }
    case "arenaAllocated":
      return onArenaAllocated(event, out);
    case "segmentFreed":
      return onSegmentFreed(event, out);
    case "listStateCall": {
      const { requestId, kind, limit } = event;
      out.send(raylet, { type: "listState", from, requestId, kind, limit });
      return true;
    }
    case "listClusterCall": {
      const { requestId, kind, limit } = event;
      out.send(gcs, { type: "listCluster", from, requestId, kind, limit });
      return true;
    }
    default:
      return false;
  }
}

function onActorKilled({ requestId }: ActorKilled, out: Out): true {
  out.instruct({ type: "killed", requestId });
  return true;
}

function onArenaAllocated(allocated: ArenaAllocated, out: Out): true {
  const { requestId, segment, offset, error } = allocated;
  out.instruct({ type: "allocated", requestId, segment, offset, error });
  return true;
}

function onSegmentFreed({ segment }: SegmentFreed, out: Out): true {
  out.instruct({ type: "dropSegment", segment });
  return true;
}
