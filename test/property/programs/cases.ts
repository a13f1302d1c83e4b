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
  const wanted = kinds === undefined ? {} : { kinds };
  const plan = faults({ nodes, withinMs, maxFaults: 5, ...wanted });
  const crashes = faults({ nodes, withinMs, maxFaults: 2, kinds: ["crashAfter"] });
  // What a crash leaves half done is seen where others are slow to hear of it.
  const slow = faults({ nodes, withinMs, maxFaults: 3, kinds: ["slowLink", "hold"] });
  const moments = fc.tuple(crashes, slow).map(([first, second]) => [...first, ...second]);
  return fc
    .record({
      seed: fc.noShrink(fc.nat()),
      numCpus: fc.constantFrom(2, 1, 3, 4),
      systemConfig: settings,
      plan: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 3, arbitrary: plan },
        { weight: kinds === undefined ? 3 : 0, arbitrary: moments },
      ),
      order: choices(),
      program: fc.oneof(
        { weight: 2, arbitrary: programs() },
        { weight: nodes > 1 ? 1 : 0, arbitrary: programs({ isFar: true }) },
      ),
    })
    .map(({ seed, numCpus, systemConfig, plan: drawn, order, program }) => ({
      options: {
        seed,
        nodes,
        faults: drawn,
        choices: order,
        choicesOnly: true,
        init: { numCpus, systemConfig },
      },
      program: { ...program, body: onOneNode(program.body, numCpus) },
    }));
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
