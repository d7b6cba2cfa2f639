// npm run bench:NAME -- [--json …]: packages and a build if they are missing, then the benchmark. Progress goes to standard
// error, so with --json standard output is one JSON object.
import "./node-version.mjs";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [name = "", ...rest] = process.argv.slice(2);
const { ensureBuilt, ensureInstalled, ROOT } = await import("./setup.mjs");
await ensureInstalled();
await ensureBuilt();
const folders = ["build/bench", "packages/ml-anomaly-detection/dist/bench"];
const path = folders.map((folder) => join(ROOT, folder, `${name}.js`)).find((file) => existsSync(file));
if (path === undefined) {
  console.error(`there is no benchmark ${name} in ${folders.join(" or ")}`);
  process.exit(2);
}
process.argv = [process.argv[0], path, ...rest];
await import(pathToFileURL(path).href);
