import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "../../src/core/index.js";

/** The folder of anomaly data that a developer may have beside the repository or name in ANOMALY_DATA; `undefined` elsewhere. */
export function sharedData(): string | undefined {
  const given = process.env["ANOMALY_DATA"];
  if (given !== undefined && existsSync(given)) return given;
  for (let folder = packageRoot(); ; folder = dirname(folder)) {
    const path = join(folder, "shared", "data", "anomaly");
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}
