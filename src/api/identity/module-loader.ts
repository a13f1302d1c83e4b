/**
 * Finds in this worker the function a task names: looks it up, imports its module if need be, and
 * waits until the module has registered it and has ended or parked.
 *
 * The import itself may never settle: a program's module parks at `await init()`.
 */
import type { FunctionDescriptor } from "#engine/common/function-descriptor.ts";
import { loaderArguments, needsTypeScriptLoader, tsxSpecifier } from "./code-transform.ts";
import { describePark, isParked, onParked } from "./parked-modules.ts";
import {
  type RegisteredRemote,
  findRemote,
  onRegistered,
  remotesOfModule,
} from "./remote-registry.ts";
import {
  type RemoteResolutionError,
  belowParkError,
  importFailedError,
  importUnfinishedError,
  mismatchError,
  notRegisteredError,
  unimportableError,
} from "./remote-resolution-error.ts";

export interface ModuleLoaderOptions {
  /** `import(url)`, outside any task's context. Called once per module, and once per retry. */
  importModule(url: string): Promise<unknown>;
  /** Every failed import, also one that no task waits for. */
  onImportFailed(error: RemoteResolutionError, moduleUrl: string): void;
  /** The driver's `loaderArguments()`; by default this thread's own, mostly inherited from it. */
  readonly loaderArgs?: readonly string[];
}

interface Waiter {
  readonly wanted: FunctionDescriptor;
  resolve(remote: RegisteredRemote): void;
  reject(error: RemoteResolutionError): void;
}

/** One import of one module. */
interface ModuleLoad {
  readonly moduleUrl: string;
  /** From 1. */
  readonly attempt: number;
  state: "importing" | "parked" | "evaluated" | "failed";
  /** In state importing, counted by ticks. */
  importingMs: number;
  /** The part of `importingMs` since the module registered something. */
  lingeringMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Set in state failed. */
  error: RemoteResolutionError | undefined;
  retryAtMs: number;
  readonly waiters: Set<Waiter>;
}

/** Between two imports of a module that fails; after the last it has failed for good. */
const retryDelaysMs = [1_000, 4_000, 16_000];
/** How long a top-level `await` between `remote()` and what the function uses may take. */
const lingerMs = 2_000;
/** An import that does not end: earlier where some module is parked, which explains it. */
const overdueAfterParkMs = 10_000;
const overdueMs = 60_000;
const tickMs = 1_000;

export class ModuleLoader {
  readonly #options: ModuleLoaderOptions;
  readonly #loaderArgs: readonly string[];
  /** The latest import by module URL. */
  readonly #loads = new Map<string, ModuleLoad>();
  readonly #unsubscribe: readonly (() => void)[];

