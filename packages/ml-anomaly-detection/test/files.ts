import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A golden file of this package, from the compiled test or the source beside it. */
export function golden<T>(name: string): T {
  const path = climb((at) => join(at, "test", "golden", name));
  if (path === undefined) throw new Error(`no golden file ${name}`);
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

/** The folder of this package. */
export function packageFolder(): string {
  return dirname(climb((at) => join(at, "nab-threshold.json")) as string);
}

/** The folder of anomaly data that a developer may have beside the repository; `undefined` elsewhere. */
export function sharedData(): string | undefined {
  const given = process.env["ANOMALY_DATA"];
  return given !== undefined && existsSync(given) ? given : climb((at) => join(at, "shared", "data", "anomaly"));
}

function climb(candidate: (folder: string) => string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const path = candidate(folder);
    if (existsSync(path)) return path;
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}
