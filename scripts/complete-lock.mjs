// Adds to package-lock.json the optional packages of other platforms that `npm install` left out because the registry it
// talked to does not carry them. Without them `npm ci` refuses the lock file ("Missing: … from lock file"), here and on
// every other platform. Name, version and platform are known from the parent; the integrity is not, so it stays out.
//
//   node scripts/complete-lock.mjs          after every npm install that changed the lock file
import { readFileSync, writeFileSync } from "node:fs";

const PATH = new URL("../package-lock.json", import.meta.url);
const CPUS = { arm64: /arm64/, arm: /-arm-|armeabi/, ia32: /ia32/, ppc64: /ppc64/, riscv64: /riscv64/, s390x: /s390x/ };

const lock = JSON.parse(readFileSync(PATH, "utf8"));
const packages = lock.packages;
const missing = Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
  Object.entries(optionalDependencies)
    .filter(([name]) => !packages[`${parent}/node_modules/${name}`] && !packages[`node_modules/${name}`])
    .map(([name, version]) => ({ name, version, parent: packages[parent] })),
);
for (const { name, version, parent } of missing) packages[`node_modules/${name}`] = describe(name, version, parent);

// The order npm itself writes, so that the next npm install changes nothing.
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en")));
writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${missing.length} optional packages of other platforms added`);

function describe(name, version, { dev, license }) {
  if (!/^\d/.test(version)) throw new Error(`${name} is not pinned to one version: ${version}`);
  const os = /android|darwin|freebsd|openharmony|win32|linux/.exec(name)?.[0];
  if (os === undefined) throw new Error(`cannot tell the platform of ${name}`);
  const cpu = Object.keys(CPUS).find((key) => CPUS[key].test(name)) ?? "x64";
  const libc = /musl/.test(name) ? ["musl"] : /gnu/.test(name) ? ["glibc"] : undefined;
  return { version, cpu: [cpu], ...(dev && { dev }), ...(libc && { libc }), license, optional: true, os: [os] };
}
