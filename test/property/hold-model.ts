/**
 * The rules of holds alone, as small as they can be: one object, its owner (process 0), borrowers
 * who send the ref on, messages in order on each link, deaths that are told of at any time. Knows
 * nothing of the engine; every rule can be left out, to see what it is for.
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
}

export const allRules: Rules = { waits: true, queries: true, fences: true, abandons: true };

type Message =
  /** The ref; `hold` is null when its owner sends it. */
  | { readonly type: "ref"; readonly hold: number | null }
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
  /** One hold at the owner is ours. */
  isHeld: boolean;
  nextHold: number;
  /** Messages that wait for their hold: hold → receiver. */
  readonly waiting: Map<number, number>;
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

  constructor(processCount: number, rules: Rules) {
    this.#rules = rules;
    this.#processes = Array.from({ length: processCount }, (_, i) => ({
      isAlive: true,
      refs: i === owner ? 1 : 0,
      isHeld: false,
      nextHold: 1,
      waiting: new Map<number, number>(),
      ended: new Set<number>(),
    }));
  }

  /** One step, by three numbers; any numbers are a step, if only an empty one. */
  step([kind, a, b]: readonly [number, number, number]): void {
    const [from, to] = [a % this.#processes.length, b % this.#processes.length];
    // Most steps are deliveries: else nothing would ever arrive.
    if (kind < 9) this.#deliverOne(a * 7 + b);
    else if (kind < 13) this.#sendRef(from, to);
    else if (kind < 15) this.#drop(from);
    else if (kind < 16) this.#cancel(from);
    else if (from !== owner && b % 4 === 0) this.#die(from);
    this.#checkNotEarly();
  }

  /** All that is under way arrives; then nobody needs the object any more. */
  toQuiet(): void {
    while (this.#deliverOne(0)) this.#checkNotEarly();
    for (const [i, process] of this.#processes.entries()) {
      if (i === owner || !process.isAlive || process.refs === 0) continue;
      check(this.#holders.get(i) === 1, `process ${i} is held ${this.#holders.get(i)} times`);
    }
    for (const i of this.#processes.keys()) while (this.#drop(i));
    while (this.#deliverOne(0)) this.#checkNotEarly();
    check(this.#unconfirmed.size === 0, "a hold is never confirmed");
    check(this.#holders.size === 0, "a hold is never given back");
    check(this.#isFreed, "nobody needs the object, and it is not freed");
  }

  #checkNotEarly(): void {
    for (const [i, { isAlive, refs }] of this.#processes.entries()) {
      if (!isAlive || refs === 0) continue;
      check(!this.#isFreed, `the object was freed while process ${i} had a ref to it`);
    }
  }

  // ------------------------------------------------------------ what processes do

  #sendRef(from: number, to: number): void {
    const sender = this.#at(from);
    if (from === to || to === owner || sender.refs === 0 || sender.ended.has(to)) return;
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

  /** What waits for its hold is not sent after all. */
  #cancel(from: number): void {
    const { waiting } = this.#at(from);
    for (const hold of waiting.keys()) waiting.set(hold, -1);
  }

  #drop(from: number): boolean {
    const process = this.#at(from);
    const pinned = process.waiting.size;
    if (!process.isAlive || process.refs - pinned <= 0) return false;
    process.refs -= 1;
    this.#collect(from);
    return true;
  }

  #collect(i: number): void {
    const process = this.#at(i);
    if (process.refs > 0) return;
    if (i === owner) this.#freeIfUnused();
    else if (process.isHeld) {
      process.isHeld = false;
      this.#send(i, owner, { type: "release" });
    }
  }

  #die(dead: number): void {
    const process = this.#at(dead);
    if (!process.isAlive) return;
    process.isAlive = false;
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
    // One is all that is needed.
    if (receiver.isHeld) this.#send(to, owner, { type: "release" });
    receiver.isHeld = true;
  }

  #onCreated(to: number, { hold, isGone }: Extract<Message, { type: "created" }>): void {
    const maker = this.#at(to);
    const receiver = maker.waiting.get(hold);
    if (receiver === undefined) return;
    maker.waiting.delete(hold);
    maker.refs -= 1;
    check(!isGone, `process ${to} had a ref, and the object was gone`);
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
          this.#unconfirmed.set(`${from} ${hold}`, holder);
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
