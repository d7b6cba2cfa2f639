import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t, { type Test } from "tap";
import { packageRoot } from "../../src/core/index.js";

interface Runner {
  runTests(options: object): Promise<{ pass: number; fail: number; skip: number }>;
}

const { runTests }: Runner = await import(pathToFileURL(join(packageRoot(), "scripts", "run-tests.mjs")).href);

/** Runs test files with the given bodies; what was printed, by line, and the sums. */
async function runAll(t: Test, bodies: Readonly<Record<string, string>>, options: object = {}) {
  // In the package, so that they find tap.
  const cwd = t.testdir(Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, `${body}\n`])));
  const printed: string[] = [];
  const print = (text: string) => printed.push(...text.split("\n"));
  const counts = await runTests({ files: Object.keys(bodies), cwd, jobs: 2, timeoutMs: 60_000, print, ...options });
  return { counts, printed };
}

const TAP = 'import t from "tap";';
const passes = `${TAP} t.test("a", async (t) => { t.ok(true); t.ok(true); });`;

t.test("assertions are summed up over files, and each file is one line", async (t) => {
  const { counts, printed } = await runAll(t, { "a.mjs": passes, "b.mjs": passes, "c.mjs": `${TAP} t.pass("it");` });
  t.same(counts, { pass: 5, fail: 0, skip: 0 });
  t.match(printed.toSorted(), [/^ok a\.mjs # time=\d+ms$/, /^ok b\.mjs /, /^ok c\.mjs /]);
  t.equal(printed.length, 3);
});

t.test("a failure is shown in full and does not hide what passed", async (t) => {
  const { counts, printed } = await runAll(t, { "bad.mjs": `${TAP} t.pass("it"); t.equal(1, 2, "one is two");` });
  t.same(counts, { pass: 1, fail: 1, skip: 0 });
  t.match(printed[0], /^not ok bad\.mjs # time=/);
  t.ok(printed.includes("not ok 2 - one is two"));
  t.ok(printed.some((line) => line.trim() === "+++ actual"));
});

t.test("a skip counts and is named with its reason, one test or a whole file", async (t) => {
  const one = `${TAP} t.test("needs a moon", { skip: "there is none" }, () => {}); t.pass("it");`;
  const { counts, printed } = await runAll(t, { "one.mjs": one, "all.mjs": `${TAP} t.plan(0, "no data here");` });
  t.same(counts, { pass: 1, fail: 0, skip: 2 });
  t.same(printed.slice(2).toSorted(), ["skipped: needs a moon: there is none", "skipped: no data here"]);
});

t.test("what does not come to its end has failed", async (t) => {
  const ends = {
    "crashes.mjs": [`${TAP} t.pass("it"); process.reallyExit(3);`, /exit code 3$/],
    "killed.mjs": [`${TAP} t.pass("it"); process.kill(process.pid, "SIGKILL");`, /ended by SIGKILL$/],
    "leaves.mjs": [`${TAP} t.pass("it"); process.reallyExit(0);`, /ended without a plan/],
    "empty.mjs": ["", /ended without a plan/],
  } as const;
  for (const [name, [body, complaint]] of Object.entries(ends)) {
    const { counts, printed } = await runAll(t, { [name]: body });
    t.equal(counts.fail, 1, name);
    t.match(printed[0], new RegExp(`^not ok ${name} `));
    t.match(printed.at(-1), complaint, name);
  }
});

t.test("what hangs is ended, whether or not it can still say so itself", async (t) => {
  const waits = `${TAP} t.test("waits for ever", () => new Promise(() => setInterval(() => {}, 1000)));`;
  const blocks = `${TAP} t.pass("it"); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
  const { counts, printed } = await runAll(
    t,
    { "waits.mjs": waits, "blocks.mjs": blocks },
    { timeoutMs: 1_000, graceMs: 4_000 },
  );
  t.equal(counts.fail, 2);
  t.ok(printed.some((line) => /^not ok \d+ - waits for ever/.test(line)));
  t.ok(printed.includes("# blocks.mjs: timed out"));
});

t.test("files that must be alone run last, one after another, and each is told of its beginning and end", async (t) => {
  const log: string[] = [];
  const { counts } = await runAll(
    t,
    {
      "alone-1.mjs": passes,
      "alone-2.mjs": passes,
      "x.mjs": passes,
      "y.mjs": `${TAP} t.equal(process.env.OF, "y.mjs");`,
    },
    {
      isAlone: (file: string) => file.startsWith("alone"),
      env: (file: string) => {
        log.push(`begin ${file}`);
        return { OF: file };
      },
      ended: (file: string) => log.push(`end ${file}`),
    },
  );
  t.same(counts, { pass: 7, fail: 0, skip: 0 });
  t.same(log.slice(0, 2), ["begin x.mjs", "begin y.mjs"]);
  t.same(log.slice(2, 4).toSorted(), ["end x.mjs", "end y.mjs"]);
  t.same(log.slice(4), ["begin alone-1.mjs", "end alone-1.mjs", "begin alone-2.mjs", "end alone-2.mjs"]);
});
