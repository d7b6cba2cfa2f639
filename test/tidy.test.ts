// The house rules as tests (CONTRIBUTING.md says them in words). Each failure names the file, the line and what to do instead.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { DISPOSITIONS, packageRoot } from "../src/core/index.js";
import {
  findInCode,
  listFiles,
  parseImports,
  readSource,
  readText,
  type SourceFile,
  withoutComments,
} from "./support/source-tree.js";

/** A room may import rooms of a lower level and nothing else of ours: core <- streams, ... <- runtime, ... <- pipelines <- cli. */
const LEVELS: Readonly<Record<string, number>> = {
  core: 0,
  streams: 1,
  operators: 1,
  sinks: 1,
  ws: 1,
  runtime: 2,
  workers: 2,
  pipelines: 3,
  cli: 4,
};

/** Imports past a door, with the reason. */
const PAST_THE_DOOR: Readonly<Record<string, string>> = {
  "src/cli/up/channels.ts": "the door brings every pipeline and its models into the main thread: 0.3 s and 25 MB",
  "src/ws/protocol.ts": "the page takes its types from here, and core's door would bring Node's types along",
};

/** Outside packages that more than one folder may import, with the reason. Every other one has exactly one place. */
const SHARED_PACKAGES: Readonly<Record<string, string>> = {
  "ml-anomaly-detection": "our own; scores and drift tests are different operators",
  "uWebSockets.js": "doctor asks whether its binary loads on this machine, the gateway uses it",
  zod: "schemas live with what they check",
};

/**
 * Source files without a test of their own name, alone or by the folder, and the test that runs them. That it does is seen by
 * npm test, which fails when a source file is hardly covered. Doors (index.ts) and files that hold types only need no entry.
 */
const TESTED_ELSEWHERE: Readonly<Record<string, string>> = {
  "src/cli/": "test/e2e/job.test.ts",
  "src/core/clock.ts": "test/runtime/task.test.ts",
  "src/core/config.ts": "test/cli/config.test.ts",
  "src/core/http.ts": "test/ws/transport.test.ts",
  "src/core/json/": "test/core/json/fields.test.ts",
  "src/core/logger.ts": "test/e2e/job.test.ts",
  "src/operators/alerts/": "test/operators/alerts/dispatch.test.ts",
  "src/operators/engine/aggregates/": "test/operators/engine/aggregates/aggregates.test.ts",
  "src/operators/engine/joins/": "test/operators/engine/joins/joins.test.ts",
  "src/operators/engine/keyed/": "test/operators/engine/keyed/keyed.test.ts",
  "src/operators/engine/state/": "test/operators/engine/state/state.test.ts",
  "src/operators/engine/testkit/": "test/operators/engine/topology/topology.test.ts",
  "src/operators/engine/time/": "test/operators/engine/time/time.test.ts",
  "src/operators/engine/topology/": "test/operators/engine/topology/topology.test.ts",
  "src/operators/engine/windows/": "test/operators/engine/windows/hop.test.ts",
  "src/operators/rules/": "test/operators/rules/judge.test.ts",
  "src/pipelines/": "test/pipelines/sample.test.ts",
  "src/runtime/": "test/runtime/task.test.ts",
  "src/streams/presence.ts": "test/streams/leases.test.ts",
  "src/sinks/notify/": "test/contracts/notifiers.test.ts",
  "src/sinks/clickhouse/": "test/contracts/sinks.test.ts",
  "src/streams/doors/": "test/streams/doors/mqtt.test.ts",
  "src/streams/failures.ts": "test/streams/publish.test.ts",
  "src/streams/jetstream.ts": "test/streams/connection.test.ts",
  "src/streams/nats-server/pins.ts": "test/streams/nats-server/release-archive.test.ts",
  "src/streams/nats-server/step.ts": "test/streams/nats-server/obtain.test.ts",
  "src/streams/reader-protocol.ts": "test/streams/frames.test.ts",
  "src/streams/space.ts": "test/workers/keeper/keeper.test.ts",
  "src/workers/clock/": "test/e2e/job.test.ts",
  "src/workers/keeper/": "test/workers/keeper/keeper.test.ts",
  "src/workers/notify/": "test/workers/notify/outbox.test.ts",
  "src/workers/solver/": "test/workers/solver/solve.test.ts",
  "src/ws/": "test/ws/gateway.test.ts",
};

