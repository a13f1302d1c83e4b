/**
 * How this realm turns files into code: which loader stands between the disk and the engine. Two
 * realms that load the same file by different ways see different source texts.
 */
const typeScriptFile = /\.[mc]?tsx?$/;

const otherTypeScriptLoader = /(?:ts-node|swc-node|oxc-node|ts-blank-space|esbuild-register)/;
const tsxArgument = /(?:^|[\\/])tsx(?:$|[\\/](?:dist|esm|cjs)(?:$|[\\/]))/;
const tsxRegistered = Symbol.for("mobula.tsxRegistered");

interface TransformedRealm {
  [tsxRegistered]?: boolean;
  readonly __vitest_worker__?: unknown;
}

/**
 * The arguments that load something ahead of the program, from the command line and NODE_OPTIONS.
 * A launcher hands the driver's to its workers. A test runner that compiles TypeScript by itself
 * counts as tsx, the loader that stands in for it in a worker.
 */
export function loaderArguments(): readonly string[] {
  const fromEnvironment = process.env["NODE_OPTIONS"]?.split(/\s+/) ?? [];
  const all = [...process.execArgv, ...fromEnvironment];
  const values = all.flatMap((argument, index) => preloadedModule(argument, all[index + 1]));
  return isTestRunner() ? [...values, "tsx"] : values;
}

/** The argument that brought in tsx: "tsx", or a path or URL inside its package. */
export function tsxSpecifier(loaderArgs: readonly string[]): string | undefined {
  return loaderArgs.find((argument) => tsxArgument.test(argument));
}

export function noteTsxRegistered(): void {
  (globalThis as TransformedRealm)[tsxRegistered] = true;
}

/** Whether importing the module in this thread first needs a TypeScript loader. */
export function needsTypeScriptLoader(moduleUrl: string, loaderArgs: readonly string[]): boolean {
  if (hasNativeTypeScript()) return false;
  if (loaderArgs.some((argument) => otherTypeScriptLoader.test(argument))) return false;
  return typeScriptFile.test(moduleUrl) || tsxSpecifier(loaderArgs) !== undefined;
}

/**
 * FNV-1a of the source text; the two lowest bits tell how the text was loaded, since only texts
 * loaded alike compare. 0, comparable with nothing, where a test runner rewrites the code.
 */
export function sourceHashOf(source: string, scriptName: string): number {
  if (isTestRunner()) return 0;
  const loadedAs = (scriptName.includes("://") ? 1 : 0) | (usesTsx() ? 2 : 0);
  return ((fnv1a(source) & ~3) | loadedAs) >>> 0 || 4;
}

/** False only where both texts were loaded alike and still differ. */
export function isSameSource(left: number, right: number): boolean {
  if (left === 0 || right === 0) return true;
  return (left & 3) !== (right & 3) || left === right;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

function preloadedModule(argument: string, next: string | undefined): readonly string[] {
  const match = /^(?:--(?:import|require|loader|experimental-loader)|-r)(?:=(.*))?$/.exec(argument);
  if (match === null) return [];
  const value = match[1] ?? next;
  return value === undefined ? [] : [value];
}

function isTestRunner(): boolean {
  const realm = globalThis as TransformedRealm;
  return realm.__vitest_worker__ !== undefined || process.env["JEST_WORKER_ID"] !== undefined;
}

function usesTsx(): boolean {
  const isRegistered = (globalThis as TransformedRealm)[tsxRegistered] === true;
  return isRegistered || tsxSpecifier(loaderArguments()) !== undefined;
}

function hasNativeTypeScript(): boolean {
  const features: object = process.features;
  return "typescript" in features && Boolean(features.typescript);
}
