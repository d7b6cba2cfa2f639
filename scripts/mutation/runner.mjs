// Stryker's test runner for the engine: a worker loads the compiled tests once and runs those that reach a mutant, quickest first,
// in the same warm process. Starting a process per test file and mutant took some twenty times as long.
import { readFileSync, writeFileSync } from "node:fs";
import { register } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { isSampled } from "./sample.mjs";

const SUBSTITUTES = {
  tap: new URL("tap.mjs", import.meta.url).href,
  "fast-check": new URL("fast-check.mjs", import.meta.url).href,
};
/** Tests get the substitutes; a substitute itself gets what it stands in for. */
const HOOK = `const substitutes = ${JSON.stringify(SUBSTITUTES)};
export async function resolve(name, context, next) {
  const url = Object.values(substitutes).includes(context.parentURL) ? undefined : substitutes[name];
  return url === undefined ? next(name, context) : { url, shortCircuit: true };
}`;

class WarmRunner {
  static inject = ["options"];
  #options;
  #tests;
  #collected;
  #times;
  #switch;

  constructor({ engineTests }) {
    this.#options = engineTests;
    globalThis.__stryker__ ??= {};
    this.#switch = globalThis.__stryker__;
  }

  /** Code that runs when a module is loaded cannot be run again: Stryker then starts a new worker. */
  capabilities() {
    return { reloadEnvironment: false };
  }

  async #load() {
    if (this.#tests !== undefined) return this.#tests;
    const tests = [];
    for (const file of this.#options.files) tests.push(...(await this.#loadFile(file)));
    this.#remember(tests);
    this.#tests = tests;
    return tests;
  }

  async #loadFile(file) {
    if (this.#collected === undefined) {
      register(`data:text/javascript,${encodeURIComponent(HOOK)}`);
      this.#collected = await import(SUBSTITUTES.tap);
    }
    const { collected, runOnce } = this.#collected;
    const from = collected.length;
    await import(pathToFileURL(join(process.cwd(), file)).href);
    return collected
      .slice(from)
      .filter(({ skip }) => !skip)
      .map((test) => ({
        id: `${nameOf(file)}: ${test.name}`,
        run: () => runOnce(test),
        timeMs: 0,
        told: new Map(),
      }));
  }

