import { existsSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { csvFiles } from "../bench/folder.js";
import { NAB_DETECTORS, nabScores } from "../bench/nab-run.js";
import { columnOf, numberOf, readTable, timeOf } from "../src/cli/csv.js";
import { autoDetector } from "../src/index.js";
import { sharedData } from "./files.js";
import { Inputs } from "./inputs.js";

const STEP_MS = 300_000;
const auto = NAB_DETECTORS["auto"] as () => (value: number, timeMs: number) => number | undefined;

/** Two weeks of five-minute readings: a daily wave and noise. */
function daily(seed: number, rows = 4032): { values: number[]; times: number[] } {
  const inputs = new Inputs(seed);
  const values = Array.from({ length: rows }, (_, i) => 50 + 30 * Math.sin((i * 2 * Math.PI) / 288) + inputs.real());
  return { values, times: values.map((_, i) => 1.4e12 + i * STEP_MS) };
}

function alarms(values: number[], times?: number[]): number[] {
  const detector = autoDetector();
  const found: number[] = [];
  values.forEach((value, i) => {
    const score = times === undefined ? detector.process(value) : detector.process(value, times[i]);
    if (score !== undefined && score > 0.5) found.push(i);
  });
  return found;
}

t.test("a spike is one alarm, on its first row", async (t) => {
  const { values, times } = daily(1);
  for (let i = 2000; i < 2020; i++) values[i] = 300 - i / 100;
  const found = alarms(values, times);
  t.ok(found.includes(2000));
  t.equal(found.filter((i) => i > 2000 && i < 2050).length, 0);
});

t.test("a value that is usual, but not at this time of day, is found only when it knows the time", async (t) => {
  const { values, times } = daily(2);
  for (let i = 2952; i < 3000; i++) values[i] = (values[i] as number) > 50 ? 25 : 75; // the middle of a half-wave
  t.ok(alarms(values, times).some((i) => i >= 2952 && i < 3000));
  t.notOk(alarms(values).some((i) => i >= 2952 && i < 3000));
});

t.test("weekends are not anomalies once the week is proven; a working day without work is", async (t) => {
  const inputs = new Inputs(31);
  const hours = 24 * 7 * 10;
  const times = Array.from({ length: hours }, (_, i) => i * 3_600_000);
  const values = times.map((_, i) => {
    const working = Math.floor(i / 24) % 7 < 5 && i % 24 >= 8 && i % 24 < 18;
    return (working ? 100 : 20) + 3 * inputs.real();
  });
  const strike = 24 * 7 * 8 + 24 * 2 + 8; // a Wednesday of the ninth week
  for (let i = strike; i < strike + 10; i++) values[i] = 20 + 3 * inputs.real();
  const found = alarms(values, times);
  t.ok(found.includes(strike), `alarms at ${found}`);
  t.ok(found.filter((i) => i > 24 * 7 * 4).length <= 4, `${found.length} alarms`);
  const detector = autoDetector();
  for (let i = 0; i < strike; i++) detector.learnOne(values[i] as number, times[i]);
  t.match(detector.describe(values[strike] as number, times[strike]), /usual at this time of the week/);
  const shifted = alarms(
    values,
    times.map((time) => time + 7 * 86_400_000 * 31),
  );
  t.same(shifted, found);
});

t.test("quiet on noise, on a clean wave, on constants and on integers", async (t) => {
  const inputs = new Inputs(9);
  const times = Array.from({ length: 6000 }, (_, i) => i * STEP_MS);
  const streams: Record<string, number[]> = {
    noise: times.map(() => inputs.real()),
    wave: times.map((_, i) => Math.sin((i * 2 * Math.PI) / 288)),
    constant: times.map(() => 3),
    integers: times.map(() => inputs.below(5)),
    square: times.map((_, i) => (i % 288 < 100 ? 80 : 20)),
  };
  for (const [name, values] of Object.entries(streams)) {
    const found = alarms(values, times);
    t.ok(found.length <= 6, `${name}: ${found.length} alarms in 6000 rows`);
  }
});

t.test("a lasting shift of level is told once and then is normal", async (t) => {
  const { values, times } = daily(3);
  const shifted = values.map((value, i) => value + (i >= 2500 ? 120 : 0));
  const found = alarms(shifted, times).filter((i) => i >= 2500);
  t.ok(found[0] === 2500, `first alarm at ${found[0]}`);
  t.ok(found.length <= 8, `${found.length} alarms after the shift`);
});

t.test("each alarm explains itself in one sentence", async (t) => {
  const { values, times } = daily(4);
  const detector = autoDetector();
  t.equal(detector.describe(5), "warming up: 0 of 100 rows");
  for (let i = 0; i < 2000; i++) detector.learnOne(values[i] as number, times[i]);
  t.match(detector.describe(500, times[2000]), /^500 is .* from .*; about 1 row in .* was as far off \(surprise .*\)$/);
  t.match(detector.describe(500), /nearest earlier value/);
  t.equal(detector.describe(Number.NaN), "no value");
  t.same([...detector.explain(500)], [1]);
  t.same([...detector.explain(values[1999] as number)], [0]);
});

t.test("causal: cuts, other names and whole weeks of shift change no score", async (t) => {
  const inputs = new Inputs(77);
  const folder = join(sharedData() ?? "", "nab");
  const series: { name: string; values: number[]; times: number[] }[] = [{ name: "generated", ...daily(5) }];
  if (existsSync(folder)) {
    for (const { path, name } of csvFiles(folder)) {
      const table = readTable(path);
      const [at, of] = [columnOf(table, "timestamp"), columnOf(table, "value")];
      series.push({
        name,
        values: table.rows.map((row) => numberOf(row[of])),
        times: table.rows.map((row) => timeOf(row[at] as string)),
      });
    }
  } else t.comment("NAB series skipped: shared/data/anomaly is not beside this checkout");
  for (const { name, values, times } of series) {
    const whole = nabScores(auto, values, times);
    const weeks = 7 * 86_400_000 * (1 + inputs.below(500));
    const moved = nabScores(
      auto,
      values,
      times.map((time) => time + weeks),
    );
    let same = moved.every((score, i) => score === whole[i]);
    for (let cut = 0; cut < 10; cut++) {
      const rows = inputs.below(values.length);
      const part = nabScores(auto, values.slice(0, rows), times.slice(0, rows));
      same &&= part.every((score, i) => score === whole[i]);
    }
    t.ok(same, name);
  }
});
