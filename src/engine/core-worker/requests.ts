/** Requests of the api that others answer: sent on as they are, and so are the answers. */
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
      out.instruct({ type: "killed", requestId: event.requestId });
      return true;
    case "getActorByNameCall": {
      const { requestId, name, namespace } = event;
      out.send(gcs, { type: "getActorByName", from, requestId, name, namespace });
      return true;
    }
    case "actorByName": {
      const { requestId, actorId, className } = event;
      out.instruct({ type: "found", requestId, actorId, className });
      return true;
    }
    case "allocateCall": {
      const { requestId, size } = event;
      out.send(raylet, { type: "allocateArena", from, requestId, size });
      return true;
    }
    case "arenaAllocated": {
      const { requestId, segment, offset, error } = event;
      out.instruct({ type: "allocated", requestId, segment, offset, error });
      return true;
    }
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
