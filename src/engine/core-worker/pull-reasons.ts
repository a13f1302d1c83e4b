/**
 * Why the bytes of an object that has a value are not here: the raylet that was asked to bring them
 * knows. For chains of reasons, and so for the error of a `get` whose time is up.
 *
 * State:  questions by number.
 * In/out: `ask` → ExplainPull; PullExplained → who asked.
 * Bounds: `questionsMax`; the raylet answers at once.
 * Errors: none; one question too many is told what is known here.
 */
import type { PullExplained } from "#engine/protocol/explain.ts";
import type { LocalCopies } from "./local-copies.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";

const questionsMax = 256;

type OnTold = (text: string, out: Out) => void;

export class PullReasons {
  readonly #context: ProcessContext;
  readonly #copies: LocalCopies;
  readonly #asked = new Map<number, OnTold>();
  #nextRequestId = 1;

  constructor(context: ProcessContext, copies: LocalCopies) {
    this.#context = context;
    this.#copies = copies;
  }

  /** False when this process waits for no bytes of it: nobody was asked. */
  ask(entry: ObjectEntry, onTold: OnTold, out: Out): boolean {
    const copy = this.#copies.find(entry.owner, entry);
    if (copy === undefined || copy.value !== null) return false;
    if (this.#asked.size >= questionsMax) return false;
    const requestId = this.#nextRequestId++;
    this.#asked.set(requestId, onTold);
    const { self, raylet } = this.#context;
    const { requestId: pullId } = copy;
    out.send(raylet, { type: "explainPull", from: self, requestId, pullId });
    return true;
  }

  onPullExplained({ requestId, text }: PullExplained, out: Out): void {
    const onTold = this.#asked.get(requestId);
    this.#asked.delete(requestId);
    onTold?.(text, out);
  }
}
