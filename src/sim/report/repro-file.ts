/** A run on disk: all that it was a function of, and what was wrong with it. */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { checkSimOptions } from "#sim/check-options.ts";
import type { SimOptions, Violation } from "#sim/options.ts";

/** Rises with the shape of the file. */
export const reproVersion = 4;
/** Of package.json: another version may draw another run from the same seed. */
export const engineVersion = "0.1.0";

/** The module that a run's program came from. */
export interface ReproProgram {
  /** In a file on disk relative to its folder; in memory absolute. */
  readonly file: string;
  readonly name: string;
}

/** Where two runs of one seed parted. */
export interface ReproMismatch {
  /** Number of the first event that differs, from 1; 0 when only what came out differed. */
  readonly eventId: number;
  /** That event in both runs, for a reader. */
  readonly text: string;
}

export interface Repro {
  readonly version: number;
  readonly engine: string;
  /** Null when the program was a function in a test. */
  readonly program: ReproProgram | null;
  /** With all that chaos drew: another way to draw does not make another run of them. */
  readonly options: SimOptions;
  /** What of that was drawn, for a reader. */
  readonly drawn: readonly string[];
  readonly violations: readonly Violation[];
  readonly error: string | null;
  /** Null when the seed ran once, or twice in the same way. */
  readonly mismatch: ReproMismatch | null;
  /** Of the first run; "" when it took its thread with it. */
  readonly traceHash: string;
}

/** A repro file that cannot be replayed: the message says why. */
export class ReproFileError extends Error {
  override readonly name = "ReproFileError";
}

/** Where a file cannot have the name as it is, a hash tells it from others that look the same. */
export function reproFileName(program: string, seed: number): string {
  const plain = program.replace(/[^\w.-]+/g, "-");
  const hash = createHash("sha256").update(program).digest("hex").slice(0, 8);
  return `${plain === program ? plain : `${plain}-${hash}`}-${seed}.json`;
}

/** Makes the folder when it is missing. */
export async function saveRepro(path: string, repro: Repro): Promise<void> {
  const folder = dirname(resolve(path));
  await mkdir(folder, { recursive: true });
  const { program } = repro;
  const file = program === null ? "" : relative(folder, program.file).replaceAll("\\", "/");
  const saved = { ...repro, program: program === null ? null : { ...program, file } };
  await writeFile(path, `${JSON.stringify(saved, null, 2)}\n`);
}

/** Throws ReproFileError for what this engine cannot run as it was run. */
export async function readRepro(path: string): Promise<Repro> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ReproFileError(`cannot read ${path}: ${messageOf(error)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ReproFileError(`${path} is no repro file: ${messageOf(error)}`);
  }
  const repro = checkRepro(path, value);
  const { program } = repro;
  if (program === null) return repro;
  return { ...repro, program: { ...program, file: resolve(dirname(resolve(path)), program.file) } };
}

function checkRepro(path: string, value: unknown): Repro {
  const fields: Fields = isRecord(value) ? value : {};
  const { version, engine } = fields;
  if (typeof version !== "number") throw new ReproFileError(`${path} is no repro file: no version`);
  if (version !== reproVersion || engine !== engineVersion) {
    const writer = `mobula ${String(engine ?? "before 0.1.0")} (format ${version})`;
    const reader = `mobula ${engineVersion} (format ${reproVersion})`;
    throw new ReproFileError(
      `${path} was written by ${writer}, this is ${reader}: ` +
        "its seed may mean another run now. Replay it with that version, " +
        "or look for the failure again with `mobula sim run`.",
    );
  }
  const broken = Object.entries(rules).find(([name, isRight]) => !isRight(fields[name]));
  if (broken !== undefined) {
    throw new ReproFileError(`${path} is broken: "${broken[0]}" is missing or wrong`);
  }
  const repro = fields as unknown as Repro;
  try {
    checkSimOptions(repro.options);
  } catch (error) {
    throw new ReproFileError(`${path}: ${messageOf(error)}`);
  }
  return repro;
}

type Fields = Readonly<Record<string, unknown>>;
type FieldRule = (value: unknown) => boolean;

const isText: FieldRule = (value) => typeof value === "string";
const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf =
  (isRight: FieldRule): FieldRule =>
  (value) =>
    Array.isArray(value) && value.every(isRight);
const orNull =
  (isRight: FieldRule): FieldRule =>
  (value) =>
    value === null || isRight(value);

/** Of every field but the versions. */
const rules: Readonly<Record<string, FieldRule>> = {
  options: isRecord,
  violations: listOf((value) => {
    if (!isRecord(value) || !Number.isFinite(value["atMs"])) return false;
    return ["oracle", "entity", "message"].every((name) => isText(value[name]));
  }),
  traceHash: isText,
  program: orNull((value) => isRecord(value) && isText(value["file"]) && isText(value["name"])),
  drawn: listOf(isText),
  error: orNull(isText),
  mismatch: orNull((value) => {
    return isRecord(value) && Number.isSafeInteger(value["eventId"]) && isText(value["text"]);
  }),
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
