/** The programs of every world, in local mode. */
import { describePrograms } from "./programs.suite.ts";

describePrograms("local");