/** Rooms of pure functions: the operators, and the engine of topologies among them. */
const PURE_ROOMS = new Set(["operators"]);
/** What these may import: our own, and a module that is a function of its input. */
const PURE_PACKAGES = new Set(["ml-anomaly-detection", "node:crypto"]);
/** Tests are lists of cases, which may be longer than an idea. */
const LINES_MAX = { sources: 500, tests: 700 };
const CLOCKS = /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\b|\bprocess\.(?:hrtime|uptime)\b/;
const CHANCE = /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/;
const WAITING = /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask|nextTick|fetch)\s*\(/;

const sources: readonly SourceFile[] = listFiles("src", "ts").map(readSource);
const roomOf = (path: string): string => path.split("/")[1] ?? "";
/** Arguments for t.same: nothing was found, or the diff shows what and the name what to do. */
const none = (
  what: string,
  found: readonly string[],
  instead: string,
): [readonly string[], readonly string[], string] => [found, [], `${what}: ${found.length === 0 ? "none" : instead}`];

t.test("every folder of src is a room with a level", async (t) => {
  const rooms = [...new Set(sources.map(({ path }) => roomOf(path)))];
  const unknown = rooms.filter((room) => LEVELS[room] === undefined);
  t.same(...none("rooms without a level", unknown, "add the room to LEVELS and to ARCHITECTURE.md"));
});

t.test("imports point from a higher room to a lower one", async (t) => {
  const wrong = crossings().filter(({ from, to }) => (LEVELS[to] ?? 9) >= (LEVELS[from] ?? 0));
  const shown = wrong.map(({ at, target }) => `${at} imports ${target}`);
  t.same(...none("sideways or upward imports", shown, "move what both need to core, or pass it in from above"));
});

t.test("outsiders take the door of a room", async (t) => {
  const past = crossings().filter(
    ({ path, target }) => !target.endsWith("/index.ts") && PAST_THE_DOOR[path] === undefined,
  );
  const shown = past.map(({ at, target }) => `${at} imports ${target}`);
  t.same(...none("imports past a door", shown, "export it from the room's index.ts and import that"));
});

t.test("doors hold no logic", async (t) => {
  // What may stand in a door: re-exports, the imports of a table, and a table without functions or calls in it.
  const statement =
    /^(?:import|export)\b[^;]*?\bfrom\s+"[^"]+";|^export const \w+(?::[^=;]+)? = [[{][^=;()]*[\]}](?: as const)?(?: satisfies [^;]+)?;/gm;
  const busy = sources
    .filter(({ path }) => path.endsWith("/index.ts"))
    .filter(({ text }) => withoutComments(text).replace(statement, "").trim() !== "")
    .map(({ path }) => path);
  t.same(...none("index.ts with code", busy, "a door lists what the room offers; put the code in a file of its own"));
});

t.test("operators are pure", async (t) => {
  const operators = sources.filter(({ path }) => PURE_ROOMS.has(roomOf(path)));
  const impure = operators.flatMap((file) => [CLOCKS, CHANCE, WAITING].flatMap((pattern) => findInCode(file, pattern)));
  t.same(...none("clocks, chance and waiting in operators", impure, "time is a watermark, chance a seeded generator"));
  const foreign = operators.flatMap(({ path, imports }) =>
    imports
      .filter(({ own, target, typeOnly }) => !own && !typeOnly && !PURE_PACKAGES.has(target))
      .map(({ line, target }) => `${path}:${line} imports ${target}`),
  );
  t.same(...none("outside packages in operators", foreign, "operators import core and ml-anomaly-detection only"));
});

t.test("topologies read no clock either", async (t) => {
  const impure = sources
    .filter(({ path }) => roomOf(path) === "pipelines")
    .flatMap((file) => [CLOCKS, CHANCE].flatMap((pattern) => findInCode(file, pattern)));
  t.same(...none("clocks and chance in pipelines", impure, "a replay must give what the live run gave"));
});

