/**
 * A case is all that a run depends on, as independent values that shrink: a program, the size and
 * settings of its world, faults, choices.
 */
import * as fc from "fast-check";
import type { Config } from "#engine/common/config.ts";
import { choices, faults } from "#sim/fast-check.ts";
import type { Fault } from "#sim/faults/fault.ts";
import type { SimOptions } from "#sim/options.ts";
import { programs } from "./arbitrary.ts";
import type { Body, Program, Step } from "./description.ts";
import { crowds } from "./patterns.ts";

export interface Case {
  readonly options: SimOptions;
  readonly program: Program;
}

/** Settings of the engine that move its paths; shrink to the first, which is the default. */
const settings = fc.record({
  inlineBytesMax: fc.constantFrom(65_536, 1_024, 64),
  pipelineAheadMs: fc.constantFrom(1, 50),
  pipelineDepthMax: fc.constantFrom(1024, 4, 1),
  pendingLeaseRequestsMax: fc.constantFrom(10, 1),
  idleLeaseMs: fc.constantFrom(500, 5),
  leaseTurnMs: fc.constantFrom(500, 10, 1),
  forceGraceMs: fc.constantFrom(100, 10, 0),
  deadlockProbeMs: fc.constantFrom(200, 1),
  pullChunkBytes: fc.constantFrom(5 << 20, 1_000, 100),
  pullBytesInFlightMax: fc.constantFrom(64 << 20, 2_000),
  copyLingerMs: fc.constantFrom(1_000, 5),
});

interface Drawn {
  readonly systemConfig: Partial<Config>;
  readonly objectStoreMemory?: number;
  readonly plan: readonly Fault[];
  readonly program: Program;
}

/** Most programs are over in so many virtual milliseconds. */
const withinMs = 60;

/** Where large values lie in stores, and copies are not kept for long. */
const farSettings = fc.record({
  inlineBytesMax: fc.constantFrom(1_024, 64),
  copyLingerMs: fc.constantFrom(1_000, 5, 1, 1),
});

/** Where stores are small, and whatever nobody reads is written to the disk. */
const fullSettings = fc.record({
  spillThreshold: fc.constantFrom(0.8, 0.3, 0.01, 0.01),
  minSpillBytes: fc.constantFrom(100 << 20, 1),
});
const smallStoreBytes = 1 << 20;
/** Seven fit. */
const largeInSmallStore = 150_000;

/** Values that others know the place of are moved, and come back elsewhere. */
function fullCases(nodes: number): fc.Arbitrary<Drawn> {
  return fc.record({
    systemConfig: fc
      .tuple(settings, farSettings, fullSettings)
      .map(([all, far, full]) => ({ ...all, ...far, ...full })),
    objectStoreMemory: fc.constant(smallStoreBytes),
    plan: together(notEmpty(squeezes(nodes)), plansOf(nodes, ["slowLink", "hold"], 2)),
    program: fc
      .tuple(fc.array(crowds(largeInSmallStore), { minLength: 1, maxLength: 2 }), programs())
      .map(([steps, program]) => {
        // Each task would be lent the actors, and give them back: more than a slow driver reads.
        return later({ ...program, actorCount: 0, body: { steps, result: program.body.result } });
      }),
  });
}

function kindsOf(
  nodes: number,
  near: fc.Arbitrary<Drawn>,
  far: () => fc.Arbitrary<Drawn>,
): fc.Arbitrary<Drawn> {
  const others = nodes === 1 ? [near] : [near, far()];
  return fc.oneof(...others.map((arbitrary) => ({ weight: 2, arbitrary })), {
    weight: 1,
    arbitrary: fullCases(nodes),
  });
}

export function cases(nodes: number, kinds?: readonly Fault["kind"][]): fc.Arbitrary<Case> {
  const given = kinds === undefined ? null : plansOf(nodes, kinds, 5);
  const near: fc.Arbitrary<Drawn> = fc.record({
    systemConfig: settings,
    plan: given ?? plans(nodes),
    program: programs(),
  });
  const far = (): fc.Arbitrary<Drawn> =>
    fc.record({
      systemConfig: fc.tuple(settings, farSettings).map(([all, some]) => ({ ...all, ...some })),
      plan: given ?? farPlans(nodes),
      program: programs({ isFar: true }).map(later),
    });
  return fc
    .record({
      seed: fc.noShrink(fc.nat()),
      numCpus: fc.constantFrom(2, 1, 3, 4),
      // Shrinks to none.
      hasFaults: fc.constantFrom(false, true, true, true, true),
      order: choices(),
      kind: kindsOf(nodes, near, far),
    })
    .map(({ seed, numCpus, hasFaults, order, kind: { plan, program, ...init } }) => ({
      options: {
        seed,
        nodes,
        // In a small store something may find no room: only where something is taken is that right.
        faults: (hasFaults || init.objectStoreMemory !== undefined ? plan : []).map((fault) => {
          return { ...fault, at: fault.at + startMs(program) };
        }),
        choices: order,
        choicesOnly: true,
        init: { numCpus, ...init },
      },
      program: { ...program, body: onOneNode(program.body, numCpus) },
    }));
}

/** When the nodes know of each other: before that nothing runs on another. */
const acquaintedMs = 100;

function later(program: Program): Program {
  const steps: Step[] = [{ op: "sleep", ms: acquaintedMs }, ...program.body.steps];
  return { ...program, body: { ...program.body, steps } };
}

function startMs({ body }: Program): number {
  const [first] = body.steps;
  return first?.op === "sleep" && first.ms === acquaintedMs ? acquaintedMs : 0;
}

/** What ends with a node is made anew when the others know of that, long after the rest is over. */
const afterVerdictsMs = 1_000;

