/** "mobula/sim": the deterministic simulator. */
export { simulate } from "./simulate.ts";
export type { Fault } from "./faults/fault.ts";
export type { NodeSpec, SimOptions, SimReport, Simulation } from "./options.ts";
