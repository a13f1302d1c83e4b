/** `npm run check`: all that CI does. */
import { runSteps, vitestStep } from "./steps.ts";
import { testSteps } from "./test-steps.ts";

const formatted = ["src", "test", "scripts", "bench", "examples"];

runSteps([
  ...testSteps,
  { name: "format", command: ["oxfmt", "--check", ...formatted] },
  vitestStep("end-to-end", ["test/end-to-end"]),
  vitestStep("package", ["test/package"]),
  { name: "sim", command: ["tsx", "scripts/sim.ts", "--ci"] },
]);
