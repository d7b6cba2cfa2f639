import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical.js";
import { parseTimeMs } from "./time.js";

/** One reading as every room understands it: names filled in, time in ms, nothing else than these fields. */
export interface Reading {
  readonly source: string;
  readonly site: string;
  readonly equipment: string;
  readonly group: string;
  readonly tsMs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** What one item of a body turned out to be. */
export type DecodedReading =
  | {
      readonly ok: true;
      /** The sender's, or `h-` and a hash of the reading: the same content is the same event. */
      readonly id: string;
      readonly reading: Reading;
      /** The item on one line where it was one of several; decoding it again gives this item again. */
      encode(): Uint8Array;
    }
  | {
      readonly ok: false;
      /** `h-` and a hash of the bytes: a malformed event never shadows a good one with its id. */
      readonly id: string;
      readonly reason: string;
      /** Decoding these bytes again gives this one item again. */
      readonly bytes: Uint8Array;
    };

/** Where a body arrived; names its readings may leave out and must not contradict. */
export interface ReadingTopic {
  readonly site: string;
  readonly equipment: string;
  readonly group: string;
}

/** A body with more items than this is one malformed event: it could otherwise become millions of dead letters. */
const READINGS_MOST = 65_536;
/** Items of an array are written out again one by one, and `JSON.stringify` overflows the stack on what `JSON.parse` reads. */
const DEPTH_MOST = 100;
const TIME_MIN_MS = Date.UTC(2000, 0, 1);
const TIME_MAX_MS = Date.UTC(9999, 11, 31);
const NAME_CHARS_MOST = 128;
const VALUES_MOST = 64;
const LABELS_MOST = 32;
const LABEL_CHARS_MOST = 256;
const SOURCE = /^[A-Za-z0-9_-]{1,64}$/;
const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [BRACKET_OPEN, BRACKET_CLOSE] = [0x5b, 0x5d];
const [BRACE_OPEN, BRACE_CLOSE] = [0x7b, 0x7d];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a body: one reading, an array of them, or NDJSON, each line one of both. Always at least one item: what cannot be read is an
 * item too, so that every delivery can be accounted for. A body of several lines of which none is JSON is one malformed item.
 *
 * A reading needs `site`, `equipment`, `group` (1 to 128 characters; taken from the topic where absent), `ts` (integer ms or RFC 3339,
 * 2000-01-01 or later) and an entry in `values` (at most 64 finite numbers) or `labels` (at most 32 texts of at most 256
 * characters). `id` (1 to 128 characters) and `source` (`[A-Za-z0-9_-]`, at most 64; "live") are optional, other fields ignored.
 * Whether `ts` lies in the future is not judged here: that needs the source's time.
 */
export function decodeReadings(bytes: Uint8Array, topic?: ReadingTopic): readonly DecodedReading[] {
  const whole = parse(bytes);
  if (whole.ok) return decodeItems(whole.value, bytes, topic);
  if (!bytes.includes(NEWLINE)) return [malformed(whole.reason, bytes)];
  const lines = splitLines(bytes).map((line) => ({ line, parsed: parse(line) }));
  if (!lines.some(({ parsed }) => parsed.ok)) return [malformed(whole.reason, bytes)];
  const items = lines.flatMap(({ line, parsed }) =>
    parsed.ok ? decodeItems(parsed.value, line, topic) : [malformed(parsed.reason, line)],
  );
  return items.length > READINGS_MOST ? [tooMany(bytes)] : items;
}

function decodeItems(value: unknown, bytes: Uint8Array, topic: ReadingTopic | undefined): readonly DecodedReading[] {
  if (!Array.isArray(value)) return [decodeOne(value, () => bytes, topic)];
  if (value.length === 0) return [malformed("an empty array", bytes)];
  if (value.length > READINGS_MOST) return [tooMany(bytes)];
  if (isNestedDeeply(bytes)) return [malformed(`nested more than ${DEPTH_MOST} deep`, bytes)];
  // An array within the array keeps a pair of brackets: alone it would be read as a body of readings.
  return value.map((item) => decodeOne(item, () => toBytes(Array.isArray(item) ? [item] : item), topic));
}

function decodeOne(raw: unknown, bytes: () => Uint8Array, topic: ReadingTopic | undefined): DecodedReading {
  if (!isObject(raw)) return malformed("not a JSON object", bytes());
  const reason = fault(raw, topic);
  if (reason !== undefined) return malformed(reason, bytes());
  const { source = "live", site = topic?.site, equipment = topic?.equipment, group = topic?.group } = raw;
  const { ts, values = {}, labels = {}, id } = raw;
  const reading = { source, site, equipment, group, tsMs: parseTimeMs(ts), values, labels } as Reading; // `fault` has checked
  return { ok: true, id: typeof id === "string" ? id : hash(canonicalJson(reading)), reading, encode: bytes };
}

/** The first rule that is broken, or undefined. */
function fault(raw: Fields, topic: ReadingTopic | undefined): string | undefined {
  for (const field of ["site", "equipment", "group"] as const) {
    const name = raw[field] === undefined ? topic?.[field] : raw[field];
    if (!isText(name, NAME_CHARS_MOST)) return `${field} is not a text of 1 to ${NAME_CHARS_MOST} characters`;
    if (topic !== undefined && name !== topic[field]) return `${field} differs from the topic's`;
  }
  if (raw["id"] !== undefined && !isText(raw["id"], NAME_CHARS_MOST)) return "id is not a text of 1 to 128 characters";
  const { source = "live" } = raw;
  if (typeof source !== "string" || !SOURCE.test(source)) return "source is not 1 to 64 of A-Z, a-z, 0-9, _ and -";
  return faultOfTime(raw["ts"]) ?? faultOfContent(raw["values"], raw["labels"]);
}

function faultOfTime(ts: unknown): string | undefined {
  const tsMs = parseTimeMs(ts);
  if (tsMs === undefined) return "ts is neither an integer of ms nor an RFC 3339 time";
  return tsMs < TIME_MIN_MS || tsMs > TIME_MAX_MS ? "ts is before 2000 or after 9999" : undefined;
}

function faultOfContent(values: unknown = {}, labels: unknown = {}): string | undefined {
  if (!isObject(values)) return "values is not an object";
  if (!isObject(labels)) return "labels is not an object";
  const numbers = Object.values(values);
  const texts = Object.values(labels);
  if (numbers.length > VALUES_MOST) return `more than ${VALUES_MOST} values`;
  if (texts.length > LABELS_MOST) return `more than ${LABELS_MOST} labels`;
  if (!numbers.every(Number.isFinite)) return "a value is not a finite number";
  if (!texts.every((text) => text === "" || isText(text, LABEL_CHARS_MOST))) {
    return `a label is not a text of at most ${LABEL_CHARS_MOST} characters`;
  }
  return numbers.length + texts.length === 0 ? "neither values nor labels" : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Half a surrogate pair is not text: it has no UTF-8 form, so it could not go into a subject and come back. */
function isText(value: unknown, most: number): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= most && isWellFormed(value);
}

function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}

