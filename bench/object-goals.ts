/** What the project promises of objects on threads. */
import { atLeast, atMost, type Goal } from "./goals.ts";
import type { Summary } from "./measure.ts";

export function judgeObjectGoals(figures: Readonly<Record<string, Summary>>): readonly Goal[] {
  const of = (figure: string): Summary | undefined => figures[figure];
  return [
    atLeast(0.8, "put of 100 MB, rate over a warm TypedArray.set", of("largePutOfSet")),
    atMost(50, "first get by another thread, us, 1 KB", of("getElsewhereUs1000")),
    atMost(50, "first get by another thread, us, 30 KB", of("getElsewhereUs30000")),
    atMost(50, "first get by another thread, us, 1 MB", of("getElsewhereUs1000000")),
    atMost(50, "first get by another thread, us, 100 MB", of("getElsewhereUs100000000")),
    atMost(50, "… as the first act of its task, us, 1 KB", of("coldGetElsewhereUs1000")),
    atMost(50, "… as the first act of its task, us, 30 KB", of("coldGetElsewhereUs30000")),
    atMost(50, "… as the first act of its task, us, 1 MB", of("coldGetElsewhereUs1000000")),
    atMost(50, "… as the first act of its task, us, 100 MB", of("coldGetElsewhereUs100000000")),
    atLeast(200_000, "small puts a second (Ray: 5,238)", of("putPerSecond")),
    atLeast(500_000, "small gets a second (Ray: 10,394)", of("getPerSecond")),
    atLeast(20, "gets of 10,000 refs a second (Ray: 13)", of("tenThousandRefsPerSecond")),
    atLeast(50, "waits for 1,000 tasks, one by one, a second (Ray: 5)", of("waitLoopsPerSecond")),
    atMost(1, "seconds for 10,000 object arguments (Ray: 17.2)", of("argumentsSeconds")),
    atMost(1, "seconds for 3,000 results (Ray: 5.7)", of("resultsSeconds")),
  ];
}
