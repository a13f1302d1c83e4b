/** The programs of every world, in local mode. */
import { describePrograms, everywhere, localOnly } from "./programs.suite.ts";

describePrograms("local", [...everywhere, ...localOnly]);
