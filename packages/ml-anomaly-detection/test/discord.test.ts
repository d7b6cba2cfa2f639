import t from "tap";
import { discord, rocAuc } from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface Series {
  seed: number;
  period: number;
  labels: string;
  start: number;
  scores: number[];
  auc: number;
}
const file = golden<{ tool: string; series: Series[] }>("discord.json");

/** `series` of make_discord.py. */
function values({ seed, period }: Series): number[] {
  const inputs = new Inputs(seed);
  const made = Array.from({ length: 1200 }, (_, i) => (i % period) / period + 0.05 * inputs.real());
  for (const place of [500, 750, 1000]) {
    const start = place - (place % period) + period * inputs.below(3);
    const kind = inputs.below(2);
    for (let j = 0; j < period; j++) {
      const value = kind === 0 ? (period - j) / period : Math.min(j / period, 0.5);
      made[start + j] = value + 0.05 * inputs.real();
    }
  }
  return made;
}

t.test(`scores and ROC AUC equal the left profile of ${file.tool}`, async (t) => {
  for (const series of file.series) {
    const detector = discord({ length: series.period, window: 2000 });
    const scores = values(series).map((value) => detector.process(value) ?? 0);
    const gaps = series.scores.map((want, i) => Math.abs((scores[series.start + i] as number) - want));
    t.ok(Math.max(...gaps) < 1e-6, `period ${series.period}: ${Math.max(...gaps)}`);
    const auc = rocAuc(Array.from(series.labels.slice(series.start), Number), scores.slice(series.start));
    t.ok(
      Math.abs(auc - series.auc) < 1e-3,
      `period ${series.period}: ROC AUC ${auc.toFixed(4)} (${series.auc.toFixed(4)})`,
    );
  }
});

/** From the definition, with nothing carried over. */
function fromDefinition(all: readonly number[], length: number, window: number): number {
  const shape = (end: number) => {
    const part = all.slice(end - length + 1, end + 1);
    const mean = part.reduce((a, b) => a + b, 0) / length;
    const deviation = Math.sqrt(part.reduce((a, b) => a + (b - mean) ** 2, 0) / length);
    return part.map((value) => (value - mean) / deviation);
  };
  const newest = shape(all.length - 1);
  let best = Number.POSITIVE_INFINITY;
  const last = all.length - 1;
  for (let lag = Math.ceil(length / 4) + 1; lag <= Math.min(last, window) - length + 1; lag++) {
    const other = shape(last - lag);
    best = Math.min(best, Math.sqrt(newest.reduce((sum, value, i) => sum + (value - (other[i] as number)) ** 2, 0)));
  }
  return best;
}

t.test("equals the definition through forgetting, with an offset, after an outlier has passed", async (t) => {
  const inputs = new Inputs(7);
  const [length, window] = [12, 100];
  const detector = discord({ length, window });
  const all: number[] = [];
  let worst = 0;
  for (let i = 0; i < 700; i++) {
    all.push(i === 200 ? 1e9 : 5000 + Math.abs((i % 24) - 12) + inputs.real());
    const score = detector.process(all[i] as number);
    if (i > 60 && (i < 200 || i > 320))
      worst = Math.max(worst, Math.abs((score as number) - fromDefinition(all, length, window)));
  }
  t.ok(worst < 1e-5, `${worst}`);
});

t.test("only the shape counts; a flat stretch is like another and unlike any shape", async (t) => {
  const wave = (i: number) => Math.abs((i % 20) - 10);
  const detector = discord({ length: 20, window: 400 });
  for (let i = 0; i < 300; i++) detector.learnOne(wave(i));
  for (let i = 300; i < 340; i++) detector.learnOne(100 + 3 * wave(i));
  t.ok((detector.scoreOne(100 + 3 * wave(340)) as number) < 1e-4, "higher and larger, but the same");
  for (let i = 0; i < 20; i++) detector.learnOne(100);
  t.ok(Math.abs((detector.scoreOne(100) as number) - Math.sqrt(20)) < 1e-9, "first flat stretch");
  for (let i = 0; i < 20; i++) detector.learnOne(100);
  t.equal(detector.scoreOne(100), 0, "no longer");
});

t.test("refusals", async (t) => {
  t.throws(() => discord({ length: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => discord({ length: 20, window: 30 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => discord({ length: 20, features: 2 }), { code: "AD_OPTION_INVALID" });
});
