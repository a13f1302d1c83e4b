/** The programs of every world, on worker threads. */
import { describePrograms } from "./programs.suite.ts";

describePrograms("threads");
