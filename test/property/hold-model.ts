/**
 * The rules of holds alone, as small as they can be: one object, its owner (process 0), borrowers
 * who send the ref on, for good or with a task that they cover until its reply; messages in order
 * on each link, deaths that are told of at any time. Knows nothing of the engine; every rule can be
 * left out, to see what it is for.
 */
export interface Rules {
  /** A borrower sends a ref on only when the owner has made the hold. */
  readonly waits: boolean;
  /** The owner asks the holder of what a dead maker made, instead of deleting it at once. */
  readonly queries: boolean;
  /** Before it answers, the holder takes the maker for dead. */
  readonly fences: boolean;
  /** A maker gives up what it made for a message that will not be sent. */
  readonly abandons: boolean;
  /** A task's reply waits for a hold of its own, if the ref is used on. */
  readonly replyWaits: boolean;
}

export const allRules: Rules = {
  waits: true,
  queries: true,
  fences: true,
  abandons: true,
  replyWaits: true,
};

/** A kind of step, and two numbers that say who; see `step`. */
export type Step = readonly [kind: number, a: number, b: number];

type Message =
  /** The ref; `hold` is null when its owner sends it. */
  | { readonly type: "ref"; readonly hold: number | null }
  | { readonly type: "task"; readonly task: number }
  | { readonly type: "reply"; readonly task: number }
  | { readonly type: "create"; readonly hold: number; readonly holder: number }
  | { readonly type: "created"; readonly hold: number; readonly isGone: boolean }
  | { readonly type: "confirm"; readonly maker: number; readonly hold: number }
  | { readonly type: "release" }
  | { readonly type: "abandon"; readonly hold: number }
  | { readonly type: "query"; readonly maker: number }
  | { readonly type: "queried"; readonly maker: number };

interface Process {
  isAlive: boolean;
  /** JS refs. */
  refs: number;
  /** One hold at the owner is ours, or asked for. */
  isClaimed: boolean;
  /** … and we know that it is there. */
  isHeld: boolean;
  isDoomed: boolean;
  /** Counter of the hold that it waits for; 0 when for none. */
  askedForSelf: number;
  nextHold: number;
  /** Messages that wait for their hold: hold → receiver. */
  readonly waiting: Map<number, number>;
  /** Tasks that were sent and have not replied → executor; a ref each. */
  readonly sentTasks: Map<number, number>;
  /** Tasks that came and have not been replied to → sender, and whether they have ended. */
  readonly tasks: Map<number, { readonly from: number; hasEnded: boolean }>;
  readonly ended: Set<number>;
}

const owner = 0;

export class HoldModel {
  readonly reached = new Set<string>();
  readonly #rules: Rules;
  readonly #processes: Process[];
  readonly #links = new Map<string, Message[]>();
  /** Who has not been told of which death. */
  readonly #notices: { readonly to: number; readonly dead: number }[] = [];
  /** At the owner: holder → count. */
  readonly #holders = new Map<number, number>();
  /** `maker hold` → holder. */
  readonly #unconfirmed = new Map<string, number>();
  #isFreed = false;
  #taskCount = 0;

