/** Reading the shared data and writing the sample. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

const linesOf = (path) => gunzipSync(readFileSync(path)).toString("utf8").trimEnd().split("\n");

/** Rows of a gzip CSV as objects. No field of these files holds a comma or a quote, which is asserted. */
export function readCsvGz(path) {
  const [head, ...lines] = linesOf(path);
  const names = head.trim().split(",");
  return lines.map((line, i) => {
    const cells = line.trim().split(",");
    if (cells.length !== names.length)
      throw new Error(`${path} line ${i + 2}: ${cells.length} cells, not ${names.length}`);
    return Object.fromEntries(names.map((name, column) => [name, cells[column]]));
  });
}

/** Records of a gzip NDJSON file. */
export const readNdjsonGz = (path) => linesOf(path).map((line) => JSON.parse(line));

// What would lead back to a person: team files, addresses, the pseudonyms of the shared data, commit hashes.
const FORBIDDEN = [/people\//, /@/, /u_/, /e_/, /(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,}/];

/** Whether `text` holds nothing that the privacy recipe of samples/README.md forbids. */
export const isPrivate = (text) => !FORBIDDEN.some((pattern) => pattern.test(text));

/** Refuses text that the privacy recipe of samples/README.md forbids. */
export function assertPrivate(name, text) {
  for (const pattern of FORBIDDEN) {
    const found = pattern.exec(text);
    if (found)
      throw new Error(`${name} holds ${pattern}: …${text.slice(Math.max(0, found.index - 40), found.index + 40)}…`);
  }
}

/**
 * Writes records as gzip NDJSON and returns what the manifest says of the file.
 * @param {boolean} [options.checked=true] refuse what the privacy recipe forbids
 */
export function writeNdjsonGz(root, path, records, { checked = true } = {}) {
  const text = records.map((record) => `${JSON.stringify(record)}\n`).join("");
  if (checked) assertPrivate(path, text);
  return { ...writeBytes(root, path, gzipSync(text, { level: 9 })), lines: records.length };
}

/** Writes `bytes` to `root/path`, making folders. */
export function writeBytes(root, path, bytes) {
  mkdirSync(dirname(`${root}/${path}`), { recursive: true });
  writeFileSync(`${root}/${path}`, bytes);
  return { path, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}
