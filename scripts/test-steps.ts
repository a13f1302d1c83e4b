/** What a change needs: about a minute. */
import { vitestStep, type Step } from "./steps.ts";

export const testSteps: readonly Step[] = [
  { name: "build", command: ["tsc", "-p", "tsconfig.build.json"] },
  { name: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "programs", command: ["tsx", "scripts/check-types.ts"] },
  { name: "lint", command: ["oxlint", "--deny-warnings"] },
  vitestStep("engine", [
    ...["test/tidy", "test/machine", "test/property", "test/conformance"],
    ...["test/scenario", "test/mutants"],
  ]),
];
