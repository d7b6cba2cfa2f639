import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { MillraceError, reasonOf } from "../../core/index.js";
import type { SampleFile } from "./manifest.js";

/** One line of a sample file, with the time it is due, rebased. */
export interface SampleRecord {
  readonly atMs: number;
  readonly offsetMs: number;
  readonly line: SampleLine;
}

export type SampleLine =
  | { readonly at: number; readonly event: string; readonly delivery: string; readonly body: string }
  | { readonly at: number; readonly topic: string; readonly payload: string }
  | { readonly at: number; readonly topic: string; readonly payloadBase64: string };

export interface RecordsFrom {
  readonly file: SampleFile;
  /** Added to the line's `at`. */
  readonly offsetMs: number;
}

/**
 * The records of several files in one order: by rebased time, then by the files' order. Streams: holds one line a file and one
 * chunk of text each. Records at or before `afterMs` are passed over without being parsed.
 *
 * Errors: MR_OPTION_INVALID when a file cannot be read.
 */
export async function* mergeRecords(from: readonly RecordsFrom[], afterMs: number): AsyncGenerator<SampleRecord> {
  const readers = from.map((each) => readRecords(each, afterMs));
  try {
    const heads = await Promise.all(readers.map(async (reader) => (await reader.next()).value));
    for (;;) {
      let first = -1;
      heads.forEach((head, i) => {
        const best = heads[first];
        if (head && (best === undefined || best === null || head.atMs < best.atMs)) first = i;
      });
      const record = heads[first];
      if (!record) return;
      yield record;
      heads[first] = (await readers[first]?.next())?.value;
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.return(undefined)));
  }
}

/** How many records lie at or before `untilMs`. Reads that much of the files. */
export async function countRecords(from: readonly RecordsFrom[], untilMs: number): Promise<number> {
  let count = 0;
  for (const each of from) {
    for await (const { atMs } of timedLines(each)) {
      if (atMs > untilMs) break;
      count += 1;
    }
  }
  return count;
}

async function* readRecords(from: RecordsFrom, afterMs: number): AsyncGenerator<SampleRecord, undefined> {
  const offsetMs = from.file.shifted ? from.offsetMs : 0;
  for await (const { atMs, text } of timedLines(from)) {
    if (atMs > afterMs) yield { atMs, offsetMs, line: JSON.parse(text) as SampleLine };
  }
}

async function* timedLines({ file, offsetMs }: RecordsFrom): AsyncGenerator<{ atMs: number; text: string }> {
  let atMs = Number.MIN_SAFE_INTEGER;
  for await (const text of readLines(file.path)) {
    const at = Number(/^\{"at":(-?\d+)/.exec(text)?.[1]);
    if (!Number.isSafeInteger(at))
      throw new MillraceError("MR_OPTION_INVALID", `${file.path}: a line does not begin with {"at":<ms>`);
    atMs = Math.max(atMs, at + offsetMs); // a line before its time would be lost when resuming by time
    yield { atMs, text };
  }
}

async function* readLines(path: string): AsyncGenerator<string> {
  const gunzip = createGunzip();
  const feeding = pipeline(createReadStream(path), gunzip);
  feeding.catch(() => undefined); // the same failure reaches the loop below
  let rest = "";
  try {
    for await (const chunk of gunzip.setEncoding("utf8")) {
      const lines = (rest + (chunk as string)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines.filter((line) => line !== "");
    }
  } catch (cause) {
    const reason = reasonOf(cause);
    throw new MillraceError("MR_OPTION_INVALID", `reading sample file ${path}: ${reason}`, { cause });
  } finally {
    gunzip.destroy();
  }
  if (rest !== "") yield rest;
}
