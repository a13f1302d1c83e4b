/** Calls of one object on its own thread: an actor, comlink's remote object, a bare counter. */
import { measureActor, type BenchCase } from "../case.ts";

export const actorLatency: BenchCase = {
  name: "actor-latency",
  title: "actor call, one at a time",
  calls: { full: 5_000, quick: 500 },
  figures: [{ key: "latency", unit: "us/call", heading: "latency", compared: true }],
  lanes(system) {
    if (system.startActor === undefined) return [];
    return [
      {
        row: system.name,
        async sample(calls) {
          const rate = await measureActor(system, calls, 1);
          return { values: { latency: rate.usPerCall }, wrong: rate.wrong };
        },
      },
    ];
  },
};

export const actorPipelined: BenchCase = {
  name: "actor-pipelined",
  title: "actor calls, 1000 in flight",
  calls: { full: 40_000, quick: 5_000 },
  figures: [{ key: "rate", unit: "calls/s", heading: "rate", compared: true }],
  lanes(system) {
    if (system.startActor === undefined) return [];
    return [
      {
        row: system.name,
        async sample(calls) {
          const rate = await measureActor(system, calls, 1000);
          return { values: { rate: rate.perSecond }, wrong: rate.wrong };
        },
      },
    ];
  },
};
