/** What must hold when an engine world has come to rest, and again when every ref is dropped. */
import { isUsed } from "#engine/core-worker/object-entry.ts";
import { toFixedPoint } from "#engine/common/resources.ts";
import { check, type EngineModel, nameOf } from "./engine-model.ts";
import type { EngineProcess } from "./engine-process.ts";
import { valueBytes } from "./engine-values.ts";
import type { EngineWorld } from "./engine-world.ts";

/** Every task of a living owner has ended, and nobody waits any more. */
export function checkAtRest(world: EngineWorld): void {
  for (const process of living(world)) {
    const { core } = process.client;
    check(core.tasks.unfinishedCount === 0, `${process.id} has tasks without an outcome`);
    check(!core.isWaiting, `${process.id} waits for what will not come`);
    for (const { task, awaits } of process.contexts) {
      check(awaits.size === 0, `a call of get in ${process.id} was never settled`);
      check(task === null, `a task in ${process.id} cannot end`);
    }
  }
  const { waiting, infeasible } = world.raylet.counts;
  check(waiting === 0 && infeasible === 0, "a lease waits though nobody needs it");
}

export function dropEverything(world: EngineWorld): void {
  for (const process of living(world)) {
    for (const context of process.contexts) context.dropAll();
    for (const { entry } of process.globals.splice(0)) process.client.dropRef(entry);
  }
}

/** In between too: what a process knows to be held for it, and uses, its owner has. */
export function checkNothingFreedEarly(world: EngineWorld): void {
  for (const process of living(world)) {
    const { references } = process.client.core;
    for (const entry of references.registered()) {
      if (entry.owner === process.id || !entry.held || !isUsed(entry)) continue;
      const owner = world.processes.get(entry.owner);
      if (owner === undefined || owner.isDead) continue;
      const owned = owner.client.core.references.find(entry.owner, entry);
      check(owned !== undefined, `${nameOf(entry)} was freed while ${process.id} counted on it`);
    }
  }
}

/** As at the start, but for what holds itself and what a dead worker had. */
export function checkEmpty(world: EngineWorld, cpus: number): void {
  checkAtRest(world);
  check(world.raylet.counts.leases === 0, "the raylet has leases of nobody");
  check(world.raylet.available("CPU") === toFixedPoint(cpus), "resources did not come back");
  check(world.gcs.counts.liveActors === 0, "an actor lives that nobody has a handle to");
  check(world.raylet.counts.actors === 0, "the thread of an actor that has ended goes on");
  const kept = keptForGood(world);
  for (const process of living(world)) {
    const { core } = process.client;
    check(core.submitter.leaseCount === 0, `${process.id} keeps leases`);
    check(core.holds.askedCount === 0, `${process.id} waits for holds`);
    check(core.grants.unconfirmedCount === 0, `${process.id} has holds that nobody confirms`);
    for (const entry of core.references.registered()) {
      const name = nameOf(entry);
      const counts = `${entry.localRefs} refs, ${entry.uses} uses, ${entry.holders?.size} holders`;
      check(kept.has(name), `${process.id} keeps ${name} for nothing: ${entry.state}, ${counts}`);
    }
  }
  if (world.model.dead.size === 0) checkArena(world, kept);
}

/** Nothing but the values that are kept, and room that its process has not used. */
function checkArena(world: EngineWorld, kept: ReadonlySet<string>): void {
  const { arenaFreeBytes } = world.raylet.counts;
  const usedCount = (world.arenaBytes - arenaFreeBytes) / valueBytes;
  const unusedCount = living(world).reduce((sum, { extents }) => sum + extents.length, 0);
  let storedCount = 0;
  for (const name of kept) {
    const values = world.model.values.get(name) ?? [];
    if (values.some(({ n }) => world.model.storedNumbers.has(n))) storedCount += 1;
  }
  check(usedCount >= unusedCount, "room in the arena was freed twice");
  check(usedCount <= unusedCount + storedCount, "room in the arena was not given back");
}

/** What holds itself, and all that is inside of it. */
function keptForGood({ model }: EngineWorld): Set<string> {
  const kept = new Set<string>();
  for (const name of [...model.values.keys(), ...model.errorRefs.keys()]) {
    // Counting never frees a value that holds itself, as in Ray.
    if (insideOf(model, [name]).has(name)) kept.add(name);
  }
  for (const name of insideOf(model, kept)) kept.add(name);
  return kept;
}

function insideOf(model: EngineModel, names: Iterable<string>): Set<string> {
  const inside = new Set<string>();
  const left = [...names];
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    for (const inner of model.insideOf(name)) {
      if (inside.has(inner)) continue;
      inside.add(inner);
      left.push(inner);
    }
  }
  return inside;
}

function living(world: EngineWorld): EngineProcess[] {
  return [...world.processes.values()].filter((process) => !process.isDead);
}
