import type { ActorClass, ObjectRef, RemoteFunction } from "mobula";
import type { Counter as PlainCounter } from "./workers/tasks.mjs";

export { cancel, get, init, put, shutdown } from "mobula";

export const noop: RemoteFunction<[x: number], ObjectRef<number>>;
export const fib: RemoteFunction<[n: number], ObjectRef<number>>;
export const sampleBytes: RemoteFunction<[bytes: Uint8Array], ObjectRef<number>>;
export const loopOnZero: RemoteFunction<[x: number], ObjectRef<number>>;
export const Counter: ActorClass<typeof PlainCounter>;
export const holdWorker: RemoteFunction<[holdMs: number], ObjectRef<number>>;
