import { join } from "node:path";

/**
 * File and arguments that run a script in a Node process of its own. tap hooks its module loader into every child it sees, which
 * trebles the time of its start; the child goes without, and Node itself writes the coverage where tap collects it.
 */
export function nodeCommand(...args: readonly string[]): [file: string, args: string[]] {
  const { _TAPJS_PROCESSINFO_CWD_: root, _TAPJS_PROCESSINFO_COVERAGE_: coverage } = process.env;
  if (root === undefined) return [process.execPath, [...args]];
  const collect = coverage === "0" ? [] : [`NODE_V8_COVERAGE=${join(root, ".tap", "coverage")}`];
  return ["env", ["-u", "NODE_OPTIONS", ...collect, process.execPath, ...args]];
}
