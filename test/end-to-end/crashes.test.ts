/** Worker threads that end in the middle of their work. */
import { describePrograms } from "../conformance/programs.suite.ts";

describePrograms("threads", ["crashes", "lost-workers", "cancel-force"]);
