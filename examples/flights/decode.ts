/**
 * Life of a column chunk: read its bytes from the file → decompress and decode → one 16-bit number
 * a row.
 *
 * Data: `flights-3m.parquet` of the npm package vega-datasets (github.com/vega/vega-datasets):
 * three million flights of the first half of 2001, as carriers reported them to the U.S. Bureau of
 * Transportation Statistics (14 CFR 234). `date` is the actual local departure, `delay` the arrival
 * delay in minutes, negative when early. It holds one ZSTD page a column and row group: a column of
 * a row group is the smallest piece worth decoding on its own.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  parquetMetadataAsync,
  parquetScan,
  type AsyncBuffer,
  type FileMetaData,
  type ParquetParsers,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** Half-open and inside one row group. */
export interface RowRange {
  readonly rowStart: number;
  readonly rowEnd: number;
}

export type Column = "hour" | "origin" | "delay";

const fileColumns: Record<Column, string> = { hour: "date", origin: "origin", delay: "delay" };
const microsPerHour = 3_600_000_000n;
const footerSizeBytes = 65_536;
const letterA = 65;
const letterCount = 26;
const int16Min = -32_768;
const int16Max = 32_767;

/** They run once per dictionary entry, not once per row. */
const parsers: Partial<ParquetParsers> = {
  timestampFromMicroseconds: (micros) => Number((micros / microsPerHour) % 24n),
  stringFromBytes: airportCode,
};

/** One a thread and file: every task of this thread reads the same footer. */
const footers = new Map<string, Promise<FileMetaData>>();

export function flightsPath(): string {
  const packageEntry = import.meta.resolve("vega-datasets");
  return fileURLToPath(new URL("../data/flights-3m.parquet", packageEntry));
}

/** The row groups that hold the first `rowCount` rows; the last one is cut. */
export async function rowRanges(path: string, rowCount: number): Promise<RowRange[]> {
  const ranges: RowRange[] = [];
  let rowStart = 0;
  for (const group of (await footerOf(path)).row_groups) {
    if (rowStart >= rowCount) break;
    const groupEnd = rowStart + Number(group.num_rows);
    ranges.push({ rowStart, rowEnd: Math.min(groupEnd, rowCount) });
    rowStart = groupEnd;
  }
  return ranges;
}

/** Hours are 0 to 23, origins are airport codes (see `airportName`), delays are minutes. */
export async function decodeColumn(
  path: string,
  column: Column,
  range: RowRange,
): Promise<Int16Array> {
  const scan = await parquetScan({
    file: fileOf(path),
    metadata: await footerOf(path),
    columns: [fileColumns[column]],
    useOffsetIndex: false,
    compressors,
    parsers,
  });
  const values = await scan.readColumn({ column: fileColumns[column], ...range });
  const decoded = new Int16Array(values.length);
  for (let row = 0; row < decoded.length; row++) {
    const value: unknown = values[row];
    const number = value === null || value === undefined ? Number.NaN : Number(value);
    if (!(number >= int16Min && number <= int16Max)) {
      throw new RangeError(`row ${range.rowStart + row}: ${column} is ${String(value)}`);
    }
    decoded[row] = number;
  }
  return decoded;
}

/** "SFO" → a number below 26³: a key that needs no dictionary shared between row groups. */
export function airportCode(letters: Uint8Array): number {
  if (letters.length !== 3) throw new RangeError("an airport has three letters");
  let code = 0;
  for (const letter of letters) {
    const digit = letter - letterA;
    if (digit < 0 || digit >= letterCount) throw new RangeError("an airport has capital letters");
    code = code * letterCount + digit;
  }
  return code;
}

export function airportName(code: number): string {
  const digits = [code / letterCount ** 2, code / letterCount, code];
  return String.fromCharCode(...digits.map((digit) => letterA + (Math.floor(digit) % letterCount)));
}

function footerOf(path: string): Promise<FileMetaData> {
  let footer = footers.get(path);
  if (footer === undefined) {
    footer = parquetMetadataAsync(fileOf(path), { initialFetchSize: footerSizeBytes });
    footers.set(path, footer);
  }
  return footer;
}

function fileOf(path: string): AsyncBuffer {
  const descriptor = openSync(path, "r");
  const byteLength = fstatSync(descriptor).size;
  closeSync(descriptor);
  return { byteLength, slice: (start, end = byteLength) => readBytes(path, start, end) };
}

/** Opened for each read: a task is stopped at any time, and an open file would be left behind. */
function readBytes(path: string, start: number, end: number): ArrayBuffer {
  const bytes = new Uint8Array(end - start);
  const descriptor = openSync(path, "r");
  try {
    const readCount = readSync(descriptor, bytes, 0, bytes.length, start);
    if (readCount !== bytes.length) throw new Error(`${path} ends before byte ${end}`);
  } finally {
    closeSync(descriptor);
  }
  return bytes.buffer;
}
