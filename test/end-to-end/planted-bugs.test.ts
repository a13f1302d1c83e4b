/**
 * Three bugs of the kinds that simulation is for, each planted into a copy of the sources: found by
 * the random programs, made small, told as a short story, and found again from seed and path.
 */
import { afterAll, describe, expect, test } from "vitest";
import { planted } from "../mutants/engine-mutants.ts";
import type { Hunted, Shrunk } from "../mutants/hunt.ts";
import { MutatedTree } from "../mutants/mutated-tree.ts";

const seedsMax = 2_000;
const limitMs = 300_000;

describe("a planted bug", () => {
  const tree = new MutatedTree();
  afterAll(() => tree.remove());

  test.each(planted.map((mutant) => [mutant.name, mutant] as const))(
    "%s",
    { timeout: limitMs },
    async (_, mutant) => {
      tree.plant(mutant);
      const args = ["0", String(seedsMax), "shrink"];
      const { status, lines, errors } = await tree.run("test/mutants/hunt.ts", args, limitMs);
      expect({ status, errors }).toEqual({ status: 0, errors: "" });
      const [hunted, shrunk] = lines.slice(-2).map((line) => JSON.parse(line) as unknown) as [
        Hunted,
        Shrunk,
      ];
      expect(hunted.signature).not.toBeNull();
      expect(hunted.seeds).toBeLessThanOrEqual(seedsMax);
      expect(shrunk.signature).toBe(hunted.signature);
      expect(shrunk.replayedSignature).toBe(hunted.signature);
      expect(shrunk.faults).toBeLessThanOrEqual(3);
      expect(shrunk.choices).toBeLessThanOrEqual(5);
      expect(shrunk.story.length).toBeGreaterThan(0);
      expect(shrunk.story.length).toBeLessThanOrEqual(20);
      console.log(`${mutant.name}: ${JSON.stringify(hunted)}\n${shrunk.story.join("\n")}`);
    },
  );
});
