import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

export interface SampleSpec {
  readonly [source: string]: Readonly<
    Record<string, readonly { readonly at: number; readonly [field: string]: unknown }[]>
  >;
}

/** Writes a sample: source -> file -> lines, with the manifest a cutter would write. */
export function writeSample(spec: SampleSpec) {
  const path = mkdtempSync(join(tmpdir(), "millrace-sample-"));
  const sources = Object.entries(spec).map(([name, files]) => {
    const lines = Object.values(files).flat();
    const times = lines.map(({ at }) => at);
    for (const [file, records] of Object.entries(files)) {
      mkdirSync(dirname(join(path, file)), { recursive: true });
      writeFileSync(join(path, file), gzipSync(`${records.map((record) => JSON.stringify(record)).join("\n")}\n`));
    }
    const manifest = {
      files: Object.entries(files).map(([file, records]) => ({ path: file, lines: records.length })),
      firstMs: Math.min(...times),
      lastMs: Math.max(...times),
      sent: lines.length,
    };
    return [name, manifest];
  });
  writeFileSync(join(path, "manifest.json"), JSON.stringify({ sources: Object.fromEntries(sources) }));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
