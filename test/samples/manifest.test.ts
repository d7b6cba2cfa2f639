import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Delivery, type Figures, type Message, manifest, recordsOf, SAMPLES, type Source } from "./records.js";
import { isValidDelivery, isValidMessage } from "./rule.js";

const { sources, domains } = manifest();
const rowsOf = <Row>(source: Source) => source.files.map(({ path }) => recordsOf<Row>(path));

/** Counts what the manifest claims, knowing nothing of how it was planted: repeats by key and bytes, malformed by rule. */
function count<Row extends { at: number }>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  bytesOf: (row: Row) => string,
  isValid: (row: Row) => boolean,
): Figures & { firstMs: number; lastMs: number; reused: number } {
  const seen = new Map<string, { at: number; bytes: string }>();
  const figures = { sent: rows.length, duplicates: 0, malformed: 0, stored: 0, reused: 0 };
  let [firstMs, lastMs] = [Number.POSITIVE_INFINITY, 0];
  for (const row of rows) {
    firstMs = Math.min(firstMs, row.at);
    lastMs = Math.max(lastMs, row.at);
    const earlier = seen.get(keyOf(row));
    if (earlier === undefined) seen.set(keyOf(row), { at: row.at, bytes: bytesOf(row) });
    if (earlier !== undefined && earlier.bytes !== bytesOf(row)) figures.reused += 1;
    if (earlier !== undefined) figures.duplicates += 1;
    else if (isValid(row)) figures.stored += 1;
    else figures.malformed += 1;
  }
  return { ...figures, firstMs, lastMs };
}

const inOrder = (rows: readonly { at: number }[]) =>
  rows.every((row, i) => i === 0 || row.at >= (rows[i - 1]?.at ?? 0));

/** A reading's identity: its id, or the content where there is none to be read. */
function readingKey({ topic, payload, payloadBase64 }: Message): string {
  try {
    const { id } = JSON.parse(payload ?? "");
    if (typeof id === "string") return id;
  } catch {
    // Malformed on purpose; its content is its identity.
  }
  return `${topic} ${payload ?? payloadBase64}`;
}

t.test("files are the ones the manifest was written for", async (t) => {
  for (const { files, aside } of Object.values(sources)) {
    for (const { path, bytes, sha256 } of [...files, ...aside]) {
      const content = readFileSync(join(SAMPLES, path));
      t.equal(createHash("sha256").update(content).digest("hex"), sha256, path);
      t.equal(content.length, bytes, `${path}: bytes`);
    }
    for (const { path, lines } of files) t.equal(recordsOf(path).length, lines, `${path}: lines`);
  }
});

t.test("github: sent, repeats and malformed are as claimed", async (t) => {
  const files = rowsOf<Delivery>(sources.github);
  for (const rows of files) t.ok(inOrder(rows), "in delivery order");
  const { reused, ...counted } = count(
    files.flat(),
    ({ delivery }) => delivery,
    ({ event, body }) => `${event} ${body}`,
    isValidDelivery,
  );
  t.match(sources.github, counted);
  t.equal(reused, 0, "a delivery id never comes back with another body");
});

for (const name of ["mine", "sensors"] as const) {
  t.test(`${name}: sent, repeats and malformed are as claimed`, async (t) => {
    const files = rowsOf<Message>(sources[name]);
    for (const rows of files) t.ok(inOrder(rows), "in delivery order");
    const bytesOf = ({ topic, payload, payloadBase64 }: Message) => `${topic} ${payload ?? payloadBase64}`;
    const { reused, ...counted } = count(files.flat(), readingKey, bytesOf, isValidMessage);
    t.match(sources[name], counted);
    t.equal(reused, 0, "an id never comes back with other content");
  });
}

t.test("domains are the sums of their sources, and nothing is unaccounted for", async (t) => {
  const sum = (parts: readonly Source[], figure: keyof Figures) =>
    parts.reduce((total, part) => total + part[figure], 0);
  const { github, mine, sensors } = sources;
  for (const figure of ["sent", "duplicates", "malformed", "stored"] as const) {
    t.equal(domains.github[figure], sum([github], figure), `github ${figure}`);
    t.equal(domains.telemetry[figure], sum([mine, sensors], figure), `telemetry ${figure}`);
  }
  for (const { sent, duplicates, malformed, stored } of [...Object.values(sources), ...Object.values(domains)])
    t.equal(sent, duplicates + malformed + stored);
});

t.test("the mine's dirt is kept: it is well-formed, so it is the features' business", async (t) => {
  const payloads = recordsOf<Message>("mine/events.ndjson.gz").filter(isValidMessage);
  const readings = payloads.map(({ payload }) => JSON.parse(payload ?? "").values?.payloadT);
  t.ok(readings.includes(65519), "a 16-bit wrap");
  t.ok(readings.filter((payloadT) => payloadT === 0).length > 500, "zero payloads");
});
