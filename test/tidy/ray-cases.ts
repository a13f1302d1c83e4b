/** What the table of Ray's cases claims, held against the tests that there are. */

/** One line of a table: a case, and one place where it is tested, or why there is none. */
interface Row {
  readonly number: number;
  /** Of Ray's test. */
  readonly name: string;
  readonly here: string;
  readonly worlds: string;
}

export interface Tests {
  /** Undefined for a file that does not exist; paths are below test/. */
  textOf(path: string): string | undefined;
  /** In which a file of tests runs, as letters of the table. */
  worldsOf(path: string): string;
}

const rowPattern = /^\| (\d+) \| `(\w+)` \| (.+) \| ([LTSM ]*)\|$/gm;
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
  return rows.flatMap(({ number, name: raysName, here, worlds }) => {
    const [, path, name] = placePattern.exec(here) ?? [];
    if (path === undefined || name === undefined) {
      return reasonPattern.test(here)
        ? []
        : [`case ${number}: neither a test nor a reason: ${here}`];
    }
    const text = tests.textOf(path);
    if (text === undefined) return [`case ${number}: ${path} does not exist`];
    const problems: string[] = [];
    const found = titlesOf(text).filter(({ title }) => title.includes(name));
    if (found.length === 0) problems.push(`case ${number}: ${path} has no "${name}"`);
    const mark = `// Ray's case ${number}: ${raysName}.`;
    if (found.length > 0 && !found.some(({ marks }) => marks.includes(mark))) {
      problems.push(`case ${number}: above "${name}" in ${path} there is no ${mark}`);
    }
    const runsIn = tests.worldsOf(path);
    if (worlds !== runsIn)
      problems.push(`case ${number}: ${path} runs in ${runsIn}, not ${worlds}`);
    return problems;
  });
}

function rowsOf(document: string): Row[] {
  return [...document.matchAll(rowPattern)].map(([, number, name = "", here = "", worlds = ""]) => {
    return { number: Number(number), name, here, worlds: worlds.trim() };
  });
}

interface Title {
  readonly title: string;
  /** The lines of comment right above. */
  readonly marks: readonly string[];
}

function titlesOf(text: string): Title[] {
  return [...text.matchAll(titlePattern)].map((match) => {
    const before = text.slice(0, match.index).split("\n").slice(0, -1);
    const code = before.findLastIndex((line) => !line.trim().startsWith("//"));
    const marks = before.slice(code + 1).map((line) => line.trim());
    return { title: match[1] ?? "", marks };
  });
}
