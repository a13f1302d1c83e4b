/** Why what a process has asked for is not in its memory yet, for a person. */
import type { NodeId } from "#engine/common/ids.ts";
import type { ObjectStore } from "#engine/object-store/object-store.ts";
import type { Pull } from "./pull.ts";

/** `pull`: null when it is there, or nothing is known of it. */
export function whyPulled(pull: Pull | null, store: ObjectStore, self: NodeId): string {
  switch (pull?.state) {
    case "new":
    case "locating":
      return `its owner ${pull.owner} is asked where it lies`;
    case "waiting": {
      const { capacityBytes, freeBytes } = store;
      const was = pull.copy === null ? "" : "it was spilled to the disk, and ";
      const used = `${capacityBytes - freeBytes} of ${capacityBytes} bytes in use`;
      const needed = `it needs ${pull.size}`;
      return `${was}waits for room in the store of node ${self} (${used}, ${needed})`;
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
