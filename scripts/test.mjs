// npm test: set up, then types, lint, every test with coverage, and the coverage floor. The last line on standard output is
// `N passed, N failed, N skipped`: checks that are no tap tests (types, lint, floor) count as one each.
import "./node-version.mjs";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** Percent of lines, branches and functions that tests must reach. Raise it when the figures printed below allow. */
const FLOOR = { lines: 95, branches: 90, functions: 94 };
/** Percent of its lines that every file of src must reach: a file below is one that no test really runs. */
const FILE_FLOOR = 50;

const { ensureBuilt, ensureInstalled, ROOT, run } = await import("./setup.mjs");
/** Whole systems that write and are thrown away: a third faster where no disk is asked to sync. */
const MEMORY = { path: "/dev/shm", leastBytes: 4 * 2 ** 30 };
/** Over and over what other tests reach too: counting lines would cost a quarter of their time and find none. */
const LONG = /^build\/test\/(?:e2e\/kill|sim|nexmark|bench)\b/;
/** Likewise; and serial, so that the others need not wait for them in the middle. */
const KILLS = /^build\/test\/kill\/(?:kill|cluster)\b/;
const TAP = join(ROOT, "node_modules", "tap", "dist", "esm", "run.mjs");
const BIOME = join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome");
const total = { pass: 0, fail: 0, skip: 0 };

await main();
console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
process.exitCode = total.fail === 0 ? 0 : 1;

async function main() {
  const ready = await check("set-up", async () => {
    await ensureInstalled();
    await buildTap();
  });
  if (!ready) return;
  const typed = await check("types", ensureBuilt);
  await check("lint", async () => {
    const code = await run(BIOME, ["ci", "--colors=off", "--max-diagnostics=20"]);
    if (code !== 0) throw new Error("npx biome check --write mends most of it");
  });
  if (!typed) return;
  const natsServer = await check("nats-server", obtainNatsServer);
  if (process.env.MILLRACE_INSTALL_SYSTEM === "1") await check("chromium", installChromium);
  if (!natsServer) return;
  if (process.env.TMPDIR === undefined) keepTemporaryFilesInMemory();
  const [, , ...asked] = process.argv;
  if (asked.length > 0) return runTap(asked);
  const files = testFiles();
  await runTap(["--disable-coverage", ...files.filter((file) => LONG.test(file))]);
  await runTap(["--disable-coverage", ...files.filter((file) => KILLS.test(file))]);
  await runTap(files.filter((file) => !LONG.test(file) && !KILLS.test(file)));
  await check("coverage floor", checkCoverage);
}

/** One step that is not a tap test. Resolves with true when it went well; says why when not. */
async function check(name, work) {
  try {
    await work();
    total.pass++;
    return true;
  } catch (error) {
    total.fail++;
    console.error(`not ok: ${name}: ${error instanceof Error ? error.message : error}`);
    return false;
  }
}

/** Without its TypeScript plugin tap has to be put together once after each installation. */
async function buildTap() {
  if (existsSync(join(ROOT, ".tap", "plugins", "node_modules"))) return;
  const code = await run(process.execPath, [TAP, "build"]);
  if (code !== 0) throw new Error(`tap build failed with exit code ${code}`);
}

/** Tests start servers of their own; they all take the one that is named here. */
async function obtainNatsServer() {
  const { obtainNatsServer: obtain } = await importBuilt("src/streams/index.js");
  const { NATS_URL: _theirs, ...env } = process.env;
  const server = await obtain({ env, cacheDir: join(ROOT, ".cache"), report: (line) => console.error(line) });
  process.env.NATS_SERVER_BIN = server.path;
}

/** For every test's `os.tmpdir()`; what tests leave behind goes with this process. */
function keepTemporaryFilesInMemory() {
  const { path, leastBytes } = MEMORY;
  if (!existsSync(path)) return;
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize < leastBytes) return;
  const directory = mkdtempSync(join(path, "millrace-test-"));
  process.env.TMPDIR = directory;
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 }))
    process.once(signal, () => process.exit(code));
}

async function installChromium() {
  const { findChromium } = await importBuilt("test/support/chromium.js");
  if (findChromium().kind === "found") return;
  const sudo = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", "chromium"]]) {
    const [file, ...rest] = [...sudo, "apt-get", ...args];
    const { status } = spawnSync(file, rest, { stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) throw new Error(`${[file, ...rest].join(" ")} failed; browser tests need CHROMIUM_BIN then`);
  }
}

