/**
 * Speed and memory of the detectors, one core: rows a second through score and learn together.
 *
 *   node dist/bench/detectors.js [--json] [--only NAME[,NAME]] [--peers]
 *
 * --peers runs the same rows through River, scikit-learn, rrcf and PySAD in a virtual environment and prints ratios.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import * as ad from "../src/index.js";
import { rate, seededRows } from "./measure.js";
import { peers } from "./peers/run.js";

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "boolean", default: false },
  },
});
const ROWS = 8192; // a power of two, and more than any window
const rows8 = seededRows(ROWS, 8);
const values = Float64Array.from(seededRows(65_536, 1), (row) => row[0] as number);
const over8 = (detector: ad.Detector) => ({
  detector,
  step: (i: number) => detector.process(rows8[i & (ROWS - 1)] as Float64Array) ?? 0,
});
const over1 = (detector: ad.Detector) => ({
  detector,
  step: (i: number) => detector.process(values[i & 65_535] as number) ?? 0,
});
const drift = (detector: ad.DriftDetector) => ({
  detector,
  step: (i: number) => (detector.update(values[i & 65_535] as number) ? 1 : 0),
});
const auto = () => {
  const detector = ad.autoDetector();
  return { detector, step: (i: number) => detector.process(values[i & 65_535] as number, i * 300_000) ?? 0 };
};

interface Entry {
  make(): { detector: ad.Stateful; step(i: number): number };
  /** Least rows a second, most bytes: the project's bars. */
  bar?: number;
  bytes?: number;
}
const ENTRIES: Readonly<Record<string, Entry>> = {
  "autoDetector 1-D": { make: auto, bar: 200_000 },
  "autoDetector 8-D": { make: () => over8(ad.autoDetector({ features: 8 })), bar: 200_000 },
  "halfSpaceTrees 10 x 8, 8-D": { make: () => over8(ad.halfSpaceTrees({ features: 8 })), bar: 250_000, bytes: 300_000 },
  "slidingLof 256, k 20, 8-D": { make: () => over8(ad.slidingLof({ features: 8 })), bar: 5_000 },
  "slidingLof 4096, k 20, 8-D": { make: () => over8(ad.slidingLof({ features: 8, window: 4096 })), bar: 1_000 },
  "randomCutForest 50 x 256, 8-D": {
    make: () => over8(ad.randomCutForest({ features: 8 })),
    bar: 5_000,
    bytes: 1_000_000,
  },
  "isolationForest 100 x 256, 8-D": { make: () => over8(ad.isolationForest({ features: 8 })) },
  "mahalanobis 8-D": { make: () => over8(ad.mahalanobis({ features: 8 })) },
  "pcaMonitor 8-D": { make: () => over8(ad.pcaMonitor({ features: 8 })) },
  "knnDistance 256, 5th, 8-D": { make: () => over8(ad.knnDistance({ features: 8 })) },
  "rsHash 100, 8-D": { make: () => over8(ad.rsHash({ features: 8 })) },
  "loda 100 x 10, 8-D": { make: () => over8(ad.loda({ features: 8 })) },
  "xStream 50 x 15, 8-D": { make: () => over8(ad.xStream({ features: 8 })) },
  "robustZ 500": { make: () => over1(ad.robustZ()) },
  ewma: { make: () => over1(ad.ewma()) },
  "seasonalProfile 288 x 7": { make: () => over1(ad.seasonalProfile({ period: 288 })) },
  "discord 32 in 1000": { make: () => over1(ad.discord({ length: 32 })) },
  spot: { make: () => over1(ad.spot()) },
  adwin: { make: () => drift(ad.adwin()), bar: 2_000_000 },
  kswin: { make: () => drift(ad.kswin({ alpha: 1e-6 })) },
  pageHinkley: { make: () => drift(ad.pageHinkley()) },
  hddmW: { make: () => drift(ad.hddmW()) },
  klDrift: { make: () => drift(ad.klDrift()) },
  psiDrift: { make: () => drift(ad.psiDrift({ alpha: 1e-9 })) },
  wassersteinDrift: { make: () => drift(ad.wassersteinDrift({ alpha: 1e-3 })) },
};

const results = Object.entries(ENTRIES)
  .filter(([name]) => args.only === undefined || args.only.split(",").some((only) => name.startsWith(only)))
  .map(([name, { make, bar, bytes }]) => {
    const { detector, step } = make();
    const { best, median } = rate(step);
    const held = detector.memoryBytes();
    const holds = (bar === undefined || best >= bar) && (bytes === undefined || held < bytes);
    return { name, best: Math.round(best), median: Math.round(median), bytes: held, bar, bytesBar: bytes, holds };
  });
const report = {
  bench: "detectors",
  unit: "rows a second of processor time, score + learn",
  machine: `${cpus()[0]?.model ?? "unknown"} x ${cpus().length}`,
  node: process.version,
  results,
  peers: args.peers ? peers(rows8, values, results) : undefined,
};
if (args.json) console.log(JSON.stringify(report));
else {
  console.log(`${report.unit}; ${report.machine}, Node ${report.node}`);
  for (const { name, best, median, bytes, bar, holds } of results)
    console.log(
      `${name.padEnd(32)} ${String(best).padStart(10)} (median ${median})  ${(bytes / 1000).toFixed(0)} KB${bar === undefined ? "" : `  bar ${bar}: ${holds ? "holds" : "MISSED"}`}`,
    );
  if (report.peers?.skipped !== undefined) console.log(`peers skipped: ${report.peers.skipped}`);
  for (const [name, ratios] of Object.entries(report.peers?.ratios ?? {}))
    for (const { peer, peerRate, ratio } of ratios)
      console.log(`${name.padEnd(32)} ${String(ratio).padStart(10)} x ${peer} (${peerRate})`);
}
process.exitCode = results.every(({ holds }) => holds) ? 0 : 1;
