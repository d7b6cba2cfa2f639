// npm test: set up, then types, lint, every test with coverage, and the coverage floor. The last line on standard output is
// `N passed, N failed, N skipped`: checks that are no tap tests (types, lint, floor) count as one each.
import "./node-version.mjs";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { ensureBuilt, ensureInstalled, ROOT, run } = await import("./setup.mjs");
const { createCoverage } = await import("./coverage.mjs");
const { endTests, runTests } = await import("./run-tests.mjs");
/** Whole systems that write and are thrown away: a third faster where no disk is asked to sync. */
const MEMORY = { path: "/dev/shm", leastBytes: 4 * 2 ** 30 };
/** Over and over what other tests reach too: counting lines would cost a quarter of their time and find none. */
const UNCOUNTED = /^build\/test\/(?:e2e\/kill|kill\/(?:kill|cluster)|sim|nexmark|bench)\b/;
/** Bars on time and memory: nothing beside it. */
const ALONE = /^build\/test\/e2e\/job\b/;
/** One more than the processors of CI: many files wait for servers most of their time. */
const JOBS = 3;
/** Those that take longest, longest first: begun last, one of them would run on by itself. */
const LONGEST = [
  "e2e/kill",
  "sim/sim",
  "kill/cluster",
  "kill/repartition",
  "e2e/operations",
  "nexmark/nexmark",
  "kill/kill",
  "cli/commands",
  "e2e/secrets",
  "ws/transport",
  "streams/leases",
  "e2e/full-disk",
  "wall/page",
  "ws/resilience",
];
/** Each has shorter limits inside. */
const FILE_TIMEOUT_MS = 600_000;
const BIOME = join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome");
const total = { pass: 0, fail: 0, skip: 0 };

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 }))
  process.once(signal, () => void endTests().finally(() => process.exit(code)));

await main();
console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
process.exitCode = total.fail === 0 ? 0 : 1;

async function main() {
  if (!(await check("set-up", ensureInstalled))) return;
  const [typed] = await Promise.all([check("types", ensureBuilt), check("lint", lint)]); // the compiler takes one processor
  if (!typed) return;
  const natsServer = await check("nats-server", obtainNatsServer);
  if (process.env.MILLRACE_INSTALL_SYSTEM === "1") await check("chromium", installChromium);
  if (!natsServer) return;
  if (process.env.TMPDIR === undefined) keepTemporaryFilesInMemory();
  const [, , ...asked] = process.argv;
  if (asked.length > 0) return runFiles(asked);
  const coverage = createCoverage(ROOT);
  await runFiles(testFiles(), coverage);
  await check("coverage floor", coverage.check);
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

async function lint() {
  const code = await run(BIOME, ["ci", "--colors=off", "--max-diagnostics=20"]);
  if (code !== 0) throw new Error("npx biome check --write mends most of it");
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

/** Every test, those that take longest first. */
function testFiles() {
  const folders = ["build/test", ...readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}/dist/test`)];
  const inFolder = (folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .filter((path) => path.endsWith(".test.js"))
      .map((path) => `${folder}/${path}`);
  const longest = LONGEST.map((name) => `build/test/${name}.test.js`);
  return [...new Set([...longest, ...folders.flatMap(inFolder).sort()])];
}

async function runFiles(files, coverage) {
  const counts = await runTests({
    files,
    cwd: ROOT,
    jobs: JOBS,
    timeoutMs: FILE_TIMEOUT_MS,
    isAlone: (file) => ALONE.test(file),
    env: (file) => (UNCOUNTED.test(file) ? {} : coverage?.begin(file)),
    ended: (file) => coverage?.end(file),
  });
  for (const kind of Object.keys(total)) total[kind] += counts[kind];
}