type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

function parse(bytes: Uint8Array): Parsed {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { ok: false, reason: "not UTF-8" };
  }
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, reason: text.trim() === "" ? "empty" : "not JSON" };
  }
}

function isNestedDeeply(bytes: Uint8Array): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < bytes.length; i++) {
    const char = bytes[i];
    if (inText && char === BACKSLASH) i++;
    else if (char === QUOTE) inText = !inText;
    else if (!inText && (char === BRACKET_OPEN || char === BRACE_OPEN)) depth += 1;
    else if (!inText && (char === BRACKET_CLOSE || char === BRACE_CLOSE)) depth -= 1;
    if (depth > DEPTH_MOST) return true;
  }
  return false;
}

/** The lines of a body without those that are blank. */
function splitLines(bytes: Uint8Array): readonly Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    if (line.some((byte) => byte > 32)) lines.push(line);
    start = end + 1;
  }
  return lines;
}

function malformed(reason: string, bytes: Uint8Array): DecodedReading {
  return { ok: false, id: hash(bytes), reason, bytes };
}

function tooMany(bytes: Uint8Array): DecodedReading {
  return malformed(`more than ${READINGS_MOST} readings in one body`, bytes);
}

function toBytes(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function hash(content: string | Uint8Array): string {
  return `h-${createHash("sha256").update(content).digest("hex").slice(0, 32)}`;
}
