/**
 * Cuts the bundled sample out of the shared data:  node scripts/samples/cut.mjs [--from ../shared/data] [--only mine,sensors]
 *
 * The same inputs and seed give the same mine, sensors and planted records. The GitHub part is different on every cut by
 * intention: its half-year, time shift and pseudonyms come from the operating system and are written nowhere. So a new
 * cut replaces the published one; it cannot reproduce it. `--only` keeps the other parts as they are.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cutExamples } from "./examples.mjs";
import { writeBytes } from "./files.mjs";
import { cutGithub } from "./github.mjs";
import { cutMine } from "./mine.mjs";
import { readMine, utcMs } from "./mine-source.mjs";
import { seeded } from "./random.mjs";
import { cutSensors } from "./sensors.mjs";

const SEED = "millrace-sample-1";
const WEEK_MS = 7 * 86_400_000;
const MONDAY_MS = Date.UTC(1970, 0, 5);
const DOMAINS = { github: ["github"], telemetry: ["mine", "sensors"] };
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const to = `${root}/samples`;

const { values: options } = parseArgs({
  options: {
    from: { type: "string", default: `${root}/../shared/data` },
    only: { type: "string", default: "github,mine,sensors" },
  },
});
const only = options.only.split(",");
console.log(`seed ${SEED}`);

const span = mineSpan(options.from);
const lastMonday = Math.floor((span.lastMs - MONDAY_MS) / WEEK_MS) * WEEK_MS + MONDAY_MS;
const parts = {
  github: () => {
    const history = cutGithub(seeded(`${SEED} github`), options.from, to, lastMonday);
    return merged([history, cutExamples(to, lastMonday)]);
  },
  mine: () => cutMine(seeded(`${SEED} mine`), options.from, to),
  sensors: () => cutSensors(seeded(`${SEED} sensors`), options.from, to, span),
};

const sources = {};
for (const [name, cut] of Object.entries(parts)) {
  sources[name] = only.includes(name) ? figures(cut()) : previous().sources[name];
  console.log(name, JSON.stringify(sources[name]));
}
const manifest = { cutBy: "scripts/samples/cut.mjs", seed: SEED, sources, domains: domainSums(sources) };
writeBytes(to, "manifest.json", Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`));

function figures({ lines, duplicates, malformed, files, aside }) {
  const times = lines.map(({ at }) => at);
  const [firstMs, lastMs] = [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))];
  const sent = lines.length;
  return { files, aside, firstMs, lastMs, sent, duplicates, malformed, stored: sent - duplicates - malformed };
}

function merged(cuts) {
  const sum = (name) => cuts.reduce((total, cut) => total + cut[name], 0);
  const all = (name) => cuts.flatMap((cut) => cut[name]);
  return {
    lines: all("lines"),
    duplicates: sum("duplicates"),
    malformed: sum("malformed"),
    files: all("files"),
    aside: all("aside"),
  };
}

function domainSums(sources) {
  const sum = (names, figure) => names.reduce((total, name) => total + sources[name][figure], 0);
  return Object.fromEntries(
    Object.entries(DOMAINS).map(([domain, names]) => [
      domain,
      Object.fromEntries(["sent", "duplicates", "malformed", "stored"].map((figure) => [figure, sum(names, figure)])),
    ]),
  );
}

// All sources end together, so that the last minutes of a replay show every domain.
function mineSpan(from) {
  const { cycles, refuels } = readMine(`${from}/telemetry`);
  const times = [
    ...cycles.flatMap((row) => [utcMs(row.assign_load_ts), utcMs(row.empty_ts)]),
    ...refuels.map((row) => utcMs(row.fuel_end_ts)),
  ];
  return { firstMs: Math.min(...times), lastMs: Math.max(...times) };
}

function previous() {
  return JSON.parse(readFileSync(`${to}/manifest.json`, "utf8"));
}