function importBuilt(path) {
  return import(pathToFileURL(join(ROOT, "build", path)).href);
}

/** Those of `.taprc`. */
function testFiles() {
  const folders = ["build/test", ...readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}/dist/test`)];
  const inFolder = (folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .filter((path) => path.endsWith(".test.js"))
      .map((path) => `${folder}/${path}`);
  return folders.flatMap(inFolder).sort();
}

/** Runs tap and shows one line a file, failures in full, and at the end every skip with its reason. */
async function runTap(args) {
  const child = spawn(process.execPath, [TAP, "run", "--reporter=tap", ...args], {
    cwd: ROOT,
    stdio: ["inherit", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const skips = [];
  let file = [];
  let counts;
  for await (const line of createInterface(child.stdout)) {
    const skip = /^\s+(?:ok|not ok) \d+ - (.*?) # SKIP ?(.*)$/.exec(line);
    if (skip) skips.push(`${skip[1]}: ${skip[2] || "no reason given"}`);
    const summary = /^# \{ total: \d+.*\}$/.exec(line);
    if (summary) counts = readCounts(line);
    const result = /^(ok|not ok) \d+ - (.*)$/.exec(line);
    file.push(line);
    if (!result) continue;
    console.log(`${result[1]} ${result[2]}`);
    if (result[1] === "not ok") console.log(file.join("\n"));
    file = [];
  }
  const code = await exited;
  if (counts === undefined) counts = { pass: 0, fail: 1, skip: 0 };
  if (code !== 0 && counts.fail === 0) counts.fail = 1; // a file that crashed or timed out between two tests
  for (const key of Object.keys(total)) total[key] += counts[key];
  for (const skip of skips) console.log(`skipped: ${skip}`);
}

/** tap's own tally: `# { total: 8, pass: 5, fail: 1, todo: 1, skip: 1 }`. What is still to do has not passed. */
function readCounts(line) {
  const count = (name) => Number(new RegExp(`${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { pass: count("pass"), fail: count("fail"), skip: count("skip") + count("todo") };
}

async function checkCoverage() {
  const report = JSON.parse(readFileSync(join(ROOT, ".tap", "report", "coverage-summary.json"), "utf8"));
  const reached = Object.keys(FLOOR).map((kind) => ({ kind, percent: report.total[kind].pct, floor: FLOOR[kind] }));
  console.log(
    `coverage: ${reached.map(({ kind, percent, floor }) => `${kind} ${percent} % (floor ${floor})`).join(", ")}`,
  );
  const files = Object.entries(report).flatMap(([path, { lines }]) =>
    path === "total" ? [] : [{ path: relative(ROOT, path), percent: lines.pct }],
  );
  const lowest = files.sort((a, b) => a.percent - b.percent).slice(0, 5);
  console.log(`lowest: ${lowest.map(({ path, percent }) => `${path} ${percent} %`).join(", ")}`);
  const below = reached.filter(({ percent, floor }) => !(percent >= floor)).map(({ kind }) => kind);
  const untouched = files.filter(({ path, percent }) => path.startsWith("src/") && percent < FILE_FLOOR);
  const names = [...below, ...untouched.map(({ path }) => path), ...neverLoaded(files)];
  if (names.length > 0) throw new Error(`too little is tested of ${names.join(", ")}`);
}

/** Sources with code that no test has loaded: the report leaves them out altogether. */
function neverLoaded(files) {
  const seen = new Set(files.map(({ path }) => path));
  const compiled = readdirSync(join(ROOT, "build", "src"), { recursive: true }).filter((path) => path.endsWith(".js"));
  return (
    compiled
      // A thread that is ended from outside leaves no figures.
      .filter((path) => !/(?:index|thread)\.js$/.test(path) && hasCode(join(ROOT, "build", "src", path)))
      .map((path) => `src/${path.replace(/\.js$/, ".ts")}`)
      .filter((path) => !seen.has(path))
  );
}

/** False for what compiled to nothing: types only. */
function hasCode(path) {
  const text = readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return text.replace("export {};", "").trim() !== "";
}
