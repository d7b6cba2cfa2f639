// npm start: everything a fresh clone needs, then `millrace up` with the arguments given here.
import "./node-version.mjs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SAME_KEYPRESS_MS = 1000;

try {
  const { ensureInstalled, ensureRunnable, ROOT } = await import("./setup.mjs");
  await ensureInstalled();
  await ensureRunnable();
  await become(join(ROOT, "build", "src", "cli", "main.js"), ["up", ...process.argv.slice(2)]);
} catch (error) {
  console.error(`npm start: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** Runs a program of ours in this process, so that no wrapper stands between it and signals, exit codes and memory. */
async function become(path, args) {
  process.argv = [process.argv[0], path, ...args];
  dropRepeatedSignals();
  await import(pathToFileURL(path).href);
}

/**
 * A Ctrl-C reaches us twice: from the terminal, which signals the whole foreground group, and from npm, which passes its own
 * on. The program must see one, or the first would already look like an impatient second.
 */
function dropRepeatedSignals() {
  const emit = process.emit;
  const deliveredMs = { SIGINT: Number.NEGATIVE_INFINITY, SIGTERM: Number.NEGATIVE_INFINITY };
  process.emit = function (event, ...rest) {
    if (event in deliveredMs) {
      const nowMs = performance.now();
      if (nowMs - deliveredMs[event] < SAME_KEYPRESS_MS) return true;
      deliveredMs[event] = nowMs;
    }
    return emit.call(this, event, ...rest);
  };
}
