/**
 * Where the copies of this owner's stored objects lie, once another node has one: the primary,
 * which stays until the owner frees it, and secondaries, which come and go.
 *
 * State:  locations by entry; raylets that wait for an object that has no outcome.
 * In/out: locateObject, copyAdded, copyGone, copyPinned, deaths of nodes → objectLocations,
 *         pinCopy; a freed object → freeObjects, in the batch of the event.
 * Bounds: one entry an object with a copy elsewhere; one location a node.
 * Errors: an object without a copy is `onLastCopyLost`.
 * Source: Ray ownership_based_object_directory; protocols §3 objects, §5.
 */
import { assert } from "#engine/common/assert.ts";
import type { NodeId, WorkerId } from "#engine/common/ids.ts";
import type {
  CopyAdded,
  CopyGone,
  CopyName,
  CopyPinned,
  LocateObject,
} from "#engine/protocol/copy.ts";
import { noSpecials, type Outcome, StoredValue } from "#engine/protocol/outcome.ts";
import type { ObjectName } from "#engine/protocol/task.ts";
import type { CoreWorkerEvent } from "./calls.ts";
import { freedByOwner } from "./lost-object.ts";
import { ObjectEntry } from "./object-entry.ts";
import type { ObjectSeals } from "./object-seals.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReleaseBatch } from "./release-batch.ts";

export interface DirectoryOwner {
  find(owner: WorkerId, name: ObjectName): ObjectEntry | undefined;
  /** From now on the entry is found by its name. */
  name(entry: ObjectEntry): void;
}

export class Locations {
  readonly version: number;
  primary: NodeId;
  /** The one that came last is the last. */
  secondaries: NodeId[] = [];
  /** When it came to the node, by that node's numbers; none where the primary was made. */
  readonly arrivals = new Map<NodeId, number>();
  /** Of a primary on the owner's own node: whether its raylet can serve it. */
  registration: "none" | "asked" | "done";
  /** Raylets that wait for the registration. */
  readonly waiting: NodeId[] = [];
  turn = 0;

  constructor(version: number, primary: NodeId, registration: "none" | "done") {
    this.version = version;
    this.primary = primary;
    this.registration = registration;
  }
}

export class ObjectDirectory {
  readonly #context: ProcessContext;
  readonly #seals: ObjectSeals;
  readonly #batch: ReleaseBatch;
  readonly #owner: DirectoryOwner;
  readonly #locations = new Map<ObjectEntry, Locations>();
  readonly #unsettled = new Map<ObjectEntry, NodeId[]>();
  /** No node has its bytes any more. */
  onLastCopyLost: (entry: ObjectEntry, why: string, out: Out) => void = () => {};

  constructor(parts: {
    context: ProcessContext;
    seals: ObjectSeals;
    batch: ReleaseBatch;
    owner: DirectoryOwner;
  }) {
    this.#context = parts.context;
    this.#seals = parts.seals;
    this.#batch = parts.batch;
    this.#owner = parts.owner;
  }

  /** For status and tests. */
  all(): IterableIterator<[ObjectEntry, Locations]> {
    return this.#locations.entries();
  }

  locationsOf(entry: ObjectEntry): Locations | undefined {
    return this.#locations.get(entry);
  }

