// What npm start and npm test need before anything of ours can run: packages and a build. Each part is done once and again
// only when its inputs changed. No dependencies: this runs before they are there.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const INSTALL_STAMP = join(ROOT, "node_modules", ".millrace.json");
const BUILD_STAMP = join(ROOT, "build", ".millrace.json");
const PROGRAM_STAMP = join(ROOT, "build", ".millrace-program.json");
const PROGRAM_SOURCES = ["src", "packages", "dashboards/wall", "tsconfig.base.json"];
const SOURCES = [...PROGRAM_SOURCES, "test", "bench", "examples", "tsconfig.json"];
const NOT_SOURCES = new Set(["node_modules", "dist", "build"]);
const QUIET_LINE_MS = 10_000;

/** Installs from the lock file when node_modules is missing or belongs to another lock file. */
export async function ensureInstalled() {
  const lockText = readFileSync(join(ROOT, "package-lock.json"), "utf8");
  const stamp = { lock: hash(lockText), platform: `${process.platform}-${process.arch}` };
  if (readStamp(INSTALL_STAMP) === JSON.stringify(stamp)) return;
  if (!isInstalled(JSON.parse(lockText))) await install(lockText);
  writeStamp(INSTALL_STAMP, stamp);
}

/** Checks and compiles everything and bundles the page when a source changed since the last time. Throws when that fails. */
export async function ensureBuilt() {
  const stamp = { sources: hashSources(SOURCES) };
  if (readStamp(BUILD_STAMP) === JSON.stringify(stamp)) return;
  const program = { sources: hashSources(PROGRAM_SOURCES) };
  await withProgress("compiling", async () => {
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const code = await run(process.execPath, [tsc, "-b"]);
    if (code !== 0) throw new Error(`tsc -b found errors (exit code ${code})`);
    for (const [out, source] of outputFolders()) removeOrphans(out, source);
    await bundleWall();
    return formatMb(sizeOf(join(ROOT, "build")));
  });
  writeStamp(BUILD_STAMP, stamp);
  writeStamp(PROGRAM_STAMP, program);
}

/**
 * Makes the program runnable when one of its sources changed: the same files in the same places as `ensureBuilt`, but only
 * the program's, and without checking types. Half a second where tsc takes seven: npm start need not prove what npm test does.
 */
export async function ensureRunnable() {
  const stamp = { sources: hashSources(PROGRAM_SOURCES) };
  if (readStamp(PROGRAM_STAMP) === JSON.stringify(stamp)) return;
  await withProgress("compiling", async () => {
    const { build } = await import("esbuild");
    const packages = packageFolders().map((path) => [join(path, "dist", "src"), join(path, "src")]);
    for (const [outdir, source] of [[join(ROOT, "build", "src"), join(ROOT, "src")], ...packages]) {
      const entryPoints = listSources(source);
      await build({ entryPoints, outdir, outbase: source, format: "esm", target: "es2022", sourcemap: true });
      removeOrphans(outdir, source);
    }
    await bundleWall();
    return formatMb(sizeOf(join(ROOT, "build")));
  });
  writeStamp(PROGRAM_STAMP, stamp);
}

function listSources(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".ts"));
  return names.filter((name) => !name.endsWith(".d.ts")).map((name) => join(folder, name));
}

/** Where compiled files are, and the sources they come from. */
function outputFolders() {
  return [
    ...["src", "test", "bench", "examples"].map((name) => [join(ROOT, "build", name), join(ROOT, name)]),
    ...packageFolders().map((path) => [join(path, "dist"), path]),
  ];
}

function packageFolders() {
  return readdirSync(join(ROOT, "packages")).map((name) => join(ROOT, "packages", name));
}

