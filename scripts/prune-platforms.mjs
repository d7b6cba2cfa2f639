// For images: removes the native binaries of other platforms and other Node versions from node_modules, and with
// --without-embedded-clickhouse the embedded database too (CLICKHOUSE_URL is needed then).
//
//   node scripts/prune-platforms.mjs [--without-embedded-clickhouse] [folder that holds node_modules]
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const args = process.argv.slice(2);
const modules = join(args.find((arg) => !arg.startsWith("--")) ?? ".", "node_modules");
const { platform, arch } = process;
let freedBytes = 0;

for (const version of list("onnxruntime-node/bin"))
  for (const os of list(`onnxruntime-node/bin/${version}`))
    for (const cpu of list(`onnxruntime-node/bin/${version}/${os}`))
      if (os !== platform || cpu !== arch) remove(`onnxruntime-node/bin/${version}/${os}/${cpu}`);

const wanted = `uws_${platform}_${arch}_${process.versions.modules}.node`;
for (const name of list("uWebSockets.js/dist/bin"))
  if (name.endsWith(".node") && name !== wanted) remove(`uWebSockets.js/dist/bin/${name}`);

if (args.includes("--without-embedded-clickhouse")) remove("@chdb");
console.log(`${(freedBytes / 1e6).toFixed(0)} MB removed from ${modules}`);

function list(path) {
  return existsSync(join(modules, path)) ? readdirSync(join(modules, path)) : [];
}

function remove(path) {
  const full = join(modules, path);
  if (!existsSync(full)) return;
  freedBytes += sizeOf(full);
  rmSync(full, { recursive: true });
}

function sizeOf(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((bytes, name) => bytes + sizeOf(join(path, name)), 0);
}
