import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The directory that holds Millrace's package.json, found by walking up from this file: the same from sources and from `build/`.
 * Files tsc does not copy (models, the built page, samples) are addressed from here. Reads a few small files, once.
 */
export function packageRoot(): string {
  root ??= findRoot(dirname(fileURLToPath(import.meta.url)));
  return root;
}

let root: string | undefined;

function findRoot(from: string): string {
  for (let directory = from; ; directory = dirname(directory)) {
    if (isOurs(join(directory, "package.json"))) return directory;
    if (dirname(directory) === directory) throw new Error(`no package.json named millrace above ${from}`);
  }
}

function isOurs(path: string): boolean {
  try {
    return JSON.parse(readFileSync(path, "utf8")).name === "millrace";
  } catch {
    return false; // Not there, or somebody else's: keep walking up.
  }
}
