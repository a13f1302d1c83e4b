/** What asks a clock by itself tells the time of the simulated machine as well. */
import { hrtime, uptime } from "node:process";
import { expect, test, vi } from "vitest";
import { inWorld } from "./in-world.ts";

test("Intl.DateTimeFormat formats the now of its machine", async () => {
  const { texts, today, isOne } = await inWorld(
    async (sim) => {
      const day = new Intl.DateTimeFormat("en-CA", { timeZone: "UTC" });
      await sim.sleep(24 * 60 * 60_000 - 11_000);
      const before = day.format();
      await sim.sleep(11_000);
      const parts = day.formatToParts().map(({ value }) => value);
      const texts = [before, day.format(), parts.join(""), day.format(0), day.formatToParts(0)];
      return { texts, today: day.format(Date.now()), isOne: day.format === day.format };
    },
    { maxVirtualMs: 1e9 },
  );
  expect(texts.slice(0, 4)).toEqual(["2026-01-01", "2026-01-02", "2026-01-02", "1970-01-01"]);
  expect(texts[4]).toContainEqual({ type: "year", value: "1970" });
  expect([today, isOne]).toEqual(["2026-01-02", true]);
});

test("events, marks and what is imported from node:process", async () => {
  const seen = await inWorld(async (sim) => {
    class Own extends Event {}
    await sim.sleep(12.5);
    const events = [new Event("a"), new CustomEvent("b", { detail: 1 }), new Own("c")];
    const controller = new AbortController();
    let aborted: Event | undefined;
    controller.signal.addEventListener("abort", (event) => {
      aborted = event;
      events.push(event);
      expect(event.timeStamp).toBe(performance.now());
    });
    controller.abort();
    const marked = Reflect.construct(PerformanceMark, ["mark"]) as { startTime: number };
    await sim.sleep(10);
    expect(events[1]).toBeInstanceOf(Event);
    return {
      stamps: events.map(({ timeStamp }) => timeStamp),
      isAborted: aborted?.type,
      marked: marked.startTime,
      clocks: [hrtime(), Number(hrtime.bigint()), uptime()],
    };
  });
  expect(seen.stamps).toEqual([12.5, 12.5, 12.5, 12.5]);
  expect(seen).toMatchObject({ isAborted: "abort", marked: 12.5 });
  expect(seen.clocks).toEqual([[0, 22_500_000], 22_500_000, 0.0225]);
});

test("Temporal.Now, where there is one", async () => {
  const instant = (ms: number) => ({
    ms,
    toZonedDateTimeISO: (zone: string) => ({
      zone,
      ms,
      toPlainDateTime: () => ({ dateTime: ms }),
      toPlainDate: () => ({ date: ms, zone }),
      toPlainTime: () => ({ time: ms }),
    }),
  });
  const names = ["instant", "zonedDateTimeISO", "plainDateTimeISO", "plainDateISO", "plainTimeISO"];
  const real = Object.fromEntries(names.map((name) => [name, () => "real"]));
  const Now: Record<string, (zone?: string) => unknown> = { ...real, timeZoneId: () => "here" };
  const stub = { Instant: { fromEpochMilliseconds: instant }, Now };
  vi.stubGlobal("Temporal", stub);
  try {
    const seen = await inWorld(async () => {
      const found = names.map((name) => JSON.stringify(Now[name]?.()));
      const abroad = JSON.stringify(Now["plainDateISO"]?.("there"));
      return { ms: Date.now(), found: [...found, abroad].map((text) => JSON.parse(text)) };
    });
    const { ms } = seen;
    expect(seen.found).toEqual([
      { ms },
      { zone: "here", ms },
      { dateTime: ms },
      { date: ms, zone: "here" },
      { time: ms },
      { date: ms, zone: "there" },
    ]);
    expect(Now["instant"]?.()).toBe("real");
  } finally {
    vi.unstubAllGlobals();
  }
});
