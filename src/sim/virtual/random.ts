/** Randomness as user code sees it: from the world's seed. */
import type { Prng } from "#engine/common/prng.ts";
import { AsyncResource } from "node:async_hooks";
import type { FindProcess, VirtualProcess } from "./virtual-globals.ts";
import type { Replacements } from "./replacements.ts";

type AnyFunction = (...args: never[]) => unknown;
type Random = (...args: unknown[]) => unknown;

/** `Math.random`, and what the global `crypto` gives. */
export function replaceRandom(find: FindProcess, replacements: Replacements): void {
  const { random } = Math;
  const uuid = crypto.randomUUID.bind(crypto);
  const fillReal = crypto.getRandomValues.bind(crypto);
  replacements.value(Math, "random", () => find()?.random.float() ?? random());
  replacements.value(crypto, "getRandomValues", (view: Uint8Array) => {
    // Also in a run: Node refuses what is no view of integers, or too long.
    fillReal(view);
    const process = find();
    if (process !== null) fill(process.random, bytesOf(view));
    return view;
  });
  replacements.value(crypto, "randomUUID", () => {
    const process = find();
    return process === null ? uuid() : virtualUuid(process.random);
  });
}

/** The functions of node:crypto that draw; `real` are its own. */
export function virtualCrypto(
  find: FindProcess,
  real: Readonly<Record<string, AnyFunction>>,
): Record<string, Random> {
  const drawn =
    (name: string, draw: (process: VirtualProcess, args: readonly unknown[]) => unknown): Random =>
    (...args) => {
      const last = args.at(-1);
      const callback = typeof last === "function" ? (last as Random) : null;
      const given = callback === null ? args : args.slice(0, -1);
      const process = find();
      if (process === null) return Reflect.apply(real[name] as AnyFunction, undefined, args);
      const value = draw(process, given);
      if (callback === null) return value;
      const resource = new AsyncResource("VirtualTimer");
      const call = (): void => void resource.runInAsyncScope(callback, undefined, null, value);
      process.setTimer(0, call);
    };
  const call = (name: string, args: readonly unknown[]): unknown =>
    Reflect.apply(real[name] as AnyFunction, undefined, args as never[]);
  const filled = (process: VirtualProcess, args: readonly unknown[]): unknown => {
    // Node's own checks the range; then only the bytes in it are drawn anew.
    const view = call("randomFillSync", args) as ArrayBufferView | ArrayBuffer;
    const bytes = bytesOf(view);
    const unit = (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const from = Number(args[1] ?? 0) * unit;
    const size = args[2] === undefined ? bytes.length - from : Number(args[2]) * unit;
    fill(process.random, bytes.subarray(from, from + size));
    return view;
  };
  const randomBytes = drawn("randomBytes", ({ random }, args) => {
    const bytes = call("randomBytes", args) as Buffer;
    fill(random, bytes);
    return bytes;
  });
  return {
    randomBytes,
    pseudoRandomBytes: randomBytes,
    rng: randomBytes,
    prng: randomBytes,
    randomFillSync: drawn("randomFillSync", filled),
    randomFill: drawn("randomFill", filled),
    randomUUID: drawn("randomUUID", ({ random }, args) => {
      call("randomUUID", args);
      return virtualUuid(random);
    }),
    randomInt: drawn("randomInt", ({ random }, args) => {
      call("randomInt", args);
      const [min, max] = (args.length < 2 ? [0, args[0]] : args) as [number, number];
      return min + Math.floor(random.float() * (max - min));
    }),
  };
}

function virtualUuid(random: Prng): string {
  const bytes = new Uint8Array(16);
  fill(random, bytes);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...groups, hex.slice(20)].join("-");
}

function fill(random: Prng, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
}

function bytesOf(view: ArrayBufferView | ArrayBuffer): Uint8Array {
  return ArrayBuffer.isView(view)
    ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    : new Uint8Array(view);
}
