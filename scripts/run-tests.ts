/** `npm test` */
import { runSteps } from "./steps.ts";
import { testSteps } from "./test-steps.ts";

runSteps(testSteps);
