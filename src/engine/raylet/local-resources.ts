/**
 * The node's ledger: what it has, what is in use, and which GPU belongs to whom.
 *
 * State:  used amounts by name and by GPU; available = total − used. A whole GPU is exclusive;
 *         parts of less than one share a GPU, the fullest that has room, so that whole ones stay
 *         whole.
 * In/out: take, lend, retake, shrink and give, called by Placement.
 * Bounds: as many names as the node has; a request that names others never fits.
 * Errors: what never fits is told by `whyNever`, in words; giving back twice is our own bug.
 * Source: Ray local_resource_manager, resource_instance_set.
 */
import { assert } from "#engine/common/assert.ts";
import { cpuName, fixedPointScale, formatResources, gpuName } from "#engine/common/resources.ts";
import type { ResourceRequest } from "#engine/common/resources.ts";

/** What one lease or actor has; changed only by the ledger it came from. */
export class Allocation {
  resources: ResourceRequest;
  gpuIds: readonly number[];
  /** True for an actor: it keeps this for as long as it lives. */
  readonly forLife: boolean;
  /** Its CPU is lent out while its tasks are blocked. */
  lent = false;
  given = false;

  constructor(resources: ResourceRequest, gpuIds: readonly number[], forLife: boolean) {
    this.resources = resources;
    this.gpuIds = gpuIds;
    this.forLife = forLife;
  }
}

export class LocalResources {
  readonly #totals: ResourceRequest;
  /** An entry for each name of the totals. */
  readonly #used = new Map<string, number>();
  readonly #usedForLife = new Map<string, number>();
  readonly #gpuCapacity: readonly number[];
  readonly #gpuUsed: number[];
  readonly #gpuUsedForLife: number[];
  #version = 0;

  constructor(totals: ResourceRequest) {
    this.#totals = totals;
    for (const name of totals.keys()) {
      this.#used.set(name, 0);
      this.#usedForLife.set(name, 0);
    }
    this.#gpuCapacity = splitIntoUnits(totals.get(gpuName) ?? 0);
    this.#gpuUsed = this.#gpuCapacity.map(() => 0);
    this.#gpuUsedForLife = this.#gpuCapacity.map(() => 0);
  }

  get totals(): ResourceRequest {
    return this.#totals;
  }

  /** Rises with every change of what is free. */
  get version(): number {
    return this.#version;
  }

