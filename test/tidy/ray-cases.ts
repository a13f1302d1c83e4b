/** What the table of Ray's cases claims, held against the tests that there are. */

/** One line of a table: a case, and one place where it is tested, or why there is none. */
interface Row {
  readonly number: number;
  readonly here: string;
  readonly worlds: string;
}

export interface Tests {
  /** Undefined for a file that does not exist; paths are below test/. */
  textOf(path: string): string | undefined;
  /** In which a file of tests runs, as letters of the table. */
  worldsOf(path: string): string;
}

const rowPattern = /^\| (\d+) \| `\w+` \| (.+) \| ([LTSM ]*)\|$/gm;
const placePattern = /^`([^`]+)` "(.+)"$/;
const titlePattern =
  /\b(?:program|test|it|describe)(?:\.each\([\s\S]*?\]\))?\(\s*"((?:[^"\\]|\\.)+)"/g;
const reasonPattern = /^(does not apply|later): \S/;

export function rayCasesAreTold(document: string, numbers: readonly number[]): string[] {
  const told = new Set(rowsOf(document).map(({ number }) => number));
  return numbers.filter((number) => !told.has(number)).map((number) => `case ${number}: not told`);
}

export function rayCasesHaveTheirTests(document: string, tests: Tests): string[] {
  const lineCount = document.match(/^\| \d/gm)?.length ?? 0;
  const rows = rowsOf(document);
  if (rows.length !== lineCount) return [`${lineCount - rows.length} lines are no cases`];
  return rows.flatMap(({ number, here, worlds }) => {
    const [, path, name] = placePattern.exec(here) ?? [];
    if (path === undefined || name === undefined) {
      return reasonPattern.test(here)
        ? []
        : [`case ${number}: neither a test nor a reason: ${here}`];
    }
    const text = tests.textOf(path);
    if (text === undefined) return [`case ${number}: ${path} does not exist`];
    const problems: string[] = [];
    if (!titlesOf(text).some((title) => title.includes(name))) {
      problems.push(`case ${number}: ${path} has no "${name}"`);
    }
    const runsIn = tests.worldsOf(path);
    if (worlds !== runsIn)
      problems.push(`case ${number}: ${path} runs in ${runsIn}, not ${worlds}`);
    return problems;
  });
}

function rowsOf(document: string): Row[] {
  return [...document.matchAll(rowPattern)].map(([, number, here = "", worlds = ""]) => {
    return { number: Number(number), here, worlds: worlds.trim() };
  });
}

function titlesOf(text: string): string[] {
  return [...text.matchAll(titlePattern)].map(([, title]) => title ?? "");
}
