// npm run test:mutation -- [--all | --files GLOB] [--sample SHARE] [--seed N] [--json]: changes the engine's code in one small place
// at a time and runs the tests that reach it. A mutant that no test notices has survived. By default the files changed
// against main are mutated. Exit code 1 when the score is below the floor. See docs/mutation.md.
import "./node-version.mjs";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { isSampled } from "./mutation/sample.mjs";

/** Percent of mutants that tests must notice. */
const FLOOR = 85;
const ENGINE = "src/operators/engine";
const TESTS = "build/test/operators/engine";
/** Results of the first look, in `.cache`. */
const FIRST = "mutation.jsonl";

const { values: options } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    files: { type: "string" },
    sample: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    concurrency: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const share = Number(options.sample);
if (!(share > 0 && share <= 1))
  throw new RangeError(`--sample must lie above 0 and not above 1, got ${options.sample}`);

const { ensureBuilt, ensureInstalled, ROOT } = await import("./setup.mjs");
await ensureInstalled();
await ensureBuilt();
process.chdir(ROOT);
const sources = chosenSources();
if (sources.length === 0) {
  console.error(`no file of ${ENGINE} has changed against main: nothing to mutate; --all mutates every file`);
  process.exit(0);
}
console.error(`mutating ${sources.length} files of ${ENGINE}`);
const began = performance.now();
const report = summarise(await mutateTwice(sources));
if (options.json) console.log(JSON.stringify(report, null, 2));
else print(report);
process.exitCode = report.scorePercent >= FLOOR ? 0 : 1;

function chosenSources() {
  const every = readdirSync(ENGINE, { recursive: true })
    .filter((path) => path.endsWith(".ts") && path !== "index.ts")
    .map((path) => join(ENGINE, path))
    .sort();
  if (options.all) return every;
  if (options.files !== undefined) return every.filter((path) => matches(path, options.files));
  const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).split("\n");
  const base = git("merge-base", "HEAD", "main")[0];
  const changed = new Set([...git("diff", "--name-only", base), ...git("ls-files", "--others", "--exclude-standard")]);
  return every.filter((path) => changed.has(path));
}

/** `*` stands for anything, `{a,b}` for either; a glob without a folder finds the file in any. */
function matches(path, glob) {
  const pattern = glob
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replace(/\{([^}]*)\}/g, (_, either) => `(?:${either.replaceAll(",", "|")})`);
  return new RegExp(`(?:^|/)${pattern}$`).test(path);
}

/** Those that survive a short look are looked at again for longer: most mutants are noticed at once. */
async function mutateTwice(files) {
  const first = await mutate(files, { budgetMs: 2_000, results: FIRST });
  const survived = first.filter((result) => result.status === "Survived" && isSampled(result, share, options.seed));
  if (survived.length === 0) return first;
  console.error(`${survived.length} survived: they are tried again with more of the tests`);
  const only = survived.map(({ id }) => id);
  const again = await mutate(files, { budgetMs: 6_000, results: "mutation-again.jsonl", only });
  const later = new Map(again.filter(({ id }) => only.includes(id)).map((result) => [result.id, result]));
  return first.map((result) => later.get(result.id) ?? result);
}

