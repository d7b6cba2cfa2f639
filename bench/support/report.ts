import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

export interface Result {
  readonly name: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** The bar it is held to; null where it is only reported. */
  readonly limit: number | null;
  readonly better: "higher" | "lower";
}

/** Prints the results: one JSON object with `--json`, else a line each. Sets exit code 1 when a limit is not met. */
export function report(bench: string, results: readonly Result[], argv: readonly string[] = process.argv): void {
  const judged = results.map((result) => ({ ...result, ok: isMet(result) }));
  if (judged.some(({ ok }) => !ok)) process.exitCode = 1;
  if (argv.includes("--json")) {
    const { commit, node, machine } = place();
    process.stdout.write(`${JSON.stringify({ bench, commit, node, machine, results: judged })}\n`);
    return;
  }
  for (const { name, metric, value, unit, limit, better, ok } of judged) {
    const bar =
      limit === null ? "" : ` (${better === "higher" ? "at least" : "at most"} ${limit}: ${ok ? "met" : "MISSED"})`;
    process.stdout.write(`${name}, ${metric}: ${Number(value.toPrecision(4))} ${unit}${bar}\n`);
  }
}

function isMet({ value, limit, better }: Result): boolean {
  if (!Number.isFinite(value)) return false;
  if (limit === null) return true;
  return better === "higher" ? value >= limit : value <= limit;
}

function place(): { commit: string; node: string; machine: string } {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"]).toString().trim();
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return {
    commit,
    node: process.versions.node,
    machine: `${cpus().length} x ${model}, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