t.test("the environment is read in cli and nowhere else", async (t) => {
  const readers = sources
    .filter(({ path }) => roomOf(path) !== "cli")
    .flatMap((file) => findInCode(file, /\bprocess\.env\b|\bloadEnvFile\b/));
  t.same(...none("process.env outside cli", readers, "make it an option and pass it in"));
});

t.test("every outside package has one place", async (t) => {
  const places = new Map<string, Set<string>>();
  for (const { path, imports } of sources)
    for (const { own, target } of imports)
      if (!own && !target.startsWith("node:")) places.set(target, (places.get(target) ?? new Set()).add(placeOf(path)));
  const scattered = [...places]
    .filter(([name, folders]) => folders.size > 1 && SHARED_PACKAGES[name] === undefined)
    .map(([name, folders]) => `${name}: ${[...folders].join(", ")}`);
  t.same(...none("packages imported in several rooms", scattered, "wrap it in one room and offer that"));
});

t.test("every source file has a test", async (t) => {
  const untested = sources
    .filter(({ path }) => !path.endsWith("/index.ts") && !exists(mirrorOf(path)) && !holdsTypesOnly(path))
    .filter(({ path }) => !Object.keys(TESTED_ELSEWHERE).some((prefix) => path.startsWith(prefix)))
    .map(({ path }) => `${path}: no ${mirrorOf(path)}`);
  t.same(...none("untested files", untested, "write the test, or name the one that covers it in TESTED_ELSEWHERE"));
  const stale = Object.entries(TESTED_ELSEWHERE)
    .filter(([path, test]) => !exists(path) || !exists(test) || (path.endsWith(".ts") && exists(mirrorOf(path))))
    .map(([path, test]) => `${path}: ${test}`);
  t.same(...none("entries of TESTED_ELSEWHERE that no longer hold", stale, "remove or correct them"));
});

t.test("a file is one idea", async (t) => {
  const long = codeFiles().flatMap((path) => {
    const limit = /(?:^|\/)test\//.test(path) ? LINES_MAX.tests : LINES_MAX.sources;
    const lines = readText(path).split("\n").length - 1;
    return lines > limit ? [`${path}: ${lines} lines, limit ${limit}`] : [];
  });
  t.same(...none("files that are too long", long, "500 lines are two ideas: split them"));
});

