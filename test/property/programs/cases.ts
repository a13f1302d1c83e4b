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
});

/** Most programs are over in so many virtual milliseconds. */
const withinMs = 60;

export function cases(nodes: number, kinds?: readonly Fault["kind"][]): fc.Arbitrary<Case> {
  const wanted = kinds === undefined ? {} : { kinds };
  const plan = faults({ nodes, withinMs, maxFaults: 5, ...wanted });
  return fc
    .record({
      seed: fc.noShrink(fc.nat()),
      numCpus: fc.constantFrom(2, 1, 3, 4),
      systemConfig: settings,
      plan: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: plan }),
      order: choices(),
      program: programs(),
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