  constructor(processCount: number, rules: Rules) {
    this.#rules = rules;
    this.#processes = Array.from({ length: processCount }, (_, i) => ({
      isAlive: true,
      refs: i === owner ? 1 : 0,
      isClaimed: false,
      isHeld: false,
      isDoomed: false,
      askedForSelf: 0,
      nextHold: 1,
      waiting: new Map<number, number>(),
      sentTasks: new Map<number, number>(),
      tasks: new Map<number, { from: number; hasEnded: boolean }>(),
      ended: new Set<number>(),
    }));
  }

  /** One step, by three numbers; any numbers are a step, if only an empty one. */
  step([kind, a, b]: Step): void {
    const [from, to] = [a % this.#processes.length, b % this.#processes.length];
    // Most steps are deliveries: else nothing would ever arrive.
    if (kind < 9) this.#deliverOne(a * 7 + b);
    else if (kind < 13) this.#sendRef(from, to);
    else if (kind < 16) this.#sendTask(from, to);
    else if (kind < 18) this.#endTask(from);
    else if (kind < 20) this.#drop(from);
    else if (kind < 21) this.#cancel(from);
    else if (from !== owner && b % 4 === 0) this.#die(from);
    this.#checkNotEarly();
  }

  /** All that is under way arrives; then nobody needs the object any more. */
  toQuiet(): void {
    this.#deliverAll();
    for (const i of this.#processes.keys()) this.#endTasks(i);
    this.#deliverAll();
    for (const [i, process] of this.#processes.entries()) {
      if (i === owner || !process.isAlive || !process.isHeld) continue;
      check(this.#holders.get(i) === 1, `process ${i} is held ${this.#holders.get(i)} times`);
    }
    for (const i of this.#processes.keys()) while (this.#drop(i));
    this.#deliverAll();
    check(this.#unconfirmed.size === 0, "a hold is never confirmed");
    check(this.#holders.size === 0, "a hold is never given back");
    check(this.#isFreed, "nobody needs the object, and it is not freed");
  }

  #checkNotEarly(): void {
    for (const i of this.#processes.keys()) {
      if (!this.#counts(i)) continue;
      check(!this.#isFreed, `the object was freed while process ${i} had a ref to it`);
    }
  }

  /** It has a ref; and its own hold, or nobody has died who covered it. */
  #counts(i: number): boolean {
    const { isAlive, refs, isHeld, isDoomed } = this.#at(i);
    return isAlive && refs > 0 && (isHeld || !isDoomed);
  }

  /** With whoever covered its ref; until it has a hold of its own it may be lost. */
  #doomTasksOf(from: number): void {
    for (const [i, process] of this.#processes.entries()) {
      const isDoomed = [...process.tasks.values()].some((task) => task.from === from);
      if (!isDoomed || process.isDoomed) continue;
      process.isDoomed = true;
      if (!process.isHeld) this.#doomTasksOf(i);
    }
  }

  #deliverAll(): void {
    while (this.#deliverOne(0)) this.#checkNotEarly();
  }

  // ------------------------------------------------------------ what processes do

  #maySend(from: number, to: number): boolean {
    if (from === to || to === owner || this.#at(from).ended.has(to)) return false;
    return this.#at(from).isAlive && this.#ownRefs(from) > 0;
  }

  /** Without those of messages that wait and of tasks that run. */
  #ownRefs(i: number): number {
    const { refs, waiting, sentTasks } = this.#at(i);
    return refs - waiting.size - sentTasks.size;
  }

  #sendRef(from: number, to: number): void {
    const sender = this.#at(from);
    if (!this.#maySend(from, to)) return;
    if (from === owner) {
      this.#hold(to);
      this.#send(from, to, { type: "ref", hold: null });
      return;
    }
    const hold = sender.nextHold++;
    this.#send(from, owner, { type: "create", hold, holder: to });
    if (this.#rules.waits) {
      sender.waiting.set(hold, to);
      // Ours lasts until that one is there.
      sender.refs += 1;
    } else this.#send(from, to, { type: "ref", hold });
  }

  /** The executor gets the ref with the task, and we keep ours until it replies. */
  #sendTask(from: number, to: number): void {
    const sender = this.#at(from);
    if (!this.#maySend(from, to)) return;
    const task = this.#taskCount++;
    sender.refs += 1;
    sender.sentTasks.set(task, to);
    this.#send(from, to, { type: "task", task });
  }

  /** The oldest that has not. */
  #endTask(i: number): void {
    const { isAlive, tasks } = this.#at(i);
    const running = [...tasks.values()].find(({ hasEnded }) => !hasEnded);
    if (!isAlive || running === undefined) return;
    running.hasEnded = true;
    this.#replyIfHeld(i);
  }

  #endTasks(i: number): void {
    for (const task of this.#at(i).tasks.values()) task.hasEnded = true;
    if (this.#at(i).isAlive) this.#replyIfHeld(i);
  }

  #replyIfHeld(i: number): void {
    const { refs, isHeld, tasks } = this.#at(i);
    if (refs > 0 && !isHeld && this.#rules.replyWaits) return;
    for (const [task, { from, hasEnded }] of [...tasks]) {
      if (!hasEnded) continue;
      tasks.delete(task);
      this.#send(i, from, { type: "reply", task });
    }
  }

  /** What waits for its hold is not sent after all. */
  #cancel(from: number): void {
    const { waiting } = this.#at(from);
    for (const hold of waiting.keys()) waiting.set(hold, -1);
  }

  #drop(from: number): boolean {
    const process = this.#at(from);
    if (!process.isAlive || this.#ownRefs(from) <= 0) return false;
    process.refs -= 1;
    this.#collect(from);
    return true;
  }

  #collect(i: number): void {
    const process = this.#at(i);
    if (process.refs > 0) return;
    if (i === owner) this.#freeIfUnused();
    else {
      if (process.isClaimed) this.#send(i, owner, { type: "release" });
      process.isClaimed = false;
      process.isHeld = false;
      process.isDoomed = false;
      process.askedForSelf = 0;
      this.#replyIfHeld(i);
    }
  }

  #die(dead: number): void {
    const process = this.#at(dead);
    if (!process.isAlive) return;
    process.isAlive = false;
    this.#doomTasksOf(dead);
    for (const to of this.#processes.keys()) if (to !== dead) this.#notices.push({ to, dead });
  }

  // ------------------------------------------------------------ what arrives

  #send(from: number, to: number, message: Message): void {
    if (!this.#at(from).isAlive || this.#at(from).ended.has(to)) return;
    const key = `${from} ${to}`;
    const link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, [message]);
    else link.push(message);
  }

  /** A message or the news of a death, by a number; false when nothing is under way. */
  #deliverOne(n: number): boolean {
    const links = [...this.#links].filter(([, messages]) => messages.length > 0);
    const count = links.length + this.#notices.length;
    if (count === 0) return false;
    const at = n % count;
    const link = links[at];
    if (link === undefined) {
      const [notice] = this.#notices.splice(at - links.length, 1);
      if (notice !== undefined) this.#onDied(notice.to, notice.dead);
      return true;
    }
    const [key, messages] = link;
    const [from, to] = key.split(" ").map(Number) as [number, number];
    const message = messages.shift();
    const receiver = this.#at(to);
    if (message !== undefined && receiver.isAlive && !receiver.ended.has(from)) {
      this.#onMessage(from, to, message);
    }
    return true;
  }

  #onMessage(from: number, to: number, message: Message): void {
    switch (message.type) {
      case "ref":
        return this.#onRef(from, to, message.hold);
      case "task":
        return this.#onTask(from, to, message.task);
      case "reply": {
        if (!this.#at(to).sentTasks.delete(message.task)) return;
        this.#at(to).refs -= 1;
        return this.#collect(to);
      }
      case "created":
        return this.#onCreated(to, message);
      case "query":
        if (this.#rules.fences) this.#onDied(to, message.maker);
        return this.#send(to, owner, { type: "queried", maker: message.maker });
      default:
        return this.#onOwnerMessage(from, message);
    }
  }

  #onRef(from: number, to: number, hold: number | null): void {
    const receiver = this.#at(to);
    receiver.refs += 1;
    if (hold !== null) this.#send(to, owner, { type: "confirm", maker: from, hold });
    this.#claim(to);
    receiver.isHeld = true;
    this.#replyIfHeld(to);
  }

  /** One hold is all that is needed. */
  #claim(i: number): void {
    const process = this.#at(i);
    if (process.isClaimed) this.#send(i, owner, { type: "release" });
    process.isClaimed = true;
  }

  #onTask(from: number, to: number, task: number): void {
    const executor = this.#at(to);
    executor.refs += 1;
    executor.tasks.set(task, { from, hasEnded: false });
    if (!this.#counts(from)) executor.isDoomed = true;
    if (executor.isHeld) return;
    executor.askedForSelf = executor.nextHold++;
    this.#send(to, owner, { type: "create", hold: executor.askedForSelf, holder: to });
    this.#claim(to);
  }

  #onCreated(to: number, { hold, isGone }: Extract<Message, { type: "created" }>): void {
    const maker = this.#at(to);
    const receiver = maker.waiting.get(hold);
    check(!isGone || !this.#counts(to), `process ${to} had a ref, and the object was gone`);
    if (receiver === undefined) {
      // For itself, unless it has let go meanwhile, though it may have come again.
      if (maker.askedForSelf !== hold) return;
      maker.askedForSelf = 0;
      if (isGone) maker.isClaimed = false;
      else maker.isHeld = true;
      this.#replyIfHeld(to);
      return;
    }
    maker.waiting.delete(hold);
    maker.refs -= 1;
    if (isGone) return this.#collect(to);
    if (receiver >= 0 && !maker.ended.has(receiver)) {
      this.#send(to, receiver, { type: "ref", hold });
    } else if (this.#rules.abandons) {
      this.reached.add("abandoned");
      this.#send(to, owner, { type: "abandon", hold });
    }
    this.#collect(to);
  }

  #onOwnerMessage(from: number, message: Message): void {
    switch (message.type) {
      case "create": {
        const { hold, holder } = message;
        const isGone = this.#isFreed;
        if (!isGone && !this.#at(owner).ended.has(holder)) {
          this.#hold(holder);
          if (holder !== from) this.#unconfirmed.set(`${from} ${hold}`, holder);
        }
        return this.#send(owner, from, { type: "created", hold, isGone });
      }
      case "confirm":
        this.#unconfirmed.delete(`${message.maker} ${message.hold}`);
        return;
      case "release":
        return this.#release(from);
      case "abandon":
        return this.#forget(`${from} ${message.hold}`);
      case "queried":
        for (const [key, holder] of [...this.#unconfirmed]) {
          if (holder !== from || !key.startsWith(`${message.maker} `)) continue;
          this.reached.add("deleted after a query");
          this.#forget(key);
        }
    }
  }

  #onDied(to: number, dead: number): void {
    const process = this.#at(to);
    if (process.ended.has(dead)) return;
    process.ended.add(dead);
    for (const [task, executor] of [...process.sentTasks]) {
      if (executor !== dead) continue;
      process.sentTasks.delete(task);
      process.refs -= 1;
    }
    if (process.isAlive) this.#collect(to);
    if (to !== owner || !process.isAlive) return;
    this.#holders.delete(dead);
    const asked = new Set<number>();
    for (const [key, holder] of [...this.#unconfirmed]) {
      if (holder === dead) this.#unconfirmed.delete(key);
      else if (key.startsWith(`${dead} `)) {
        if (this.#rules.queries) asked.add(holder);
        else this.#forget(key);
      }
    }
    for (const holder of asked) {
      this.reached.add("asked");
      this.#send(owner, holder, { type: "query", maker: dead });
    }
    this.#freeIfUnused();
  }

  // ------------------------------------------------------------ the owner's table

  #hold(holder: number): void {
    if (this.#at(owner).ended.has(holder)) return;
    this.#holders.set(holder, (this.#holders.get(holder) ?? 0) + 1);
  }

  #release(holder: number): void {
    const count = this.#holders.get(holder) ?? 0;
    if (count > 1) this.#holders.set(holder, count - 1);
    else this.#holders.delete(holder);
    this.#freeIfUnused();
  }

  #forget(key: string): void {
    const holder = this.#unconfirmed.get(key);
    if (holder === undefined) return;
    this.#unconfirmed.delete(key);
    this.#release(holder);
  }

  #freeIfUnused(): void {
    if (this.#at(owner).refs === 0 && this.#holders.size === 0) this.#isFreed = true;
  }

  #at(i: number): Process {
    return this.#processes[i] as Process;
  }
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
