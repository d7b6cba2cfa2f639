// npm run test:sim -- [--seeds N] [--from N] [--keep FILE] [--seed N] [--bugs]: lives through seeds of the simulated world. A seed that
// fails is shown with its trace, and shows the same again with --seed. With --keep a long run that was ended goes on where it was.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { bugs } from "./bugs.js";
import { type Bug, type Outcome, simulate } from "./simulate.js";

const BUG_SEEDS = 1_000;
const PROGRESS = 1_000;
const KEEP_EVERY = 100;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    keep: { type: "string" },
    bugs: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});
Error.stackTraceLimit = 3; // the faults make many errors, and nobody reads most of them

if (values.seed !== undefined) process.exitCode = await showSeed(Number(values.seed), bugOf(values.bug));
else if (values.bugs) process.exitCode = await plantBugs();
else process.exitCode = await manySeeds(Number(values.from), Number(values.seeds));

function bugOf(name: string | undefined): Bug | undefined {
  if (name === undefined) return undefined;
  const bug = bugs.find((each) => each.name.includes(name));
  if (bug === undefined)
    throw new Error(`no bug is called ${name}; there are: ${bugs.map((each) => each.name).join("; ")}`);
  return bug;
}

async function showSeed(seed: number, bug?: Bug): Promise<number> {
  const outcome = await simulate(seed, { traced: true, ...(bug && { bug }) });
  for (const line of outcome.trace) print(line);
  print(outcome.problems.length === 0 ? `seed ${seed}: every invariant held` : `seed ${seed} FAILED`);
  for (const problem of outcome.problems) print(`  ${problem}`);
  return outcome.problems.length === 0 ? 0 : 1;
}

async function manySeeds(from: number, count: number): Promise<number> {
  const startedMs = performance.now();
  const kept = values.keep !== undefined && existsSync(values.keep) ? readKept(values.keep) : undefined;
  const total = kept?.total ?? { events: 0, lives: 0, outputs: 0 };
  let first: Outcome | undefined;
  let failed = kept?.failed ?? 0;
  if (kept !== undefined) process.stderr.write(`goes on after seed ${kept.through}\n`);
  for (let seed = Math.max(from, (kept?.through ?? 0) + 1); seed < from + count; seed++) {
    const outcome = await simulate(seed);
    for (const key of ["events", "lives", "outputs"] as const) total[key] += outcome.counts[key];
    if (outcome.problems.length > 0) {
      failed++;
      first ??= outcome;
      print(`seed ${seed} FAILED: ${outcome.problems[0]}`);
    }
    const done = seed - from + 1;
    if (values.keep !== undefined && done % KEEP_EVERY === 0) keep(values.keep, { through: seed, failed, total });
    if (done % PROGRESS === 0) process.stderr.write(`${done} seeds, ${failed} failed, ${seconds(startedMs)} s\n`);
  }
  if (first !== undefined) await showSeed(first.seed);
  const { events, lives, outputs } = total;
  print(
    `${count} seeds, ${failed} failed: ${events} events, ${lives} lives of processes, ${outputs} messages, ${seconds(startedMs)} s`,
  );
  if (first !== undefined) print(`again: npm run test:sim -- --seed ${first.seed}`);
  return failed === 0 ? 0 : 1;
}

/** How far a long run has come. */
interface Kept {
  readonly through: number;
  readonly failed: number;
  readonly total: { events: number; lives: number; outputs: number };
}

function readKept(path: string): Kept {
  return JSON.parse(readFileSync(path, "utf8")) as Kept;
}

/** Whole or not at all. */
function keep(path: string, kept: Kept): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(kept)}\n`);
  renameSync(`${path}.new`, path);
}

async function plantBugs(): Promise<number> {
  let missed = 0;
  for (const bug of bugs) {
    const caught = await firstFailing(bug);
    if (caught === undefined) missed++;
    print(`${caught === undefined ? "MISSED" : `caught by seed ${caught.seed}`}: ${bug.name}`);
    if (caught !== undefined) print(`    ${caught.problems[0]?.slice(0, 160)}`);
  }
  print(`${bugs.length - missed} of ${bugs.length} bugs caught within ${BUG_SEEDS} seeds`);
  return missed === 0 ? 0 : 1;
}

async function firstFailing(bug: Bug): Promise<Outcome | undefined> {
  for (let seed = 1; seed <= BUG_SEEDS; seed++) {
    const outcome = await simulate(seed, { bug });
    if (outcome.problems.length > 0) return outcome;
  }
  return undefined;
}

function seconds(startedMs: number): string {
  return ((performance.now() - startedMs) / 1_000).toFixed(1);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