  /** An object of ours has its outcome: perhaps its bytes lie elsewhere, perhaps others wait. */
  onSettled(entry: ObjectEntry, out: Out): void {
    const { outcome } = entry;
    const isFar = outcome instanceof StoredValue && !this.#isHere(outcome.node);
    if (isFar && entry.owner === this.#context.self) {
      this.#owner.name(entry);
      this.#locations.set(entry, new Locations(outcome.version, outcome.node as NodeId, "done"));
    }
    if (this.#unsettled.size === 0) return;
    const waiting = this.#unsettled.get(entry);
    if (waiting === undefined) return;
    this.#unsettled.delete(entry);
    for (const raylet of waiting) this.#answer(entry, raylet, out);
  }

  /** The raylet is told that it is its to move. True when it did not know of it. */
  offer(entry: ObjectEntry, version: number): boolean {
    const known = this.#locations.get(entry);
    if (known?.registration === "done") return false;
    const locations = known ?? this.#addOwn(entry, version);
    locations.registration = "asked";
    return true;
  }

  onOffered(entries: readonly ObjectEntry[], out: Out): void {
    for (const entry of entries) this.#onKept(entry, this.#locations.get(entry), out);
  }

  /** False for what is not for it. */
  route(event: CoreWorkerEvent, out: Out): boolean {
    if (event.type === "locateObject") this.onLocateObject(event, out);
    else if (event.type === "copyAdded") this.onCopyAdded(event);
    else if (event.type === "copyGone") this.onCopyGone(event, out);
    else if (event.type === "copyPinned") this.onCopyPinned(event, out);
    else return false;
    return true;
  }

  onLocateObject({ from, object }: LocateObject, out: Out): void {
    const raylet = from as NodeId;
    const entry = this.#owner.find(this.#context.self, object);
    if (entry === undefined) {
      this.#tell(object, raylet, { nodes: [], outcome: this.#freed(object) }, out);
    } else if (entry.state === "PENDING") {
      const asking = this.#unsettled.get(entry) ?? [];
      // One whose processes give up and ask again hears of it once.
      if (!asking.includes(raylet)) this.#unsettled.set(entry, [...asking, raylet]);
    } else this.#answer(entry, raylet, out);
  }

  onCopyAdded({ from, copy, arrival }: CopyAdded): void {
    const node = from as NodeId;
    const known = this.#known(copy);
    if (known === undefined) {
      this.#batch.addFree(node, copy);
      return;
    }
    const { primary, secondaries, arrivals } = known.locations;
    arrivals.set(node, arrival);
    if (primary !== node && !secondaries.includes(node)) secondaries.push(node);
  }

  onCopyGone({ copy, nodeId, lastArrival, cause }: CopyGone, out: Out): void {
    const known = this.#known(copy);
    if (known === undefined) return;
    // Another node found it gone; meanwhile it has come there again.
    if ((known.locations.arrivals.get(nodeId) ?? 0) > lastArrival) return;
    this.#lose(known.entry, nodeId, cause, out);
  }

  onCopyPinned({ from, copy, isHere }: CopyPinned, out: Out): void {
    if (isHere) return;
    const known = this.#known(copy);
    if (known !== undefined) this.#lose(known.entry, from as NodeId, "it was given up there", out);
  }

  onNodeDied(nodeId: NodeId, reason: string, out: Out): void {
    for (const entry of [...this.#locations.keys()]) {
      this.#lose(entry, nodeId, `the node died: ${reason}`, out);
    }
  }

  /** Nobody needs it: true when its copies are let go of here, its own bytes too. */
  free(entry: ObjectEntry): boolean {
    const locations = this.#locations.get(entry);
    if (locations === undefined) return false;
    this.#locations.delete(entry);
    const { serial, index } = entry;
    const { version, primary, secondaries, registration } = locations;
    for (const node of secondaries) this.#batch.addFree(node, { serial, index, version });
    if (registration === "none") return false;
    this.#batch.addFree(primary, { serial, index, version });
    return true;
  }

  checkInvariants(): void {
    for (const [entry, locations] of this.#locations) {
      const { primary, secondaries, arrivals, waiting, registration } = locations;
      assert(entry.owner === this.#context.self, "an owner knows where its own objects are");
      assert(entry.outcome instanceof StoredValue, "what has locations is stored");
      assert(!secondaries.includes(primary), "a node has one copy of an object");
      assert(new Set(secondaries).size === secondaries.length, "a location is listed once");
      assert(
        secondaries.every((node) => arrivals.has(node)),
        "a secondary came at a time",
      );
      assert(arrivals.size <= secondaries.length + 1, "a node is remembered for its copy only");
      assert(waiting.length === 0 || registration === "asked", "a raylet waits for nothing");
    }
  }

  /** The object of a copy, if that version is the one that counts. */
  #known(copy: CopyName): { entry: ObjectEntry; locations: Locations } | undefined {
    const entry = this.#owner.find(this.#context.self, copy);
    const locations = entry === undefined ? undefined : this.#locations.get(entry);
    if (entry === undefined || locations === undefined) return undefined;
    return locations.version === copy.version ? { entry, locations } : undefined;
  }

  #answer(entry: ObjectEntry, raylet: NodeId, out: Out): void {
    const { outcome } = entry;
    if (!(outcome instanceof StoredValue)) {
      const told = entry.state === "FREED" ? this.#freed(entry) : outcome;
      this.#tell(entry, raylet, { nodes: [], outcome: told }, out);
      return;
    }
    const locations = this.#locations.get(entry) ?? this.#addOwn(entry, outcome.version);
    if (locations.registration === "done") {
      const { segment, offset, size } = outcome;
      const { version, primary } = locations;
      const stored = new StoredValue(segment, offset, size, noSpecials, primary, version);
      this.#tell(entry, raylet, { nodes: this.#nodesOf(locations), outcome: stored }, out);
      return;
    }
    locations.waiting.push(raylet);
    if (locations.registration === "none") this.#register(entry, outcome, locations, out);
  }

  #addOwn(entry: ObjectEntry, version: number): Locations {
    const locations = new Locations(version, this.#context.raylet, "none");
    this.#locations.set(entry, locations);
    return locations;
  }

  // oxlint-disable-next-line max-params -- what is known of it where it is asked for.
  #register(entry: ObjectEntry, value: StoredValue, locations: Locations, out: Out): void {
    locations.registration = "asked";
    const { owner, serial, index } = entry;
    const { segment, offset, size, version } = value;
    const extent = { segment, offset, size };
    const onKept = (later: Out): void => this.#onKept(entry, locations, later);
    this.#seals.seal([{ owner, serial, index, version, extent }], onKept, out);
  }

