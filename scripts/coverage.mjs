// Line, branch and function coverage of the tests: V8 counts in every process that has NODE_V8_COVERAGE set, its children and
// threads too; here the counts are added up and mapped back to TypeScript.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";

/** Percent of lines, branches and functions that tests must reach. Raise it when the figures printed below allow. */
const FLOOR = { lines: 95, branches: 90, functions: 94 };
/** Percent of its lines that every file of src must reach: a file below is one that no test really runs. */
const FILE_FLOOR = 50;

/** Collects in `root`/coverage, which is emptied: lcov.info and coverage-summary.json are there after `check`. */
export function createCoverage(root) {
  const folder = join(root, "coverage");
  const counts = join(folder, "counts");
  const own = pathToFileURL(`${root}/`).href;
  const isOwn = ({ url }) => url.startsWith(own) && !/\/(?:node_modules|\.tap)\/|\.test\.js$/.test(url);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(counts, { recursive: true });

  return {
    /** What to add to the environment of `file`, a test that counts. */
    begin: (file) => ({ NODE_V8_COVERAGE: join(folder, file) }),
    /** Keeps what is ours, a hundredth: the rest is tap and other packages, and source maps that lie beside their files. */
    end(file) {
      const from = join(folder, file);
      for (const name of existsSync(from) ? readdirSync(from) : []) {
        const result = readCounts(join(from, name)).filter(isOwn);
        writeFileSync(join(counts, name), JSON.stringify({ result }));
      }
      rmSync(from, { recursive: true, force: true });
    },
    /** Writes the reports, prints the figures. Rejects when too little was reached. */
    async check() {
      const { Report } = await import("c8");
      const reporter = ["json-summary", "lcovonly"];
      process.chdir(root); // c8 names files from where it is
      await new Report({ reporter, reportsDirectory: folder, tempDirectory: counts, excludeNodeModules: true }).run();
      rmSync(counts, { recursive: true });
      checkSummary(root, JSON.parse(readFileSync(join(folder, "coverage-summary.json"), "utf8")));
    },
  };
}

function readCounts(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).result;
  } catch (error) {
    if (error instanceof SyntaxError) return []; // killed while it wrote
    throw error;
  }
}

function checkSummary(root, summary) {
  const reached = Object.keys(FLOOR).map((kind) => ({ kind, percent: summary.total[kind].pct, floor: FLOOR[kind] }));
  console.log(
    `coverage: ${reached.map(({ kind, percent, floor }) => `${kind} ${percent} % (floor ${floor})`).join(", ")}`,
  );
  const files = Object.entries(summary).flatMap(([path, { lines }]) =>
    path === "total" ? [] : [{ path: relative(root, path), percent: lines.pct }],
  );
  const lowest = files.sort((a, b) => a.percent - b.percent).slice(0, 5);
  console.log(`lowest: ${lowest.map(({ path, percent }) => `${path} ${percent} %`).join(", ")}`);
  const below = reached.filter(({ percent, floor }) => !(percent >= floor)).map(({ kind }) => kind);
  const untouched = files.filter(({ path, percent }) => path.startsWith("src/") && percent < FILE_FLOOR);
  const names = [...below, ...untouched.map(({ path }) => path), ...neverLoaded(root, files)];
  if (names.length > 0) throw new Error(`too little is tested of ${names.join(", ")}`);
}

/** Sources with code that no test has loaded: the report leaves them out altogether. */
function neverLoaded(root, files) {
  const seen = new Set(files.map(({ path }) => path));
  const compiled = readdirSync(join(root, "build", "src"), { recursive: true }).filter((path) => path.endsWith(".js"));
  return (
    compiled
      // A thread that is ended from outside leaves no figures.
      .filter((path) => !/(?:index|thread)\.js$/.test(path) && hasCode(join(root, "build", "src", path)))
      .map((path) => `src/${path.replace(/\.js$/, ".ts")}`)
      .filter((path) => !seen.has(path))
  );
}

/** False for what compiled to nothing: types only. */
function hasCode(path) {
  const text = readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return text.replace("export {};", "").trim() !== "";
}
