import { type BenchCase } from "../case.ts";
import { summarize } from "../measure.ts";

/** A busy loop that is cancelled by force: when its ref ends, and when what waited behind it. */
export const forceCancel: BenchCase = {
  name: "force-cancel",
  title: "forced cancel of a busy loop, 16 tasks behind it",
  calls: { full: 10, quick: 3 },
  figures: [
    { key: "refMs", unit: "ms", heading: "its ref" },
    { key: "neighboursMs", unit: "ms", heading: "the tasks behind" },
  ],
  lanes(system) {
    const { startLoops } = system;
    if (startLoops === undefined) return [];
    return [
      {
        row: system.name,
        async sample(calls) {
          const loops = await startLoops();
          try {
            // The first one compiles what is measured.
            await loops.cancelOne();
            const taken = [];
            for (let i = 0; i < calls; i++) taken.push(await loops.cancelOne());
            const refMs = summarize(taken.map((one) => one.refMs)).median;
            const neighboursMs = summarize(taken.map((one) => one.neighboursMs)).median;
            const wrong = taken.reduce((sum, one) => sum + one.wrong, 0);
            return { values: { refMs, neighboursMs }, wrong };
          } finally {
            await loops.stop();
          }
        },
      },
    ];
  },
};
