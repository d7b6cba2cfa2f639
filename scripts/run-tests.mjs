// Runs compiled test files, each in a process of its own: one line a file, failures in full, and at the end every skip with
// its reason. A file is a program that prints TAP, so nothing but Node is between it and its tests.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** A system under test takes a moment to end its servers. */
const END_MS = 5_000;
const running = new Set();
let ending = false;

/**
 * Runs `files` in the order given, `jobs` at a time, and those that `isAlone` names last, with nothing beside them.
 *
 * At `timeoutMs` a file says itself which test hung, and ends; one that cannot, its event loop being blocked, is ended
 * `graceMs` later, with all it started. `env` is added to ours for a file; `ended` is called when its process is gone.
 *
 * @param {{files: string[], cwd: string, jobs: number, timeoutMs: number, graceMs?: number, isAlone?: (file: string) => boolean,
 *   env?: (file: string) => object, ended?: (file: string) => void, print?: (text: string) => void}} options
 * @returns {Promise<{pass: number, fail: number, skip: number}>} Sum of the assertions of all files.
 */
export async function runTests({ files, jobs, isAlone = () => false, print = console.log, ...options }) {
  const counts = { pass: 0, fail: 0, skip: 0 };
  const skips = [];
  const lane = async (queue) => {
    for (let file = queue.shift(); file !== undefined && !ending; file = queue.shift()) {
      const result = await runFile(file, options);
      print(describe(file, result));
      for (const kind of Object.keys(counts)) counts[kind] += result[kind];
      skips.push(...result.skips);
    }
  };
  const together = files.filter((file) => !isAlone(file));
  await Promise.all(Array.from({ length: jobs }, () => lane(together)));
  await lane(files.filter(isAlone));
  for (const skip of skips) print(`skipped: ${skip}`);
  return counts;
}

/** Ends every file that is still running with all it started, and begins no other. */
export async function endTests() {
  ending = true;
  await Promise.all([...running].map(endGroup));
}

async function runFile(file, { cwd, timeoutMs, graceMs = 15_000, env = () => ({}), ended = () => {} }) {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--enable-source-maps", file], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TAP_TIMEOUT: String(timeoutMs / 1000), ...env(file) },
    detached: true, // a group of its own, so that ending it ends its servers too
  });
  running.add(child);
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    void endGroup(child);
  }, timeoutMs + graceMs);
  const lines = [];
  const output = createInterface(child.stdout).on("line", (line) => lines.push(line));
  const read = new Promise((resolve) => output.once("close", resolve));
  const exit = await exited;
  // A server that outlives its test may hold the pipe: what the test printed itself is there by then.
  await Promise.race([read, delay(1000, undefined, { ref: false })]);
  output.close();
  child.stdout.destroy();
  clearTimeout(timer);
  running.delete(child);
  ended(file);
  return { ...judge(lines, exit, timedOut), lines, ms: performance.now() - startedMs };
}

/** Asks first: what is asked to end ends its own servers, and those may be in groups of their own. */
async function endGroup({ pid }) {
  const lastMs = performance.now() + END_MS;
  let alive = signalGroup(pid, "SIGTERM");
  while (alive && performance.now() < lastMs) {
    await delay(50);
    alive = signalGroup(pid, 0);
  }
  if (alive) signalGroup(pid, "SIGKILL");
}

/** False when nothing of it is left. */
function signalGroup(pid, signal) {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    if (error.code === "ESRCH") return false;
    throw error;
  }
}

/** What a file's output and its end say. Passing is not enough: it has to come to its end, say so, and exit with 0. */
function judge(lines, { code, signal }, timedOut) {
  const tally = lines.map(readTally).find((found) => found !== undefined);
  const { pass, fail, skip } = tally ?? { pass: 0, fail: 0, skip: 0 };
  const nothing = lines.flatMap((line) => /^1\.\.0 # (.+)$/.exec(line)?.[1] ?? []); // a file that skips itself as a whole
  const skips = [...lines.flatMap(readSkip), ...nothing];
  const complaint = complain(tally, code, signal, timedOut);
  const crashed = complaint !== undefined && fail === 0; // between two tests
  return { pass, fail: crashed ? 1 : fail, skip: skip + nothing.length, skips, complaint };
}

function complain(tally, code, signal, timedOut) {
  if (timedOut) return "timed out";
  if (signal !== null) return `ended by ${signal}`;
  if (code !== 0) return `exit code ${code}`;
  if (tally === undefined) return "ended without a plan: it ran no test, or exited in the middle of one";
  return undefined;
}

/** tap's own: `# { total: 8, pass: 5, fail: 1, todo: 1, skip: 1 }`. What is still to do has not passed. */
function readTally(line) {
  if (!/^# \{ total: \d+.*\}$/.test(line)) return undefined;
  const count = (name) => Number(new RegExp(`${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { pass: count("pass"), fail: count("fail"), skip: count("skip") + count("todo") };
}

function readSkip(line) {
  const [, name, reason] = /^\s*(?:ok|not ok) \d+ - (.*?) # SKIP ?(.*)$/.exec(line) ?? [];
  return name === undefined ? [] : [reason === "" ? name : `${name}: ${reason}`];
}

function describe(file, { fail, lines, complaint, ms }) {
  const result = `${fail === 0 ? "ok" : "not ok"} ${file} # time=${Math.round(ms)}ms`;
  return fail === 0 ? result : [result, ...lines, `# ${file}: ${complaint}`].join("\n");
}
