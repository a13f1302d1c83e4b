/**
 * Actors at their makers: registered with the GCS at once, started when the constructor's arguments
 * are there; `getIfExists` may find another actor, which the handles then stand for.
 *
 * State:  registrations that made no actor; all else is in the clients.
 * In/out: createActorCall, arguments that have come, ActorRegistered → RegisterActor, StartActor,
 *         AbandonActor, ActorJoined.
 * Bounds: one entry an actor that was not made, until its handles have gone.
 * Errors: an actor that is not made is dead from the start, with the reason.
 * Source: Ray actor_creator, gcs_actor_manager; protocols §4 Actor.
 */
import { assert } from "#engine/common/assert.ts";
import { engineError } from "#engine/common/error-type.ts";
import type { ActorId } from "#engine/common/ids.ts";
import type { ActorRegistered } from "#engine/protocol/gcs.ts";
import { FailedValue } from "#engine/protocol/outcome.ts";
import type { ActorClient } from "./actor-client.ts";
import type { ActorHandles } from "./actor-handles.ts";
import { type DependencyResolver, failedArgument } from "./dependency-resolver.ts";
import { HoldWait } from "./hold-wait.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { Out, ProcessContext } from "./process-context.ts";
import type { ReferenceCounter } from "./reference-counter.ts";
import type { TaskManager } from "./task-manager.ts";

/** The actors that this process knows, and what else becomes of them. */
interface KnownActors {
  readonly clients: Map<ActorId, ActorClient>;
  subscribe(client: ActorClient, out: Out): void;
  onDead(client: ActorClient, cause: FailedValue, out: Out): void;
  endCreation(client: ActorClient, out: Out): void;
  tellOutOfScope(actorId: ActorId, out: Out): void;
  moveCalls(from: ActorClient, to: ActorClient, out: Out): void;
}

export class ActorCreation {
  readonly #context: ProcessContext;
  readonly #manager: TaskManager;
  readonly #dependencies: DependencyResolver;
  readonly #references: ReferenceCounter;
  readonly #handles: ActorHandles;
  readonly #known: KnownActors;
  /** Own registrations that made no actor: the GCS remembers why until their handles have gone. */
  readonly #unmade = new Set<ActorId>();

  constructor(parts: {
    context: ProcessContext;
    manager: TaskManager;
    dependencies: DependencyResolver;
    references: ReferenceCounter;
    handles: ActorHandles;
    known: KnownActors;
  }) {
    this.#context = parts.context;
    this.#manager = parts.manager;
    this.#dependencies = parts.dependencies;
    this.#references = parts.references;
    this.#handles = parts.handles;
    this.#known = parts.known;
  }