/** A node ends when what its processes have made is about to be read elsewhere. */
const lossOfNode: fc.Arbitrary<Fault> = fc
  .record({
    moment: fc.constantFrom(
      ...([
        ["pullChunk", "receiver"],
        ["pullChunk", "receiver"],
        ["chunk", "sender"],
      ] as const),
      ...([
        ["taskReply", "sender"],
        ["taskReply", "sender"],
        ["objectsKept", "receiver"],
        ["pinCopy", "receiver"],
      ] as const),
    ),
    skip: fc.nat(3),
    at: fc.constantFrom(0, 0, afterVerdictsMs),
  })
  .map(({ moment: [method, who], skip, at }) => {
    return { at, kind: "crashAfter", method, who, skip, count: 1, wholeNode: true };
  });

/** A process ends when it has just sent refs on, borrowed ones too, or told of what it stored. */
const endOfSender: fc.Arbitrary<Fault> = fc
  .record({
    method: fc.constantFrom(...(["pushTask", "pushTask", "taskReply", "objectSealed"] as const)),
    skip: fc.nat(6),
    count: fc.integer({ min: 1, max: 2 }),
  })
  .map((moment) => {
    return { at: 0, kind: "crashAfter", who: "sender", wholeNode: false, ...moment };
  });

/** When values lie about: some have just been made, of others copies are idle. */
const whileFarMs = fc.integer({ min: 3, max: 70 });

/** A node ends while what was made there is still to be read. */
function crashes(nodes: number): fc.Arbitrary<Fault[]> {
  const crash = fc.record(
    {
      at: whileFarMs,
      kind: fc.constant("crash" as const),
      node: fc.integer({ min: 1, max: nodes - 1 }),
      restartAfterMs: fc.integer({ min: 0, max: 20_000 }),
    },
    { requiredKeys: ["at", "kind", "node"] },
  );
  return fc.array(crash, { maxLength: 2 });
}

/** Room in the stores of some nodes is taken again and again: copies there go, and come again. */
function squeezes(nodes: number): fc.Arbitrary<Fault[]> {
  const squeeze = fc.record({
    at: whileFarMs,
    bytes: fc.constantFrom(1 << 25, 16 << 20, 12 << 20),
    forMs: fc.constantFrom(1, 3, 10),
  });
  return fc
    .record({
      on: fc.array(fc.nat(nodes - 1), { minLength: 1, maxLength: 2 }),
      times: fc.array(squeeze, { maxLength: 8, size: "max" }),
    })
    .map(({ on, times }) => {
      return times.map((one, i): Fault => {
        return { kind: "memoryPressure", node: on[i % on.length] ?? 0, ...one };
      });
    });
}

/** All that one machine says takes longer, or all that it hears. */
function slowMachines(nodes: number): fc.Arbitrary<Fault[]> {
  return fc
    .record({
      node: fc.nat(nodes - 1),
      steps: fc.subarray(Array.from({ length: nodes - 1 }, (_, i) => i + 1)),
      delayMs: fc.constantFrom(2, 10, 40),
      isDeaf: fc.boolean(),
    })
    .map(({ node, steps, delayMs, isDeaf }) =>
      steps.map((far): Fault => {
        const [from, to] = isDeaf ? [(node + far) % nodes, node] : [node, (node + far) % nodes];
        return { at: 0, kind: "slowLink", from, to, delayMs, forMs: 2_000 };
      }),
    );
}

/** Of every kind, or of few that go together: what one leaves half done others hear of late. */
function plans(nodes: number): fc.Arbitrary<Fault[]> {
  const slow = plansOf(nodes, ["slowLink", "hold"], 2);
  const moments = together(notEmpty(plansOf(nodes, ["crashAfter"], 2)), slow);
  const lendings = together(fc.array(endOfSender, { minLength: 1, maxLength: 2 }), slow);
  return fc.oneof(plansOf(nodes, undefined, 5), moments, lendings);
}

/** … and of what lies on other nodes: lost with them, or given up there. */
function farPlans(nodes: number): fc.Arbitrary<Fault[]> {
  const slow = fc.oneof(plansOf(nodes, ["slowLink", "hold"], 2), slowMachines(nodes));
  const lost = fc.array(lossOfNode, { maxLength: 2 });
  const losses = together(notEmpty(together(crashes(nodes), lost)), slow);
  const evictions = together(squeezes(nodes), slow);
  return fc.oneof(
    { weight: 3, arbitrary: plans(nodes) },
    { weight: 2, arbitrary: losses },
    { weight: 2, arbitrary: evictions },
  );
}

function plansOf(
  nodes: number,
  kinds: readonly Fault["kind"][] | undefined,
  maxFaults: number,
): fc.Arbitrary<Fault[]> {
  return faults({ nodes, withinMs, maxFaults, ...(kinds === undefined ? {} : { kinds }) });
}

function together(a: fc.Arbitrary<Fault[]>, b: fc.Arbitrary<Fault[]>): fc.Arbitrary<Fault[]> {
  return fc.tuple(a, b).map(([first, second]) => [...first, ...second]);
}

function notEmpty(plan: fc.Arbitrary<Fault[]>): fc.Arbitrary<Fault[]> {
  return plan.filter((list) => list.length > 0);
}

/** No task asks for more than a node has: it would wait for ever. */
function onOneNode({ steps, result }: Body, numCpus: number): Body {
  const fitting = steps.map((step): Step => {
    if (step.op !== "task") return step;
    const cpus = step.cpus > numCpus ? 1 : step.cpus;
    return { ...step, cpus, body: onOneNode(step.body, numCpus) };
  });
  return { steps: fitting, result };
}
