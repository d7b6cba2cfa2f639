import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { adwin } from "../src/index.js";
import { golden, sharedData } from "./files.js";
import { Inputs } from "./inputs.js";

interface Case {
  seed: number;
  rows: number;
  delta: number;
  clock: number;
  max_buckets: number;
  min_window_length: number;
  grace_period: number;
  detections: number[];
  /** Width, total and variance left by each detection. */
  after: [number, number, number][];
  width: number;
  total: number;
  variance: number;
}
const file = golden<{ tool: string; tolerance: number; cases: Case[] }>("adwin.json");

function build(c: Omit<Case, "seed" | "rows" | "detections" | "after" | "width" | "total" | "variance">) {
  return adwin({
    delta: c.delta,
    clock: c.clock,
    maxBuckets: c.max_buckets,
    minWindow: c.min_window_length,
    gracePeriod: c.grace_period,
  });
}

const near = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

t.test(`fires where ${file.tool} fires`, async (t) => {
  let found = 0;
  for (const c of file.cases) {
    const inputs = new Inputs(c.seed);
    const detector = build(c);
    const detections: number[] = [];
    let level = 0;
    for (let i = 0; i < c.rows; i++) {
      if (inputs.below(400) === 0) level = inputs.real();
      if (!detector.update(level + inputs.real())) continue;
      const [width, total, variance] = c.after[detections.length] ?? [0, 0, 0];
      t.equal(detector.width, width, `seed ${c.seed}: kept at ${i}`);
      t.ok(near(detector.total, total) && near(detector.mean, total / width));
      t.ok(near(detector.deviation, variance) || near(detector.deviation / width, variance));
      detections.push(i);
    }
    found += detections.length;
    t.same(detections, c.detections, `seed ${c.seed}`);
    t.equal(detector.width, c.width);
    t.ok(near(detector.total, c.total));
  }
  t.ok(found > 50, `${found} detections compared`);
});

t.test("the fixtures handed to developers", async (t) => {
  const path = join(sharedData() ?? "", "fixtures", "adwin.json");
  if (!existsSync(path)) return void t.pass("needs data", { skip: "shared/data/anomaly is not beside this checkout" });
  const fixtures = JSON.parse(readFileSync(path, "utf8"));
  for (const c of fixtures.cases) {
    const detector = build(c);
    const detections: number[] = [];
    fixtures.streams[c.stream].forEach((x: number, i: number) => {
      if (detector.update(x)) detections.push(i);
    });
    t.same(detections, c.detections, `${c.stream} delta ${c.delta} clock ${c.clock} buckets ${c.max_buckets}`);
    t.equal(detector.width, c.final.width);
    t.ok(near(detector.total, c.final.total), "total");
    t.ok(near(detector.deviation / detector.width, c.final.variance) || near(detector.deviation, c.final.variance));
  }
});

t.test("score: above 1 exactly when it fires", async (t) => {
  const detector = adwin();
  const inputs = new Inputs(8);
  t.equal(detector.score, undefined);
  let fired = 0;
  for (let i = 0; i < 4000; i++) {
    const hit = detector.update(inputs.real() + (i >= 2000 ? 1 : 0));
    if (hit) fired++;
    if (i % 32 === 31 && detector.score !== undefined) t.equal(detector.score > 1, hit);
  }
  t.ok(fired >= 1);
});

t.test("constants never fire, whatever their size; NaN and Infinity are ignored", async (t) => {
  for (const constant of [0, 0.1, 1e6 + 0.1, -1e15 - 0.3, 1e100, 1e300]) {
    const detector = adwin({ clock: 1 });
    for (let i = 0; i < 3000; i++) if (detector.update(constant)) t.fail(`${constant} fired at ${i}`);
    t.equal(detector.width, 3000);
    t.equal(detector.update(Number.NaN), false);
    t.equal(detector.update(Number.POSITIVE_INFINITY), false);
    t.equal(detector.width, 3000);
  }
});

t.test("refusals", async (t) => {
  t.throws(() => adwin({ delta: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => adwin({ clock: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => adwin({ maxBuckets: 1.5 }), { code: "AD_OPTION_INVALID" });
});