  onCreate(client: ActorClient, out: Out): void {
    this.#known.clients.set(client.actorId, client);
    const { registration, creation } = client;
    if (registration === null || creation === null) return;
    this.#manager.onSubmitted();
    this.#handles.onCallSubmitted(client);
    this.#register(client, out);
    if (this.#dependencies.resolve(creation.task, out)) this.onResolved(client, out);
  }

  /** The constructor's arguments are there, or one has failed. */
  onResolved(client: ActorClient, out: Out): void {
    const { creation } = client;
    if (creation === null || creation.task.state !== "PENDING") return;
    const { task, spec } = creation;
    const from = this.#context.self;
    const failed = failedArgument(task);
    if (failed !== undefined) {
      const { actorId, className } = client;
      const message = `an argument of its constructor failed: ${failed.error.message}`;
      const died = engineError("ACTOR_DIED", message, actorId, className);
      const error = { error: died, cause: failed.cause };
      out.send(this.#context.gcs, { type: "abandonActor", from, actorId, error });
      return;
    }
    // Until it is constructed we cover them; then it has holds of its own on what it keeps.
    const values = this.#dependencies.exportArguments(task, null);
    const { args } = task;
    const { actorId } = client;
    out.send(this.#context.gcs, {
      type: "startActor",
      from,
      spec: { actorId, args, values, ...spec },
    });
  }

  /** The answer to its maker; to who got such a handle, if it stands for another or for none. */
  onActorRegistered(found: ActorRegistered, out: Out): void {
    const { requested, actorId, error } = found;
    const client = this.#known.clients.get(requested);
    if (client === undefined || client.actorId !== requested) return;
    if (error !== null) {
      this.#known.onDead(client, new FailedValue(error, null), out);
      if (client.registration === null) return;
      // Here nobody needs to ask the GCS.
      this.#known.clients.set(requested, client);
      this.#noteUnmade(client);
      return;
    }
    if (actorId !== requested) {
      this.#join(client, found, out);
      return;
    }
    if (client.registration?.getIfExists === true) client.subscribed = false;
    if (found.detached) this.#handles.uncount(client);
    this.#known.subscribe(client, out);
  }

  /** getIfExists found another, which we have a handle to, or which has just ended. */
  onJoined(client: ActorClient, found: ActorRegistered, out: Out): void {
    const entry = this.#handles.entryOfFound(found.actorId);
    if (entry !== undefined && this.#handles.isCounted(entry)) {
      this.#onFound(client, found, entry, out);
      return;
    }
    if (client.registration === null) {
      // It has ended since its maker joined it: of what, the GCS knows.
      this.#onFound(client, found, entry ?? null, out);
      return;
    }
    // As its owner has told the GCS or will: on this link it comes before our next try.
    this.#known.tellOutOfScope(found.actorId, out);
    if (entry !== undefined) this.#references.dropUse(entry);
    this.#register(client, out);
    const task = client.creation?.task;
    if (task?.unresolvedCount === 0) this.onResolved(client, out);
  }

  /** True, once, for a registration of ours that made no actor: its last handle has gone. */
  takeUnmade(actorId: ActorId): boolean {
    return this.#unmade.delete(actorId);
  }

  #register(client: ActorClient, out: Out): void {
    const { registration } = client;
    assert(registration !== null, "only its maker registers an actor");
    out.send(this.#context.gcs, { type: "registerActor", from: this.#context.self, registration });
    // Of which actor is only known when it is registered.
    if (registration.getIfExists) client.subscribed = true;
    else this.#known.subscribe(client, out);
  }

  #join(client: ActorClient, found: ActorRegistered, out: Out): void {
    if (found.detached) {
      this.#onFound(client, found, null, out);
      return;
    }
    const wait = new HoldWait({ type: "joined", client, found });
    this.#handles.begin(found.actorId, wait);
    if (wait.missingCount === 0) this.onJoined(client, found, out);
  }

  /** Our creation is void, our calls go there. */
  #onFound(
    client: ActorClient,
    { requested, actorId, detached }: ActorRegistered,
    entry: ObjectEntry | null,
    out: Out,
  ): void {
    if (client.registration !== null) {
      this.#noteUnmade(client);
      const from = this.#context.self;
      out.send(this.#context.gcs, { type: "actorJoined", from, requested, actorId, detached });
    }
    this.#known.clients.delete(requested);
    this.#handles.join(client, entry, client.className);
    client.actorId = actorId;
    this.#known.endCreation(client, out);
    const known = this.#known.clients.get(actorId);
    if (known !== undefined) {
      assert(client.stream === null, "nothing was sent to an actor that was not made");
      client.standsFor = known;
      this.#known.moveCalls(client, known, out);
      this.#known.subscribe(known, out);
      return;
    }
    client.subscribed = false;
    client.version = -1;
    this.#known.clients.set(actorId, client);
    this.#known.subscribe(client, out);
  }

  /** Nobody else knows when the last handle has gone that may have been sent on. */
  #noteUnmade(client: ActorClient): void {
    if (client.entry !== null) this.#unmade.add(client.actorId);
  }
}
