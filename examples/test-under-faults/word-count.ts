/**
 * The code under test: counts words with tasks of tasks. A task here has no side effect, so one
 * that was lost with its worker or node is simply run again.
 */
import { get, NodeDiedError, type ObjectRef, remote, WorkerCrashedError } from "mobula";

export type Counts = Record<string, number>;

const attemptsMax = 20;

export const countWords = remote(async (texts: readonly string[]): Promise<Counts> => {
  if (texts.length <= 1) return countHere(texts[0] ?? "");
  const middle = texts.length >> 1;
  const halves = [texts.slice(0, middle), texts.slice(middle)];
  const counts = await Promise.all(halves.map((half) => insist(() => countWords.remote(half))));
  return merge(counts);
});

/** Runs a task again for as long as it gets lost, not when it throws. */
export async function insist<T>(submit: () => ObjectRef<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await get(submit());
    } catch (error) {
      const isLost = error instanceof WorkerCrashedError || error instanceof NodeDiedError;
      if (!isLost || attempt === attemptsMax) throw error;
    }
  }
}

export function countHere(text: string): Counts {
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  return merge(words.map((word) => ({ [word]: 1 })));
}

function merge(parts: readonly Counts[]): Counts {
  const total = new Map<string, number>();
  for (const part of parts) {
    for (const [word, count] of Object.entries(part)) {
      total.set(word, (total.get(word) ?? 0) + count);
    }
  }
  return Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1)));
}
