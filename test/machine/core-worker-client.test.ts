/** The face of a core worker to the code of its process. */
import { describe, expect, it } from "vitest";
import { defaultConfig } from "#engine/common/config.ts";
import { gcsAddress } from "#engine/common/ids.ts";
import { CoreWorker } from "#engine/core-worker/core-worker.ts";
import { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { ArenaWriter } from "#engine/services/arena-writer.ts";
import { CoreWorkerClient, PendingCall } from "#engine/services/core-worker-client.ts";
import { Host } from "#engine/services/host.ts";
import { driver, nodeId } from "./raylet-harness.ts";

/** Counts how often it is settled. */
class CountedCall extends PendingCall {
  settledCount = 0;

  override onSettled(): void {
    this.settledCount += 1;
  }

  override onClosed(): void {
    throw new Error("it was settled");
  }
}

describe("CoreWorkerClient", () => {
  it("settles calls for what is here without an event, none of a process that has ended", () => {
    const host = new Host({ nowMs: () => 0, wakeAt: () => {}, soon: () => {} }, true);
    const context = { self: driver, raylet: nodeId, gcs: gcsAddress, config: defaultConfig };
    const core = new CoreWorker(context);
    const unused = (): never => {
      throw new Error("nobody calls it");
    };
    const client = new CoreWorkerClient({
      host,
      core,
      arena: {} as ArenaWriter,
      reclaimer: { watch: unused, unwatch: unused, remember: unused, recall: unused },
      dropSegment: unused,
      watchRef: unused,
      referredTo: unused,
      judge: unused,
      copyBuffers: unused,
      forgetPeer: unused,
      keepAlive: () => {},
    });
    const entry = client.putObject(1);
    const events: string[] = [];
    const handle = core.handle.bind(core);
    core.handle = (event, nowMs, out) => {
      events.push(event.type);
      handle(event, nowMs, out);
    };
    const [met, late] = [0, 1].map(() => new CountedCall([entry], 1, true, Infinity));
    const waiting = new CountedCall([new ObjectEntry(driver, 9, 0)], 1, true, Infinity);
    if (met === undefined || late === undefined) throw new Error("two calls");
    client.awaitObjects(met);
    expect([met.settled, met.settledCount, events.length]).toEqual([true, 1, 0]);
    client.awaitObjects(waiting);
    expect([waiting.settled, events]).toEqual([false, ["awaitObjects"]]);
    host.close();
    client.awaitObjects(late);
    expect([late.settled, late.settledCount]).toEqual([false, 0]);
  });
});