/** `budgetMs` is processor time for one mutant. */
async function mutate(files, { budgetMs, results, only }) {
  mkdirSync(".cache", { recursive: true });
  const { Stryker } = await import("@stryker-mutator/core");
  const plugin = (name) => pathToFileURL(join(ROOT, "scripts", "mutation", name)).href;
  const stryker = new Stryker({
    mutate: files.map((path) => `build/${path.replace(/\.ts$/, ".js")}`),
    ignorePatterns: ["/*", "!/build", "/build/*", "!/build/src", "!/build/test", "!/build/bench", "!/build/examples"],
    tempDirName: ".cache/stryker",
    plugins: [plugin("runner.mjs"), plugin("progress.mjs")],
    appendPlugins: [],
    testRunner: "warm",
    testRunnerNodeArgs: ["--max-old-space-size=1024", "--enable-source-maps"],
    coverageAnalysis: "perTest",
    concurrency: Number(options.concurrency),
    // Generous, so that a busy machine does not look like an endless loop; those mostly end at the limit of turns.
    timeoutMS: 30_000,
    dryRunTimeoutMinutes: 60, // all tests once, with every counter in place
    symlinkNodeModules: false,
    // Each needs a worker of its own: left out of a sample, and counted as ignored.
    ignoreStatic: share < 1,
    disableTypeChecks: false,
    allowConsoleColors: false,
    logLevel: "error",
    reporters: ["lines"],
    warnings: false,
    engineTests: {
      // The test of the documents mutates nothing and reads files that are not copied.
      files: readdirSync(TESTS, { recursive: true })
        .filter((path) => path.endsWith(".test.js") && path !== "docs.test.js")
        .map((path) => join(TESTS, path))
        .sort(),
      results: join(ROOT, ".cache", results),
      earlier: join(ROOT, ".cache", FIRST),
      budgetMs,
      only,
      share,
      seed: options.seed,
    },
  });
  return stryker.runMutationTest();
}

/** Score per file and in all, and every survivor where it stands in the source. */
function summarise(results) {
  const tried = results.filter((result) => result.status !== "Ignored" && isSampled(result, share, options.seed));
  const files = new Map();
  const survivors = [];
  for (const result of tried) {
    const source = relative(ROOT, result.fileName)
      .replace(/^build\//, "")
      .replace(/\.js$/, ".ts");
    const counts = files.get(source) ?? { killed: 0, survived: 0, noCoverage: 0, errors: 0 };
    files.set(source, counts);
    if (result.status === "Killed" || result.status === "Timeout") counts.killed++;
    else if (result.status === "Survived") counts.survived++;
    else if (result.status === "NoCoverage") counts.noCoverage++;
    else counts.errors++;
    if (result.status === "Survived" || result.status === "NoCoverage")
      survivors.push({
        ...placeOf(result, source),
        mutator: result.mutatorName,
        replacement: result.replacement,
        status: result.status,
      });
  }
  const total = [...files.values()].reduce((sum, counts) => ({
    killed: sum.killed + counts.killed,
    survived: sum.survived + counts.survived,
    noCoverage: sum.noCoverage + counts.noCoverage,
    errors: sum.errors + counts.errors,
  }));
  return {
    scorePercent: scoreOf(total),
    floorPercent: FLOOR,
    sampleShare: share,
    seed: options.seed,
    mutants: results.length,
    tried: tried.length,
    ...total,
    minutes: Math.round((performance.now() - began) / 6_000) / 10,
    files: Object.fromEntries(
      [...files].sort().map(([file, counts]) => [file, { scorePercent: scoreOf(counts), ...counts }]),
    ),
    survivors: survivors.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line)),
  };
}

function scoreOf({ killed, survived, noCoverage }) {
  return Math.round((killed / (killed + survived + noCoverage)) * 1_000) / 10;
}

/** Mutants stand in the compiled file; its source map says where that is. */
function placeOf({ fileName, location: { start } }, file) {
  const map = new SourceMap(JSON.parse(readFileSync(`${fileName}.map`, "utf8")));
  const { originalLine, originalColumn } = map.findEntry(start.line - 1, start.column - 1);
  const line = originalLine + 1;
  return { file, line, column: originalColumn + 1, code: readFileSync(file, "utf8").split("\n")[originalLine]?.trim() };
}

function print({ scorePercent, files, survivors, mutants, tried, minutes }) {
  for (const { file, line, column, mutator, replacement, code } of survivors)
    console.log(
      `${file}:${line}:${column} ${mutator}: ${code}\n    -> ${replacement.replace(/\s+/g, " ").slice(0, 120)}`,
    );
  for (const [file, { scorePercent: score, killed, survived, noCoverage }] of Object.entries(files))
    console.log(`${String(score).padStart(5)} %  ${killed} of ${killed + survived + noCoverage}  ${file}`);
  console.log(`${scorePercent} % of ${tried} mutants (of ${mutants}) noticed in ${minutes} minutes; floor ${FLOOR} %`);
}
