/**
 * A property test under faults: whatever crashes, stalls or comes late, the count is right. When it
 * fails, fast-check shrinks the texts, the faults and the order of events to less of the failure
 * that `check()` has found, not to another one. The error says how to run exactly that again.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { simulate } from "mobula/sim";
import { simOptions } from "mobula/sim/fast-check";
import { countHere, countWords, insist } from "./word-count.ts";

const words = fc.array(fc.constantFrom("ant", "bee", "cat"), { maxLength: 6 });
const texts = fc.array(
  words.map((list) => list.join(" ")),
  { minLength: 1, maxLength: 8 },
);

test("every word is counted once, whatever fails", { timeout: 60_000 }, () =>
  fc.assert(
    fc.asyncProperty(texts, simOptions({ nodes: 3 }), async (given, options) => {
      const report = await simulate(options, () => insist(() => countWords.remote(given)));
      expect(report.check()).toEqual(countHere(given.join(" ")));
    }),
    { numRuns: 100 },
  ),
);