  /**
   * The tests that reach a mutant, the most telling first. Code that runs when a module is loaded has a worker of its own: that
   * loads the files of tests in the mutant's folder, which notices most, and then the others, one at a time.
   */
  async *#reaching({ fileName }, testFilter, isStatic) {
    const reaches = ({ id }) => testFilter === undefined || testFilter.includes(id);
    if (!isStatic) {
      yield* mostTellingFirst((await this.#load()).filter(reaches), fileName);
      return;
    }
    const [near, others] = nearAndFar(this.#options.files, fileName);
    const far = others.filter((file) => testFilter?.some((id) => id.startsWith(`${nameOf(file)}: `)) ?? true);
    for (const files of [near, ...far.map((file) => [file])]) {
      const tests = [];
      for (const file of files) {
        try {
          tests.push(...(await this.#loadFile(file)));
        } catch (error) {
          yield { id: nameOf(file), run: () => Promise.reject(error), told: new Map() }; // not even loaded: that is noticed too
          return;
        }
      }
      this.#time(tests); // one mutant's worker: what others noticed is not worth reading
      yield* mostTellingFirst(tests.filter(reaches), fileName);
    }
  }

  /** A worker that takes another's place begins with what is known: a long test first would leave no time for the telling ones. */
  #remember(tests) {
    const { results, earlier } = this.#options;
    const byId = new Map(tests.map((test) => [test.id, test]));
    this.#time(tests);
    for (const path of new Set([results, earlier])) {
      const lines = read(path).split("\n").slice(0, -1); // another process may be in the middle of the last
      for (const line of lines) {
        const { fileName, killedBy = [] } = JSON.parse(line);
        for (const id of killedBy) if (byId.has(id)) learn(byId.get(id), fileName, { status: FAILED });
      }
    }
  }

  #time(tests) {
    this.#times ??= JSON.parse(read(timesBeside(this.#options.results)) || "{}");
    for (const test of tests) test.timeMs = this.#times[test.id] ?? 0;
  }

  async dryRun() {
    const tests = await this.#load();
    const results = [];
    for (const test of tests) {
      this.#switch.currentTestId = test.id;
      results.push(await attempt(test));
      this.#switch.currentTestId = undefined;
    }
    writeFileSync(
      timesBeside(this.#options.results),
      JSON.stringify(Object.fromEntries(tests.map(({ id, timeMs }) => [id, timeMs]))),
    );
    return { status: "complete", tests: results, mutantCoverage: this.#switch.mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit: ofStryker, mutantActivation }) {
    const { share, seed, only, budgetMs = 2_000 } = this.#options;
    if (!isSampled(activeMutant, share, seed, only)) return { status: "survived", nrOfTests: 0 };
    const isStatic = mutantActivation === "static";
    const hitLimit = turnsAllowed(ofStryker);
    if (!isStatic) await this.#load();
    this.#switch.activeMutant = activeMutant.id;
    this.#switch.hitCount = 0;
    this.#switch.hitLimit = hitLimit;
    const { fileName } = activeMutant;
    let spentMs = 0;
    let nrOfTests = 0;
    for await (const test of this.#reaching(activeMutant, testFilter, isStatic)) {
      if (spentMs > budgetMs) break; // conservative: what is not noticed by then has survived
      const taken = stopwatch();
      const result = await attempt(test);
      spentMs += taken();
      nrOfTests++;
      if (hitLimit !== undefined && this.#switch.hitCount > hitLimit)
        return { status: "timeout", reason: `${this.#switch.hitCount} turns where ${hitLimit} are the limit` };
      learn(test, fileName, result);
      if (result.status === FAILED)
        return { status: "killed", killedBy: [test.id], failureMessage: result.failureMessage, nrOfTests };
    }
    return { status: "survived", nrOfTests };
  }
}

/** Stryker allows a hundred times the turns of all tests together; here each test runs once at most, so a tenth of that is ample. */
function turnsAllowed(hitLimit) {
  return hitLimit === undefined ? undefined : Math.max(Math.min(hitLimit, LEAST_TURNS), Math.ceil(hitLimit / 10));
}

/** Where the dry run leaves how long each test takes. */
function timesBeside(results) {
  return results.replace(/\.jsonl$/, "-times.json");
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const LEAST_TURNS = 10_000;
const SUCCESS = 0;
const FAILED = 1;

async function attempt(test) {
  const began = performance.now();
  const result = { id: test.id, name: test.id, status: SUCCESS };
  try {
    await test.run();
  } catch (error) {
    result.status = FAILED;
    result.failureMessage = String(error?.message ?? error).slice(0, 300);
  }
  result.timeSpentMs = performance.now() - began;
  if (result.status === SUCCESS) test.timeMs = result.timeSpentMs;
  return result;
}

/** Processor time since the call: how busy the machine is does not matter. */
function stopwatch() {
  const began = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1_000;
  };
}

function learn({ told }, fileName, { status }) {
  const { kills, runs } = told.get(fileName) ?? { kills: 0, runs: 0 };
  told.set(fileName, { kills: kills + (status === FAILED ? 1 : 0), runs: runs + 1 });
}

function folderOf(fileName) {
  return `/${dirname(fileName).split("/").at(-1)}/`;
}

function nameOf(file) {
  return relative("build/test", file);
}

/** Files of tests in a mutant's folder, and the others. */
function nearAndFar(files, fileName) {
  const folder = folderOf(fileName);
  return [files.filter((file) => file.includes(folder)), files.filter((file) => !file.includes(folder))];
}

/** By the chance to notice a mutant of this file for the time it takes, as learnt so far; at first its own tests, and its folder's. */
function mostTellingFirst(tests, fileName) {
  const folder = folderOf(fileName);
  const own = `${folder}${basename(fileName, ".js")}.test.js`;
  const worth = ({ id, told, timeMs }) => {
    const { kills, runs } = told.get(fileName) ?? { kills: 0, runs: 0 };
    const hope = id.includes(own) ? 9 : id.includes(folder) ? 3 : 0.3;
    return (kills + hope) / (runs + 4) / (timeMs + 2);
  };
  return [...tests].sort((a, b) => worth(b) - worth(a));
}

export const strykerPlugins = [{ kind: "TestRunner", name: "warm", injectableClass: WarmRunner }];
