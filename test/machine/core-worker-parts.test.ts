/** The small containers of the engine against plain models. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteSlab } from "#engine/common/byte-slab.ts";
import { DeadlineQueue } from "#engine/common/deadline-queue.ts";
import { Deque } from "#engine/common/deque.ts";
import { type Linked, LinkedList } from "#engine/common/linked-list.ts";
import type { TaskRecord } from "#engine/core-worker/object-entry.ts";
import { PushStream } from "#engine/core-worker/push-stream.ts";
import type { PushTask } from "#engine/protocol/task.ts";
import { LocalTasks } from "#engine/services/local-tasks.ts";
import { CoreWorkerHarness } from "./core-worker-harness.ts";
import { driver, worker } from "./raylet-harness.ts";

describe("Deque", () => {
  it("is an array with two ends", () => {
    const step = fc.constantFrom("push", "unshift", "shift", "pop", "retain", "peek");
    const property = fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      for (const [i, name] of steps.entries()) {
        if (name === "push") expect(deque.push(i)).toBe(void model.push(i));
        else if (name === "unshift") expect(deque.unshift(i)).toBe(void model.unshift(i));
        else if (name === "shift") expect(deque.shift()).toBe(model.shift());
        else if (name === "pop") expect(deque.pop()).toBe(model.pop());
        else if (name === "peek") expect(deque.peek()).toBe(model[0]);
        else {
          deque.retain((item) => item % 3 !== 0);
          model.splice(0, model.length, ...model.filter((item) => item % 3 !== 0));
        }
        expect(deque.size).toBe(model.length);
      }
      expect([...deque]).toEqual(model);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

class Member implements Linked<Member> {
  newer: Member | null = null;
  older: Member | null = null;
}

describe("LinkedList", () => {
  it("is a set in the order of its members, as far as anybody can see", () => {
    const step = fc.record({ adds: fc.boolean(), at: fc.nat(4) });
    const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const members = Array.from({ length: 5 }, () => new Member());
      const list = new LinkedList<Member>();
      const model = new Set<Member>();
      for (const { adds, at } of steps) {
        const member = members[at] as Member;
        expect(list.has(member)).toBe(model.has(member));
        if (adds && !model.has(member)) {
          list.add(member);
          model.add(member);
        } else if (!adds && model.delete(member)) list.remove(member);
        const expected = [...model];
        expect([list.size, list.oldest === (expected[0] ?? null)]).toEqual([model.size, true]);
        expect([...list].map((one) => expected.indexOf(one))).toEqual([...expected.keys()]);
        expect([...list.newestFirst()].toReversed().every((one, i) => one === expected[i])).toBe(
          true,
        );
      }
      for (const member of model) list.remove(member);
      expect(members.every(({ newer, older }) => newer === null && older === null)).toBe(true);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

describe("DeadlineQueue", () => {
  const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 });

  it("gives what is due, soonest first, and nothing early", () => {
    const property = fc.property(times, fc.integer({ min: 0, max: 50 }), (dues, nowMs) => {
      const queue = new DeadlineQueue<number>();
      for (const dueMs of dues) queue.add(dueMs, dueMs);
      const taken: number[] = [];
      for (let due = queue.takeDue(nowMs); due !== undefined; due = queue.takeDue(nowMs)) {
        taken.push(due);
      }
      const sorted = [...dues].sort((a, b) => a - b);
      expect(taken).toEqual(sorted.filter((due) => due <= nowMs));
      expect(queue.nextMs()).toBe(sorted.find((due) => due > nowMs) ?? Infinity);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("forgets what is not to be kept", () => {
    const property = fc.property(times, (dues) => {
      const queue = new DeadlineQueue<number>();
      for (const dueMs of dues) queue.add(dueMs, dueMs);
      queue.retain((due) => due % 2 === 0);
      const kept = dues.filter((due) => due % 2 === 0).sort((a, b) => a - b);
      expect(queue.size).toBe(kept.length);
      for (const due of kept) expect(queue.takeDue(Infinity)).toBe(due);
      expect(queue.nextMs()).toBe(Infinity);
    });
    fc.assert(property, { numRuns: 100 });
  });
});

describe("ByteSlab", () => {
  it("keeps every string apart, small ones together and large ones alone", () => {
    const lengths = fc.array(fc.nat({ max: 10_000 }), { maxLength: 60 });
    const property = fc.property(lengths, (sizes) => {
      const slab = new ByteSlab();
      const kept = sizes.map((length, i) => {
        const source = new Uint8Array(length + 2).fill(i + 1);
        slab.append(source, 1, length);
        return { bytes: slab.bytes, start: slab.start, length, value: i + 1 };
      });
      for (const { bytes, start, length, value } of kept) {
        const part = bytes.subarray(start, start + length);
        expect(part.length === length && part.every((byte) => byte === (value & 0xff))).toBe(true);
        if (length >= 8192) expect(bytes.length).toBe(length);
      }
    });
    fc.assert(property, { numRuns: 50 });
  });
});

describe("PushStream", () => {
  const tasksOf = (h: CoreWorkerHarness, count: number): TaskRecord[] =>
    Array.from({ length: count }, () => h.task());

  it("is a map by seq whose newest can be taken back", () => {
    const step = fc.oneof(
      fc.constant({ type: "add" } as const),
      fc.record({ type: fc.constant("remove" as const), pick: fc.nat() }),
      fc.constant({ type: "takeBack" } as const),
    );
    const property = fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const h = new CoreWorkerHarness();
      const stream = new PushStream(1, worker(1));
      const model = new Map<number, TaskRecord>();
      for (const one of steps) {
        if (one.type === "add") {
          const [task] = tasksOf(h, 1);
          const seq = stream.nextSeq;
          stream.add(task as TaskRecord, seq + 1000);
          model.set(seq, task as TaskRecord);
        } else if (one.type === "remove" && stream.nextSeq > 0) {
          const seq = one.pick % stream.nextSeq;
          expect(stream.remove(seq)).toBe(model.get(seq));
          model.delete(seq);
        } else if (one.type === "takeBack" && model.has(stream.nextSeq - 1)) {
          const seq = stream.nextSeq - 1;
          expect(stream.newestPosition()).toBe(seq + 1000);
          expect(stream.removeNewest()).toBe(model.get(seq));
          expect(stream.nextSeq).toBe(seq);
          model.delete(seq);
        }
        expect(stream.inFlightCount).toBe(model.size);
        const inFlight = [...stream.inFlight()].map(({ task }) => task);
        expect(inFlight).toEqual([...model.values()]);
      }
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("does not grow because one task outlasts a million others", () => {
    const h = new CoreWorkerHarness();
    const stream = new PushStream(1, worker(1));
    const [slow, quick] = tasksOf(h, 2) as [TaskRecord, TaskRecord];
    stream.add(slow, 0);
    for (let i = 1; i <= 1_000_000; i++) {
      stream.add(quick, i);
      stream.remove(i);
    }
    const startMs = performance.now();
    expect([...stream.inFlight()].map(({ task }) => task)).toEqual([slow]);
    // Looking at what is in flight would walk through a million holes.
    expect(performance.now() - startMs).toBeLessThan(50);
    expect(stream.remove(0)).toBe(slow);
    expect([stream.inFlightCount, slow.stream]).toEqual([0, null]);
  });
});

describe("LocalTasks", () => {
  it("gives frames in order, but for those taken back", () => {
    const tasks = new LocalTasks();
    const frame = (seq: number) => ({ type: "pushTask", seq }) as unknown as PushTask;
    const positions = [0, 1, 2].map((seq) => tasks.add(driver, frame(seq)));
    expect(tasks.retract(positions[1] as number)).toBe(true);
    expect(tasks.retract(positions[1] as number)).toBe(false);
    expect(tasks.take()?.message.seq).toBe(0);
    expect(tasks.retract(positions[0] as number)).toBe(false);
    expect(tasks.take()?.message.seq).toBe(2);
    expect([tasks.take(), tasks.size]).toEqual([undefined, 0]);
  });
});
