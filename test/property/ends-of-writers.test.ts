/**
 * A process that ends while it writes a file for itself: what it leaves is removed, whether it was
 * whole or not; whoever asks for the value is told of the death, and others go on.
 */
import { describe, expect, test } from "vitest";
import { WorkerCrashedError } from "#api/errors.ts";
import { get, put } from "#api/get.ts";
import { remote } from "#api/remote.ts";
import type { ObjectRef } from "#api/types.ts";
import type { Fault } from "#sim/faults/fault.ts";
import { fileMoments } from "#sim/faults/moments.ts";
import type { SimReport } from "#sim/options.ts";
import { simulate } from "#sim/simulate.ts";

/** Of which two fill the store; what does not fit has nowhere to go but to a file. */
const length = 400_000;
const init = { objectStoreMemory: 1 << 20, systemConfig: { fallbackBytesMax: 0 } };
const textOf = (n: number): string => `${n} `.repeat(length).slice(0, length);

const putMany = remote({ maxRetries: 0 }, (count: number) => {
  return Array.from({ length: count }, (_, n) => put(textOf(n))).length;
});
/** It goes on as if nothing had been. */
const putStubbornly = remote({ maxRetries: 0 }, (count: number) => {
  for (let n = 0; n < count; n++) {
    try {
      put(new Uint8Array(length - n * 1_000));
    } catch {
      // It has ended.
    }
  }
  return count;
});
const callWithMany = remote({ maxRetries: 0 }, (count: number) => {
  return Array.from({ length: count }, (_, n) => lengthOf.remote(textOf(n))).length;
});
const lengthOf = remote((text: string) => text.length);

type Moment = Extract<Fault, { kind: "crashAfter" }>;

function runWith<R>(
  moment: Partial<Moment>,
  program: () => Promise<R>,
  nodes = 1,
): Promise<SimReport<R>> {
  const fault: Moment = {
    at: 0,
    kind: "crashAfter",
    method: "fileBegun",
    who: "sender",
    skip: 1,
    count: 1,
    wholeNode: false,
    ...moment,
  };
  return simulate({ seed: 5, nodes, init, faults: [fault] }, program);
}

async function lossOf<T>(ref: ObjectRef<T>): Promise<unknown> {
  return get(ref).then(
    () => "nothing",
    (error: unknown) => error,
  );
}

describe.each(fileMoments)("at %s", (method) => {
  test.each([
    ["puts", putMany],
    ["calls", callWithMany],
    ["puts, and catches what it can", putStubbornly],
  ])("a task that %s: its file is removed", async (_, task) => {
    const report = await runWith({ method }, async () => {
      return [await lossOf(task.remote(6)), await get(lengthOf.remote(textOf(9)))];
    });
    const [error, whole] = report.check();
    expect(error).toBeInstanceOf(WorkerCrashedError);
    expect(whole).toBe(length);
    expect(report.reached).toEqual(expect.arrayContaining(["endedWhileWriting", "fileLeft"]));
    expect(report.faultsFired).toBe(1);
  });

  test("the driver", async () => {
    const report = await runWith({ method, driver: true }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      Array.from({ length: 6 }, (_, n) => put(textOf(n)));
    });
    expect(report.violations).toEqual([]);
    expect(report.reached).toEqual(
      expect.arrayContaining(["driverCrashed", "endedWhileWriting", "fileLeft"]),
    );
  });

  test("a task, and its node with it", async () => {
    const elsewhere = { schedulingStrategy: "SPREAD", maxRetries: 0 } as const;
    const far = putMany.options(elsewhere);
    const report = await runWith(
      { method, wholeNode: true, count: 3 },
      async () => {
        // Until every node knows of the others.
        await new Promise((resolve) => setTimeout(resolve, 100));
        return Promise.all([1, 2, 3].map(() => lossOf(far.remote(6))));
      },
      2,
    );
    expect(report.check()).toHaveLength(3);
    expect(report.reached).toEqual(expect.arrayContaining(["endedWhileWriting", "nodeCrashed"]));
  });
});
