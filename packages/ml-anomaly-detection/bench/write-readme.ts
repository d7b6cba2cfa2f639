/** Writes the table of README.md from the JSON of bench:detectors on standard input. */
import { readFileSync, writeFileSync } from "node:fs";

interface Report {
  machine: string;
  node: string;
  unit: string;
  results: { name: string; best: number; median: number; bytes: number }[];
  peers?: { skipped?: string; ratios?: Record<string, { peer: string; peerRate: number; ratio: number }[]> };
}

const report = JSON.parse(readFileSync(0, "utf8")) as Report;
const path = new URL("../../README.md", import.meta.url);
const text = readFileSync(path, "utf8");
const thousands = (value: number) => value.toLocaleString("en-US");
const rows = report.results.map(({ name, best, bytes }) => {
  const against = (report.peers?.ratios?.[name] ?? [])
    .map(({ ratio, peer, peerRate }) => `${ratio} x ${peer} (${thousands(peerRate)})`)
    .join("; ");
  return `| ${name} | ${thousands(best)} | ${thousands(Math.ceil(bytes / 1000))} KB | ${against} |`;
});
const table = [
  `Rows a second of processor time, score and learn together, best of three runs; ${report.machine}, Node ${report.node}.`,
  "",
  "| detector | rows/s | state | against |",
  "| --- | ---: | ---: | --- |",
  ...rows,
].join("\n");
writeFileSync(path, text.replace(/(<!-- measured:.*-->\n)[\s\S]*(<!-- \/measured -->)/, `$1\n${table}\n\n$2`));
