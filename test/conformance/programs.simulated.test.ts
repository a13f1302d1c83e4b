/** The programs of every world, in simulated clusters: the oracles of simulate() watch them. */
import { describePrograms, simulated } from "./programs.suite.ts";

describePrograms("simulated", simulated);
