/**
 * A case is all that a run depends on, as independent values that shrink: a program, the size and
 * settings of its world, faults, choices.
 */
import * as fc from "fast-check";
import { choices, faults } from "#sim/fast-check.ts";
import type { Fault } from "#sim/fault.ts";
import type { SimOptions } from "#sim/options.ts";
import { programs } from "./arbitrary.ts";
import type { Body, Program, Step } from "./description.ts";

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

/** Most programs are over in so many virtual milliseconds. */
const withinMs = 60;

export function cases(nodes: number, kinds?: readonly Fault["kind"][]): fc.Arbitrary<Case> {
  const plan = kinds === undefined ? plans(nodes) : plansOf(nodes, kinds, 5);
  return fc
    .record({
      seed: fc.noShrink(fc.nat()),
      numCpus: fc.constantFrom(2, 1, 3, 4),
      systemConfig: settings,
      plan: fc.oneof(
        { weight: 1, arbitrary: fc.constant<Fault[]>([]) },
        { weight: 4, arbitrary: plan },
      ),
      order: choices(),
      program:
        nodes === 1 ? programs() : fc.oneof(programs(), programs({ isFar: true }).map(later)),
    })
    .map(({ seed, numCpus, systemConfig, plan: drawn, order, program }) => ({
      options: {
        seed,
        nodes,
        faults: drawn.map((fault) => ({ ...fault, at: fault.at + startMs(program) })),
        choices: order,
        choicesOnly: true,
        init: { numCpus, systemConfig },
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
        ["objectsKept", "receiver"],
        ["pinCopy", "receiver"],
      ] as const),
    ),
    skip: fc.nat(3),
  })
  .map(({ moment: [method, who], skip }) => {
    return { at: 0, kind: "crashAfter", method, who, skip, count: 1, wholeNode: true };
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

/** Of every kind, or of few that go together: what one leaves half done others hear of late. */
function plans(nodes: number): fc.Arbitrary<Fault[]> {
  const slow = plansOf(nodes, ["slowLink", "hold"], 2);
  const moments = together(notEmpty(plansOf(nodes, ["crashAfter"], 2)), slow);
  const any = plansOf(nodes, undefined, 5);
  const lendings = together(fc.array(endOfSender, { minLength: 1, maxLength: 2 }), slow);
  if (nodes === 1) return fc.oneof(any, moments, lendings);
  const lost = fc.array(lossOfNode, { minLength: 1, maxLength: 2 });
  const losses = together(together(plansOf(nodes, ["crash"], 1), lost), slow);
  return fc.oneof(any, moments, lendings, losses);
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