  #onKept(entry: ObjectEntry, locations: Locations | undefined, out: Out): void {
    if (locations === undefined) return;
    locations.registration = "done";
    for (const raylet of locations.waiting.splice(0)) this.#answer(entry, raylet, out);
  }

  /** Those who ask one after another begin at one after another, a copy that is new first. */
  #nodesOf(locations: Locations): NodeId[] {
    const nodes = [...locations.secondaries].reverse();
    nodes.push(locations.primary);
    const first = locations.turn++ % nodes.length;
    return [...nodes.slice(first), ...nodes.slice(0, first)];
  }

  #lose(entry: ObjectEntry, node: NodeId, why: string, out: Out): void {
    const locations = this.#locations.get(entry);
    if (locations === undefined) return;
    locations.secondaries = locations.secondaries.filter((other) => other !== node);
    locations.arrivals.delete(node);
    if (locations.primary !== node) return;
    const next = locations.secondaries.pop();
    if (next === undefined) {
      this.#locations.delete(entry);
      const where = `the copy on node ${node} was the only one, and it is gone: ${why}`;
      this.onLastCopyLost(entry, where, out);
      return;
    }
    locations.primary = next;
    const { serial, index } = entry;
    const copy = { serial, index, version: locations.version };
    out.send(next, { type: "pinCopy", from: this.#context.self, copy });
  }

  #tell(
    { serial, index }: ObjectName,
    raylet: NodeId,
    found: { nodes: readonly NodeId[]; outcome: Outcome },
    out: Out,
  ): void {
    const from = this.#context.self;
    const object = { serial, index };
    out.send(raylet, { type: "objectLocations", from, object, ...found });
  }

  #freed({ serial, index }: ObjectName): Outcome {
    return freedByOwner(new ObjectEntry(this.#context.self, serial, index));
  }

  #isHere(node: NodeId | null): boolean {
    return node === null || node === this.#context.raylet;
  }
}