/** tsc leaves the output of a deleted source behind, and a deleted test would go on being run. */
function removeOrphans(out, source) {
  for (const name of existsSync(out) ? readdirSync(out) : []) {
    const path = join(out, name);
    if (statSync(path).isDirectory()) removeOrphans(path, join(source, name));
    const stem = /^(.+?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(name)?.[1];
    if (stem !== undefined && !existsSync(join(source, `${stem}.ts`))) rmSync(path);
  }
}

/** The page: one script, and the files that go beside it as they are. */
async function bundleWall() {
  const wall = join(ROOT, "dashboards", "wall");
  const entry = join(wall, "main.ts");
  if (!existsSync(entry)) return;
  const { build } = await import("esbuild");
  const outdir = join(ROOT, "build", "wall");
  rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: [entry],
    outdir,
    bundle: true,
    minify: true,
    sourcemap: true,
    format: "esm",
    target: "es2022",
    logLevel: "warning",
  });
  const isAsset = (path) => !/\.(ts|json)$/.test(path);
  cpSync(wall, outdir, { recursive: true, filter: isAsset });
}

/** Runs a program with our standard streams; resolves with its exit code. */
export function run(file, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}

async function install(lockText) {
  const count = Object.keys(JSON.parse(lockText).packages).length;
  await withProgress(
    `installing packages (up to ${count}) from package-lock.json`,
    async () => {
      const { code, said } = await npmCi();
      if (code !== 0) throw new Error(`npm ci failed with exit code ${code}:\n${said}`);
      return `${readdirSync(join(ROOT, "node_modules")).length} folders`;
    },
    true,
  );
}

/** npm's own progress bar would fight with ours for the line, so its words are kept and shown if it fails. */
function npmCi() {
  const script = process.env.npm_execpath;
  const [file, first] = script?.endsWith(".js") ? [process.execPath, [script]] : ["npm", []];
  // The lock file pins contents by hash, so what npm has in its cache is as good as what it would ask for: also works offline.
  const args = [...first, "ci", "--prefer-offline", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"];
  // onnxruntime-node's install script fetches a CUDA build nobody asked for.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
    child.once("error", reject);
    child.once("exit", (code) => resolve({ code, said }));
  });
}

/** True when node_modules already holds what the lock file says: somebody ran npm by hand. */
function isInstalled(lock) {
  const hidden = join(ROOT, "node_modules", ".package-lock.json");
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, "utf8")).packages;
  return Object.entries(lock.packages).every(([path, { version, optional, link }]) => {
    if (!path.startsWith("node_modules/") || link) return true;
    if (installed[path] === undefined) return optional === true; // of another platform
    return installed[path].version === version;
  });
}

/** Names, sizes and times of all sources: a few milliseconds, where hashing contents would take a hundred. */
function hashSources(sources) {
  const lines = [readStamp(INSTALL_STAMP)];
  for (const source of sources)
    walk(join(ROOT, source), (path, { size, mtimeMs }) => lines.push(`${path} ${size} ${mtimeMs}`));
  return hash(lines.join("\n"));
}

function walk(path, visit) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) return visit(relative(ROOT, path), stats);
  for (const name of readdirSync(path).sort()) if (!NOT_SOURCES.has(name)) walk(join(path, name), visit);
}

function sizeOf(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((bytes, name) => bytes + sizeOf(join(path, name)), 0);
}

/**
 * Does something long, and says meanwhile how long it has taken and (with `disk`) how much it has written: one changing line
 * on a terminal, a line every ten seconds elsewhere. `work` returns what to add at the end.
 */
async function withProgress(what, work, disk = false) {
  const startedMs = performance.now();
  const freeBefore = disk ? freeBytes() : 0;
  const state = () => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    return `${what}: ${seconds} s${disk ? `, ${formatMb(Math.max(0, freeBefore - freeBytes()))} written` : ""}`;
  };
  const tty = process.stderr.isTTY === true;
  const show = () => process.stderr.write(tty ? `\r\x1b[K${state()}` : `${state()}\n`);
  if (!tty) process.stderr.write(`${what} …\n`);
  const timer = setInterval(show, tty ? 500 : QUIET_LINE_MS);
  let result = "failed";
  try {
    result = await work();
  } finally {
    clearInterval(timer);
    process.stderr.write(`${tty ? "\r\x1b[K" : ""}${state()}, ${result}\n`);
  }
}

function freeBytes() {
  const { bavail, bsize } = statfsSync(ROOT);
  return bavail * bsize;
}

function formatMb(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex");
}

function readStamp(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function writeStamp(path, stamp) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(stamp));
}
