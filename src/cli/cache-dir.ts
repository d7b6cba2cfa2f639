import { join } from "node:path";
import { packageRoot } from "../core/index.js";

/** Where fetched binaries are kept: inside the project, so that removing the project removes them. */
export function cacheDir(): string {
  return join(packageRoot(), ".cache");
}
