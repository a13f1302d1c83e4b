/** Values of an engine world: a number and some refs, encoded as a primitive, inline, or stored. */
import { engineError } from "#engine/common/error-type.ts";
import { actorIndex, makerOf } from "#engine/common/ids.ts";
import type { ActorClient } from "#engine/core-worker/actor-client.ts";
import type { ObjectEntry } from "#engine/core-worker/object-entry.ts";
import type { ArenaExtent } from "#engine/protocol/object.ts";
import {
  type Encoded,
  FailedValue,
  InlineValue,
  type Outcome,
  type RefSpecial,
  type Special,
  StoredValue,
} from "#engine/protocol/outcome.ts";
import { check, nameOf } from "./engine-model.ts";

/** A JS ref: one count on its entry. */
export interface Ref {
  readonly entry: ObjectEntry;
  readonly name: string;
}

export interface ReadValue {
  readonly n: number;
  readonly refs: readonly RefSpecial[];
  readonly specials: readonly Special[];
}

export const valueBytes = 64;
const numberBytes = 8;

/** The node's memory, which all processes share. */
export class ValueMemory {
  readonly #segments: DataView[];

  constructor(segmentBytes: readonly number[]) {
    this.#segments = segmentBytes.map((size) => new DataView(new ArrayBuffer(size)));
  }

  write({ segment, offset }: ArenaExtent, n: number): void {
    this.#at(segment).setFloat64(offset, n);
  }

  read(outcome: Outcome): ReadValue {
    if (typeof outcome === "number") return { n: outcome, refs: [], specials: [] };
    const isValue = outcome instanceof InlineValue || outcome instanceof StoredValue;
    check(isValue, `a value is read that is ${JSON.stringify(outcome)}`);
    const { specials } = outcome;
    const refs = specials.filter((special) => special.type === "ref");
    return { n: this.#numberIn(outcome), refs, specials };
  }

  #numberIn(value: Encoded): number {
    if (value instanceof StoredValue) return this.#at(value.segment).getFloat64(value.offset);
    const { bytes, start } = value;
    return new DataView(bytes.buffer, bytes.byteOffset + start, numberBytes).getFloat64(0);
  }

  #at(segment: number): DataView {
    const memory = this.#segments[segment];
    check(memory !== undefined, `segment ${segment} does not exist`);
    return memory;
  }
}

export function inlineValue(n: number, specials: readonly Special[]): InlineValue {
  const bytes = new Uint8Array(numberBytes + 3);
  new DataView(bytes.buffer).setFloat64(3, n);
  return new InlineValue(bytes, 3, numberBytes, specials);
}

export function refSpecial({ entry }: Ref, topLevel: boolean): RefSpecial {
  const { owner, serial, index } = entry;
  return { type: "ref", owner, serial, index, topLevel };
}

export function actorSpecialOf({ actorId, className, isDetached }: ActorClient): Special {
  const { maker: owner, serial } = makerOf(actorId);
  return { type: "actor", owner, serial, index: actorIndex, className, isDetached };
}

export function namesOf(refs: readonly RefSpecial[]): string[] {
  return refs.map((ref) => nameOf(ref));
}

export function thrownValue(message: string, cause: InlineValue): FailedValue {
  return new FailedValue(engineError("TASK_ERROR", message), cause);
}