  constructor(options: ModuleLoaderOptions) {
    this.#options = options;
    this.#loaderArgs = options.loaderArgs ?? loaderArguments();
    // Where the runtime hands tsx down to its threads, it does not hand down the source maps.
    if (tsxSpecifier(this.#loaderArgs) !== undefined) process.setSourceMapsEnabled(true);
    this.#unsubscribe = [
      onRegistered((remote) => this.#onRegistered(remote.descriptor.moduleUrl)),
      onParked((moduleUrls) => this.#onParked(moduleUrls)),
    ];
  }

  /**
   * Returns at once what is registered, in a module that has ended or parked. Does not throw: every
   * failure is a promise rejected with a RemoteResolutionError.
   */
  resolveRemote(wanted: FunctionDescriptor): RegisteredRemote | Promise<RegisteredRemote> {
    if (wanted.moduleUrl === "") return Promise.reject(unimportableError(wanted));
    const load = this.#loads.get(wanted.moduleUrl);
    if (load === undefined || isUsable(load)) {
      const found = findRemote(wanted);
      if (found !== undefined) {
        const mismatch = mismatchError(wanted, found);
        return mismatch === undefined ? found : Promise.reject(mismatch);
      }
    }
    return this.#whenRegistered(wanted, load);
  }

  /** Stops listening and timing; what still waits stays unsettled. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const load of this.#loads.values()) clearInterval(load.timer);
  }

  #whenRegistered(
    wanted: FunctionDescriptor,
    last: ModuleLoad | undefined,
  ): Promise<RegisteredRemote> {
    const load = last === undefined || isRetryDue(last) ? this.#startImport(wanted, last) : last;
    return new Promise((resolve, reject) => {
      load.waiters.add({ wanted, resolve, reject });
      this.#advance(load);
    });
  }

  #startImport({ moduleUrl }: FunctionDescriptor, last: ModuleLoad | undefined): ModuleLoad {
    const load: ModuleLoad = {
      moduleUrl,
      attempt: (last?.attempt ?? 0) + 1,
      state: "importing",
      importingMs: 0,
      lingeringMs: 0,
      timer: undefined,
      error: undefined,
      retryAtMs: 0,
      waiters: new Set(),
    };
    load.timer = setInterval(() => this.#onTick(load), tickMs).unref();
    this.#loads.set(moduleUrl, load);
    void this.#import(load);
    // Another module may have imported it before, and it has parked already.
    if (load.attempt === 1 && isParked(moduleUrl)) this.#park(load);
    return load;
  }

  async #import(load: ModuleLoad): Promise<void> {
    const { moduleUrl, attempt } = load;
    try {
      if (needsTypeScriptLoader(moduleUrl, this.#loaderArgs)) {
        const { registerTypeScript } = await import("./typescript-loader.ts");
        await registerTypeScript(moduleUrl, this.#loaderArgs);
      }
      await this.#options.importModule(attempt === 1 ? moduleUrl : retryUrl(moduleUrl, attempt));
      this.#leaveImporting(load, "evaluated");
    } catch (error) {
      this.#onImportFailed(load, error);
    }
  }

  #onImportFailed(load: ModuleLoad, cause: unknown): void {
    const { moduleUrl, attempt } = load;
    const delayMs = retryDelaysMs[attempt - 1];
    const prospect =
      delayMs === undefined
        ? "not tried again in this worker"
        : `retried after ${delayMs / 1000} s`;
    load.error = importFailedError(moduleUrl, cause, `attempt ${attempt}, ${prospect}`);
    load.retryAtMs = delayMs === undefined ? Infinity : performance.now() + delayMs;
    this.#leaveImporting(load, "failed");
    this.#options.onImportFailed(load.error, moduleUrl);
  }

  #onRegistered(moduleUrl: string): void {
    const load = this.#loads.get(moduleUrl);
    if (load !== undefined) this.#advance(load);
  }

  #onParked(moduleUrls: ReadonlySet<string>): void {
    for (const moduleUrl of moduleUrls) {
      const load = this.#loads.get(moduleUrl);
      if (load !== undefined) this.#park(load);
    }
  }

  /**
   * One macrotask later: what stands beside the parked call, when it is not awaited, still runs.
   */
  #park(load: ModuleLoad): void {
    setImmediate(() => {
      if (load.state === "importing") this.#leaveImporting(load, "parked");
    });
  }

  #onTick(load: ModuleLoad): void {
    load.importingMs += tickMs;
    if (remotesOfModule(load.moduleUrl).length > 0) load.lingeringMs += tickMs;
    this.#advance(load);
  }

  #leaveImporting(load: ModuleLoad, state: Exclude<ModuleLoad["state"], "importing">): void {
    load.state = state;
    clearInterval(load.timer);
    this.#advance(load);
  }

  /** Settles the waiters whose outcome the state of the import decides. */
  #advance(load: ModuleLoad): void {
    for (const waiter of load.waiters) {
      const outcome = outcomeOf(load, waiter.wanted);
      if (outcome === undefined) continue;
      load.waiters.delete(waiter);
      if (outcome instanceof Error) waiter.reject(outcome);
      else waiter.resolve(outcome);
    }
  }
}

/** Undefined while it cannot be told yet. */
function outcomeOf(
  load: ModuleLoad,
  wanted: FunctionDescriptor,
): RegisteredRemote | RemoteResolutionError | undefined {
  if (load.error !== undefined) return load.error;
  const found = findRemote(wanted);
  if (found !== undefined) {
    return isUsable(load) ? (mismatchError(wanted, found) ?? found) : undefined;
  }
  if (load.state === "importing") {
    return isOverdue(load) ? importUnfinishedError(wanted, load.importingMs) : undefined;
  }
  return isParked(load.moduleUrl) ? belowParkError(wanted) : notRegisteredError(wanted);
}

/** Whether a function may run: what it uses of its module is initialised now, or never will be. */
function isUsable(load: ModuleLoad): boolean {
  if (load.state === "importing") return load.lingeringMs >= lingerMs;
  return load.state !== "failed";
}

function isOverdue(load: ModuleLoad): boolean {
  return load.importingMs >= (describePark() === undefined ? overdueMs : overdueAfterParkMs);
}

function isRetryDue(load: ModuleLoad): boolean {
  return load.state === "failed" && performance.now() >= load.retryAtMs;
}

/** A module that has failed stays failed under its URL. */
function retryUrl(moduleUrl: string, attempt: number): string {
  return moduleUrl.startsWith("file:") ? `${moduleUrl}?mobula-attempt=${attempt}` : moduleUrl;
}
