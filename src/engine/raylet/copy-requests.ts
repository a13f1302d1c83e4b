/** Who asked for which copy: by process and its own number, until the process lets go of it. */
import { assert } from "#engine/common/assert.ts";
import type { WorkerId } from "#engine/common/ids.ts";
import type { CopyRequest } from "./pull.ts";

export class CopyRequests {
  readonly #byProcess = new Map<WorkerId, Map<number, CopyRequest>>();

  find(process: WorkerId, requestId: number): CopyRequest | undefined {
    return this.#byProcess.get(process)?.get(requestId);
  }

  of(process: WorkerId): CopyRequest[] {
    return [...(this.#byProcess.get(process)?.values() ?? [])];
  }

  add(request: CopyRequest): void {
    const { process, requestId } = request;
    let requests = this.#byProcess.get(process);
    if (requests === undefined) {
      requests = new Map();
      this.#byProcess.set(process, requests);
    }
    requests.set(requestId, request);
  }

  delete({ process, requestId }: CopyRequest): void {
    const requests = this.#byProcess.get(process);
    requests?.delete(requestId);
    if (requests?.size === 0) this.#byProcess.delete(process);
  }

  checkInvariants(): void {
    for (const [process, requests] of this.#byProcess) {
      assert(requests.size > 0, "a process without requests is not listed");
      for (const request of requests.values()) {
        assert(request.process === process, "a request is listed under its process");
        assert((request.pull === null) !== (request.copy === null), "a request waits or reads");
        assert(request.pull?.requests.has(request) !== false, "a pull knows who waits for it");
      }
    }
  }
}
