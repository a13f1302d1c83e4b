/**
 * What user code leaves behind when it is over: timers that nobody clears. A process goes on with
 * them, but no world can wait for their end.
 *
 * The program goes on → it is over: once no task runs either, timers are upkeep, and a world with
 * nothing else is at rest → timers that keep it busy all the same are dropped with what made them.
 */
import { TaskContext } from "#api/task-context.ts";
import type { SimProcess } from "#sim/cluster/sim-node.ts";
import { isRunning, type UserContext } from "./user-context.ts";

export class Aftermath {
  readonly #processes: () => readonly SimProcess[];
  #programIsOver = false;
  #isCleared = false;

  constructor(processes: () => readonly SimProcess[]) {
    this.#processes = processes;
  }

  /** The program has ended, or goes no further. */
  onProgramOver(): void {
    this.#programIsOver = true;
  }

  /** From now on no timer fires whose program, task or constructor is over. */
  dropTimers(): void {
    this.#isCleared = true;
  }

  /** User code still runs somewhere: any timer may be what it waits for. */
  waitsForTimers(): boolean {
    return !this.#programIsOver || this.#processes().some(runsUserCode);
  }

  isDropped(context: UserContext): boolean {
    if (!this.#isCleared) return false;
    return !(context instanceof TaskContext && isRunning(context));
  }
}

function runsUserCode({ life, client }: SimProcess): boolean {
  if (!life.isAlive) return false;
  const { runningCount, actor } = client.core.receiver;
  return runningCount > 0 || actor?.maxConcurrency === 0;
}
