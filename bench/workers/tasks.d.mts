export function noop(x: number): number;
export function fib(n: number): number;
export function sampleBytes(bytes: Uint8Array): number;
export class Counter {
  increment(by: number): number;
}
