/** Why what a process has asked for is not in its memory yet, for a person. */
import type { NodeId } from "#engine/common/ids.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { CopyRequest, Pull } from "./pull.ts";
import type { PullManager } from "./pull-manager.ts";

// oxlint-disable-next-line max-params -- what waits, in which line, for what, and where.
export function whyPulled(
  request: CopyRequest | undefined,
  pulls: PullManager,
  store: ObjectStore,
  self: NodeId,
): string {
  if (request === undefined) return "what has become of it is on its way";
  const { pull } = request;
  switch (pull?.state) {
    case "new":
    case "locating":
      return `its owner ${pull.owner} is asked where it lies`;
    case "waiting": {
      // To read it would keep it here, where others may need its room.
      if (pull.copy !== null && pull.copy.extent !== null)
        return `it lies in the store of node ${self}, and those that asked before it lack room`;
      const was = pull.copy === null ? "" : "it was spilled to the disk, and ";
      if (pulls.waitsForTurn(pull)) return `${was}waits until others are brought to node ${self}`;
      return `${was}waits for room in the store of node ${self} ${whyNoRoom(pull, store)}`;
    }
    case "fetching": {
      if (pull.copy !== null) return "it is being restored from disk";
      const { receivedBytes, size, sources } = pull;
      const from = sources.length === 1 ? `node ${sources[0]}` : `${sources.length} nodes`;
      return `it is on its way from ${from} (${receivedBytes} of ${size} bytes are here)`;
    }
    default:
      return "its bytes are here by now";
  }
}

function whyNoRoom({ size }: Pull, { capacityBytes, freeBytes }: ObjectStore): string {
  return `(${capacityBytes - freeBytes} of ${capacityBytes} bytes in use, it needs ${size})`;
}
