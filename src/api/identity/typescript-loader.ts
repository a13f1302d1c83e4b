/**
 * Makes this thread able to import TypeScript, once, before the first module that may need it:
 * Node 20 cannot by itself, and tsx registers itself on the main thread only.
 */
import { createRequire } from "node:module";
import { dirname, isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import { noteTsxRegistered, tsxSpecifier } from "./code-transform.ts";
import { RemoteResolutionError } from "./remote-resolution-error.ts";

interface TsxApi {
  register(): unknown;
}

/** The part of tsx's package.json that leads to its entry points. */
interface TsxPackage {
  readonly exports: Readonly<Record<string, { readonly import: { readonly default: string } }>>;
}

let registration: Promise<void> | undefined;

/** A failed registration is tried again: the next module may lie where tsx is found. */
export function registerTypeScript(
  moduleUrl: string,
  loaderArgs: readonly string[],
): Promise<void> {
  registration ??= registerTsx(moduleUrl, loaderArgs).catch((error: unknown) => {
    registration = undefined;
    throw error;
  });
  return registration;
}

async function registerTsx(moduleUrl: string, loaderArgs: readonly string[]): Promise<void> {
  const specifier = tsxSpecifier(loaderArgs);
  const bases = [import.meta.url, moduleUrl, specifier].filter(isResolutionBase);
  const packagePath = findTsxPackage(bases);
  if (packagePath === undefined) {
    throw new RemoteResolutionError(
      "noTypeScriptLoader",
      `a worker needs tsx to import ${moduleUrl}, and it is not installed: ` +
        "run `npm install tsx`, compile the program to JavaScript, or use Node 22.18 or later",
    );
  }
  await registerEntry(packagePath, "./esm/api");
  // An inherited preload has already registered `require`; the ESM side never covers it.
  if (!process.execArgv.some((argument) => /tsx[\\/]dist[\\/]preflight/.test(argument))) {
    await registerEntry(packagePath, "./cjs/api");
  }
  process.setSourceMapsEnabled(true);
  noteTsxRegistered();
}

/**
 * Import by file: `require.resolve` gives the CommonJS side of the package, which cannot register
 * the ESM hooks from here, and `import("tsx/esm/api")` would tie bundlers to an optional peer.
 */
async function registerEntry(packagePath: string, entry: string): Promise<void> {
  const { exports }: TsxPackage = createRequire(packagePath)(packagePath);
  const target = exports[entry]?.import.default;
  if (target === undefined) {
    throw new RemoteResolutionError(
      "noTypeScriptLoader",
      `the tsx at ${dirname(packagePath)} has no entry "${entry}": install tsx 4`,
    );
  }
  const api: TsxApi = await import(pathToFileURL(join(dirname(packagePath), target)).href);
  api.register();
}

function findTsxPackage(bases: readonly string[]): string | undefined {
  for (const base of bases) {
    try {
      return createRequire(base).resolve("tsx/package.json");
    } catch {
      // Not installed as seen from there; the next base may see it.
    }
  }
  return undefined;
}

function isResolutionBase(base: string | undefined): base is string {
  return base !== undefined && (base.startsWith("file:") || isAbsolute(base));
}
