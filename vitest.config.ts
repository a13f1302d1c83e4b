import { defineConfig } from "vitest/config";

/** Tests read the sources directly; end-to-end tests import the built package, as a user would. */
export default defineConfig({
  resolve: { conditions: ["mobula-source"] },
  ssr: { resolve: { conditions: ["mobula-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/types/**"],
    setupFiles: ["test/fixed-seed.ts"],
    testTimeout: 30_000,
    pool: "threads",
  },
});
