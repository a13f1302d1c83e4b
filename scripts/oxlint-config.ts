/** The linter's configuration as a value: general rules, then one set of import rules per layer. */
import { type Layer, layers, machineFolders, patternsOf } from "./oxlint-layers.ts";

type Rules = Record<string, unknown>;
interface Override {
  readonly files: readonly string[];
  readonly rules: Rules;
}
export interface OxlintConfig {
  readonly $schema: string;
  readonly plugins: readonly string[];
  readonly categories: Record<string, string>;
  readonly env: Record<string, boolean>;
  readonly ignorePatterns: readonly string[];
  readonly rules: Rules;
  readonly overrides: readonly Override[];
}

const general: Rules = {
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-control-regex": "off",
  "unicorn/no-new-array": "off",
  // A copy lets a loop change what it walks over.
  "unicorn/no-useless-spread": "off",
  "import/no-cycle": "error",
  "import/no-self-import": "error",
  "import/no-duplicates": "error",
  "unicorn/filename-case": ["error", { case: "kebabCase" }],
  "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
  "max-params": ["error", { max: 4 }],
  "max-lines": ["error", { max: 500 }],
  "max-lines-per-function": ["error", { max: 70, skipComments: true, skipBlankLines: true }],
};

/** A machine is told the time, given a seeded generator, and asks its host for everything else. */
const machineGlobals = [
  ["Date", "Time comes in as nowMs."],
  ["performance", "Time comes in as nowMs."],
  ["setTimeout", "Tell nextDeadlineMs."],
  ["setInterval", "Tell nextDeadlineMs."],
  ["setImmediate", "The host decides when to run."],
  ["queueMicrotask", "The host decides when to run."],
  ["Promise", "Machines do not wait: send, or give an instruction."],
  ["process", "Machines know no process."],
  ["console", "Machines do not print."],
  ["crypto", "Take a seeded generator by the constructor."],
  ["FinalizationRegistry", "Garbage collection comes in as an event."],
  ["WeakRef", "Garbage collection comes in as an event."],
  ["globalThis", "Name what you use."],
].map(([name, message]) => ({ name, message }));

const machineTypes = {
  Promise: { message: "Machines do not wait: send, or give an instruction." },
  PromiseLike: { message: "Machines do not wait: send, or give an instruction." },
};

const machineRules: Rules = {
  "typescript/no-restricted-types": ["error", { types: machineTypes }],
  "no-restricted-globals": ["error", ...machineGlobals],
  "no-restricted-properties": [
    "error",
    {
      object: "Math",
      property: "random",
      message: "Take a seeded generator by the constructor.",
    },
  ],
};

function overrideOf(layer: Layer): Override {
  const patterns = patternsOf(layer);
  return { files: layer.files, rules: { "no-restricted-imports": ["error", { patterns }] } };
}

export const oxlintConfig: OxlintConfig = {
  $schema: "./node_modules/oxlint/configuration_schema.json",
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import"],
  categories: { correctness: "error" },
  env: { builtin: true, node: true },
  ignorePatterns: ["dist/**", "test/types/programs/**"],
  rules: general,
  overrides: [
    { files: ["src/**"], rules: { "no-console": "error" } },
    {
      files: ["src/engine/**", "src/transports/**"],
      rules: { "typescript/no-explicit-any": "error" },
    },
    { files: machineFolders.map((folder) => `${folder}/**`), rules: machineRules },
    ...layers.map(overrideOf),
    { files: ["test/**"], rules: { "max-lines-per-function": "off" } },
  ],
};

/** The file's exact text. */
export function oxlintConfigText(): string {
  return `${JSON.stringify(oxlintConfig, null, 2)}\n`;
}