  /** By name; CPU may be below 0. */
  availableAmounts(): ResourceRequest {
    const amounts = new Map<string, number>();
    for (const name of this.#totals.keys()) amounts.set(name, this.available(name));
    return amounts;
  }

  /** Negative after a retake that found nothing free. */
  available(name: string): number {
    return (this.#totals.get(name) ?? 0) - (this.#used.get(name) ?? 0);
  }

  /** Why this node can never have room, or "". */
  whyNever(request: ResourceRequest): string {
    const lacking = new Map<string, number>();
    for (const [name, amount] of request) {
      if (amount > (this.#totals.get(name) ?? 0)) lacking.set(name, amount);
    }
    const has = `this node has ${formatResources(this.#totals)}`;
    if (lacking.size > 0) return `no node has ${formatResources(lacking)}; ${has}`;
    const gpu = request.get(gpuName) ?? 0;
    if (
      pickGpus(
        gpu,
        this.#gpuCapacity,
        this.#gpuCapacity.map(() => 0),
      ) !== null
    )
      return "";
    const asked = formatResources(new Map([[gpuName, gpu]]));
    return `no node can give ${asked}: more than one GPU must be a whole number`;
  }

  /** `setAside` is kept for somebody else. */
  fits(request: ResourceRequest, setAside: ResourceRequest | null): boolean {
    for (const [name, amount] of request) {
      if (amount > this.available(name) - (setAside?.get(name) ?? 0)) return false;
    }
    return pickGpus(request.get(gpuName) ?? 0, this.#gpuCapacity, this.#gpuUsed) !== null;
  }

  /** True when the leases alone are in the way, not what actors keep. */
  fitsOnceLeasesEnd(request: ResourceRequest): boolean {
    for (const [name, amount] of request) {
      const kept = this.#usedForLife.get(name) ?? 0;
      if (amount > (this.#totals.get(name) ?? 0) - kept) return false;
    }
    return pickGpus(request.get(gpuName) ?? 0, this.#gpuCapacity, this.#gpuUsedForLife) !== null;
  }

  /** What of the request is free now, to be set aside until the rest is. */
  freePartOf(request: ResourceRequest): ResourceRequest {
    const free = new Map<string, number>();
    for (const [name, amount] of request) {
      free.set(name, Math.max(0, Math.min(amount, this.available(name))));
    }
    return free;
  }

  take(request: ResourceRequest, forLife: boolean): Allocation {
    assert(this.fits(request, null), `take of ${formatResources(request)}, which does not fit`);
    const gpu = request.get(gpuName) ?? 0;
    const gpuIds = pickGpus(gpu, this.#gpuCapacity, this.#gpuUsed) ?? [];
    const allocation = new Allocation(request, gpuIds, forLife);
    this.#count(allocation, 1);
    return allocation;
  }

  give(allocation: Allocation): void {
    assert(!allocation.given, "resources given back twice");
    if (allocation.lent) this.retake(allocation);
    this.#count(allocation, -1);
    allocation.given = true;
  }

  /**
   * CPU only: others may run while its tasks wait; memory, GPUs and custom resources stay in use.
   */
  lend(allocation: Allocation): void {
    assert(!allocation.lent && !allocation.given, "resources lent twice");
    allocation.lent = true;
    this.#addCpu(allocation, -1);
  }

  /** At once, whatever is free: nothing new is placed until the others have made up for it. */
  retake(allocation: Allocation): void {
    assert(allocation.lent && !allocation.given, "retake of what is not lent");
    allocation.lent = false;
    this.#addCpu(allocation, 1);
  }

  /** Keeps only `kept`, a part of what the allocation has. */
  shrink(allocation: Allocation, kept: ResourceRequest): void {
    assert(!allocation.lent && !allocation.given, "shrink of what is lent or gone");
    for (const [name, amount] of kept) {
      assert(amount <= (allocation.resources.get(name) ?? 0), `shrink adds ${name}`);
    }
    this.#count(allocation, -1);
    const gpu = kept.get(gpuName) ?? 0;
    allocation.gpuIds = allocation.gpuIds.slice(0, Math.ceil(gpu / fixedPointScale));
    allocation.resources = kept;
    this.#count(allocation, 1);
  }

  /** `in use: {CPU: 2} of {CPU: 2}`, for the names of the request. */
  describeUse(request: ResourceRequest): string {
    const used = new Map<string, number>();
    const totals = new Map<string, number>();
    for (const name of request.keys()) {
      used.set(name, this.#used.get(name) ?? 0);
      totals.set(name, this.#totals.get(name) ?? 0);
    }
    const use = `in use: ${formatResources(used)} of ${formatResources(totals)}`;
    const enough = [...request].every(([name, amount]) => amount <= this.available(name));
    return enough ? `${use}, in parts of a GPU` : use;
  }

  /**
   * used = Σ allocations − lent, by name and by GPU; above the total only where CPU was retaken.
   */
  checkInvariants(allocations: ReadonlySet<Allocation>, overdraftMax: number): void {
    for (const name of this.#totals.keys()) {
      const used = this.#used.get(name) ?? 0;
      let [sum, sumForLife] = [0, 0];
      for (const { given, lent, resources, forLife } of allocations) {
        assert(!given, "an allocation in use was given back");
        const amount = resources.get(name) ?? 0;
        if (!lent || name !== cpuName) sum += amount;
        if (forLife) sumForLife += amount;
      }
      assert(used === sum, `${name}: ${used} in use is not the sum`);
      assert(used >= 0, `${name}: less than nothing in use`);
      const above = -this.available(name);
      const isTooMuch = above > (name === cpuName ? overdraftMax : 0);
      assert(!isTooMuch, `${name}: ${above} more than there is`);
      assert(this.#usedForLife.get(name) === sumForLife, `${name}: for life`);
    }
    for (let id = 0; id < this.#gpuUsed.length; id++) this.#checkGpu(id, allocations);
  }

  #checkGpu(id: number, allocations: ReadonlySet<Allocation>): void {
    const used = this.#gpuUsed[id] ?? 0;
    let [sum, sumForLife] = [0, 0];
    for (const { gpuIds, resources, forLife } of allocations) {
      if (!gpuIds.includes(id)) continue;
      const amount = gpuShareOf(resources);
      sum += amount;
      if (forLife) sumForLife += amount;
    }
    assert(used === sum, `GPU ${id}: ${used} in use is not the sum`);
    assert(used <= (this.#gpuCapacity[id] ?? 0), `GPU ${id}: more in use than there is`);
    assert(this.#gpuUsedForLife[id] === sumForLife, `GPU ${id}: for life`);
  }

  #count(allocation: Allocation, sign: 1 | -1): void {
    this.#version += 1;
    for (const [name, amount] of allocation.resources) {
      add(this.#used, name, sign * amount);
      if (allocation.forLife) add(this.#usedForLife, name, sign * amount);
    }
    const gpu = gpuShareOf(allocation.resources);
    for (const id of allocation.gpuIds) {
      addAt(this.#gpuUsed, id, sign * gpu);
      if (allocation.forLife) addAt(this.#gpuUsedForLife, id, sign * gpu);
    }
  }

  #addCpu(allocation: Allocation, sign: 1 | -1): void {
    this.#version += 1;
    const cpu = allocation.resources.get(cpuName) ?? 0;
    if (cpu > 0) add(this.#used, cpuName, sign * cpu);
  }
}

/** Of each GPU that it has. */
function gpuShareOf(resources: ResourceRequest): number {
  return Math.min(resources.get(gpuName) ?? 0, fixedPointScale);
}

function add(amounts: Map<string, number>, name: string, amount: number): void {
  const before = amounts.get(name);
  assert(before !== undefined, `${name} is not a resource of this node`);
  amounts.set(name, before + amount);
}

function addAt(amounts: number[], at: number, amount: number): void {
  const before = amounts[at];
  assert(before !== undefined, `there is no GPU ${at}`);
  amounts[at] = before + amount;
}

function splitIntoUnits(total: number): number[] {
  const units: number[] = [];
  for (let left = total; left > 0; left -= fixedPointScale) {
    units.push(Math.min(left, fixedPointScale));
  }
  return units;
}

/**
 * Indices of the GPUs for `amount`: unused ones for whole GPUs, one with room for a part; null if
 * there are none.
 */
function pickGpus(
  amount: number,
  capacity: readonly number[],
  used: readonly number[],
): readonly number[] | null {
  if (amount === 0) return [];
  if (amount >= fixedPointScale) {
    if (amount % fixedPointScale !== 0) return null;
    const wanted = amount / fixedPointScale;
    const ids: number[] = [];
    for (let id = 0; id < capacity.length && ids.length < wanted; id++) {
      if (capacity[id] === fixedPointScale && used[id] === 0) ids.push(id);
    }
    return ids.length === wanted ? ids : null;
  }
  let best = -1;
  let bestRoom = Infinity;
  for (let id = 0; id < capacity.length; id++) {
    const room = (capacity[id] ?? 0) - (used[id] ?? 0);
    if (room < amount || room >= bestRoom) continue;
    best = id;
    bestRoom = room;
  }
  return best < 0 ? null : [best];
}