t.test("what is left to do is an issue, not a comment", async (t) => {
  const marks = new RegExp(`\\b(?:${["TO", "DO"].join("")}|${["FIX", "ME"].join("")})\\b(?!.*#\\d)`);
  const found = codeFiles().flatMap((path) =>
    readText(path)
      .split("\n")
      .flatMap((line, index) => (marks.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
  t.same(...none("unfinished business", found, "open an issue and name it, or do it"));
});

t.test("docs/ERRORS.md lists exactly the codes of core/errors.ts, with their dispositions", async (t) => {
  const rows = [...readText("docs/ERRORS.md").matchAll(/^\| `(MR_\w+)` \| (\w+) \| (.+?) \| (.+?) \|$/gm)];
  const documented = Object.fromEntries(rows.map(([, code, disposition]) => [code, disposition]));
  t.same(documented, DISPOSITIONS, "one row a code, in the form `| code | disposition | meaning | what to do |`");
  t.same(
    rows.map(([, code]) => code),
    Object.keys(DISPOSITIONS),
    "in the same order",
  );
});

t.test("nothing in the repository knows the machine it was written on", async (t) => {
  const patterns = [
    {
      name: "a machine path",
      pattern: new RegExp(`/(?:${["work", "root"].join("|")})/[a-z.]|/(?:Users|home)/(?!somebody\\b)[a-z]`),
    },
    { name: "a package registry", pattern: /registry\.(?:npmjs|yarnpkg|npmmirror)\.|artifactory|\bnexus\.|jfrog/ },
    { name: "a private address", pattern: /https?:\/\/(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d/ },
  ];
  const found = textFiles().flatMap((path) =>
    readText(path)
      .split("\n")
      .flatMap((line, index) =>
        patterns
          .filter(({ pattern }) => path !== "test/tidy.test.ts" && pattern.test(line))
          .map(({ name }) => `${path}:${index + 1}: ${name}`),
      ),
  );
  t.same(...none("traces of a machine", found, "use a relative path, an option or a placeholder"));
});

t.test("the lock file can be installed everywhere", async (t) => {
  const lock = JSON.parse(readText("package-lock.json")) as { packages: Record<string, LockedPackage> };
  const entries = Object.entries(lock.packages);
  const resolved = entries.filter(([, { resolved, link }]) => resolved !== undefined && !link).map(([path]) => path);
  t.same(
    ...none("entries with the address of a registry", resolved, "omit-lockfile-registry-resolved=true is in .npmrc"),
  );
  const missing = entries.flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !lock.packages[`${parent}/node_modules/${name}`] && !lock.packages[`node_modules/${name}`],
    ),
  );
  t.same(...none("optional packages of other platforms left out", missing, "run: node scripts/complete-lock.mjs"));
});

t.test("the rules themselves see what they are meant to see", async (t) => {
  const text = [
    'import { a } from "../core/index.js";',
    'import {\n  type B,\n  c,\n} from "./c.js";',
    'export type { D } from "@scope/pkg/deep";',
    'export const E = "./not-an-import.js";',
    'const f = await import("./f.js");',
    'new Worker(new URL("./thread.js", import.meta.url));',
  ].join("\n");
  t.same(
    parseImports("src/ws/x.ts", text).map(({ target, own, typeOnly }) => [target, own, typeOnly]),
    [
      ["src/core/index.ts", true, false],
      ["src/ws/c.ts", true, false],
      ["@scope/pkg", false, true],
      ["src/ws/f.ts", true, false],
      ["src/ws/thread.ts", true, false],
    ],
  );
  const file = { path: "x.ts", text: '// Date.now() in words\nconst url = "http://x"; Date.now();', imports: [] };
  t.same(findInCode(file, CLOCKS), ["x.ts:2: Date.now"]);
  t.same(findInCode({ ...file, text: "new Date(0); new Date(ms)" }, CLOCKS), [], "a date of a given time is no clock");
});

interface LockedPackage {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function crossings() {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ own, target }) => own && target.startsWith("src/") && roomOf(target) !== roomOf(path))
      .map(({ target, line }) => ({ path, target, at: `${path}:${line}`, from: roomOf(path), to: roomOf(target) })),
  );
}

/** Where an outside thing lives: the room, or in workers the worker (each is a room of its own kind). */
function placeOf(path: string): string {
  const [, room, folder, file] = path.split("/");
  return room === "workers" && file !== undefined ? `workers/${folder}` : (room ?? "");
}

function mirrorOf(path: string): string {
  return path.replace(/^src\//, "test/").replace(/\.ts$/, ".test.ts");
}

/** Compiled to nothing: the compiler itself says that there is no behaviour. */
function holdsTypesOnly(path: string): boolean {
  const output = join(packageRoot(), "build", path.replace(/\.ts$/, ".js"));
  const compiled = existsSync(output) ? readFileSync(output, "utf8") : "not compiled";
  return /^(?:export \{\};)?$/.test(withoutComments(compiled).trim());
}

function exists(path: string): boolean {
  return existsSync(join(packageRoot(), path));
}

function codeFiles(): readonly string[] {
  const folders = ["src", "test", "bench", "examples", "packages", "dashboards", "scripts"];
  return folders.flatMap((folder) => listFiles(folder, "ts", "mjs"));
}

/** Everything somebody wrote, which is what git would take, without data. */
function textFiles(): readonly string[] {
  const written = ["ts", "mjs", "js", "json", "md", "yml", "yaml", "html", "css", "sh", "conf", "xml", "sql", "toml"];
  return [...listFiles(".", ...written, "Dockerfile", ".npmrc", ".gitignore", ".env.example", "run")].filter(
    (path) => path !== "package-lock.json",
  );
}
