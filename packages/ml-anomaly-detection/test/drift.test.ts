import t from "tap";
import { ksTail } from "../src/drift/kswin.js";
import {
  type DriftDetector,
  ddm,
  type ErrorDriftDetector,
  eddm,
  hddmA,
  hddmW,
  klDrift,
  kswin,
  pageHinkley,
} from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface PageHinkleyCase {
  seed: number;
  rows: number;
  min_instances: number;
  delta: number;
  threshold: number;
  alpha: number;
  mode: "up" | "down" | "both";
  detections: number[];
}
interface ErrorCase {
  seed: number;
  rows: number;
  twoSided: boolean;
  found: Record<string, { drifts: number[]; warnings: number }>;
}
const file = golden<{ tool: string; pageHinkley: PageHinkleyCase[]; errors: ErrorCase[] }>("drift.json");
const limits = golden<{ tool: string; ks: { n: number; statistic: number; p: number }[] }>("limits.json");

t.test(`Page-Hinkley fires where ${file.tool} fires`, async (t) => {
  for (const c of file.pageHinkley) {
    const inputs = new Inputs(c.seed);
    const detector = pageHinkley({ ...c, minInstances: c.min_instances });
    const detections: number[] = [];
    let level = 0;
    for (let i = 0; i < c.rows; i++) {
      if (inputs.below(300) === 0) level = 2 * inputs.real();
      if (detector.update(level + inputs.real())) detections.push(i);
    }
    t.same(detections, c.detections, `seed ${c.seed} ${c.mode}`);
  }
});

t.test(`detectors of rising errors fire and warn where ${file.tool} does`, async (t) => {
  let drifts = 0;
  for (const c of file.errors) {
    const n = c.seed - 350;
    const parity = n % 2;
    const confidence = { driftConfidence: n % 3 === 0 ? 0.01 : 0.001, warningConfidence: 0.05, twoSided: c.twoSided };
    const detectors: Record<string, ErrorDriftDetector> = {
      ddm: ddm(parity === 0 ? {} : { warmUp: 10, warningThreshold: 1.5, driftThreshold: 2.5 }),
      eddm: eddm(parity === 0 ? {} : { warmUp: 10, beta: 0.85 }),
      hddmA: hddmA(confidence),
      hddmW: hddmW({ ...confidence, lambda: Math.floor(n / 2) % 2 === 0 ? 0.05 : 0.2 }),
    };
    const got = Object.fromEntries(
      Object.keys(detectors).map((name) => [name, { drifts: [] as number[], warnings: 0 }]),
    );
    const inputs = new Inputs(c.seed);
    let rate = 100;
    for (let i = 0; i < c.rows; i++) {
      if (inputs.below(500) === 0) rate = 20 + inputs.below(600);
      const x = inputs.below(1000) < rate ? 1 : 0;
      for (const [name, detector] of Object.entries(detectors)) {
        const each = got[name] as { drifts: number[]; warnings: number };
        const fired = detector.update(x);
        if (fired) each.drifts.push(i);
        else if (detector.warning) each.warnings++;
        if (detector.score !== undefined && detector.score > 1 && detector.kind !== "eddm") t.equal(fired, true);
      }
    }
    t.same(got, c.found, `seed ${c.seed}`);
    drifts += Object.values(got).reduce((sum, each) => sum + each.drifts.length, 0);
  }
  t.ok(drifts > 100, `${drifts} changes compared`);
});

t.test(`Kolmogorov-Smirnov p-values equal ${limits.tool}`, async (t) => {
  for (const { n, statistic, p } of limits.ks) {
    const got = ksTail(Math.round(statistic * n), n);
    t.ok(Math.abs(got - p) < 1e-9, `n ${n}: ${got} for ${p}`);
  }
});

/** Share of the streams on which `make()` fires in [from, to) of a stream whose level moves by `shift` at 1000. */
function firing(make: () => DriftDetector, shift: number, from: number, to: number): number {
  let fired = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const inputs = new Inputs(seed * 17);
    const detector = make();
    let hit = false;
    for (let i = 0; i < to; i++) if (detector.update(inputs.real() + (i >= 1000 ? shift : 0)) && i >= from) hit = true;
    if (hit) fired++;
  }
  return fired / 20;
}

t.test("KSWIN and KL find a shift soon and keep quiet about as often as they promise", async (t) => {
  t.ok(firing(() => kswin({ alpha: 1e-4 }), 1.5, 1000, 1100) >= 0.95);
  t.ok(firing(() => kswin({ alpha: 1e-6 }), 0, 0, 1000) <= 0.1);
  t.ok(firing(() => klDrift({ alpha: 1e-4 }), 1.5, 1000, 1160) >= 0.95);
  t.ok(firing(() => klDrift({ alpha: 1e-4 }), 0, 0, 1000) <= 0.1);
});

t.test("KL: a return to a distribution met before is no change", async (t) => {
  const detector = klDrift({ window: 50, warmUp: 200, alpha: 1e-3 });
  const inputs = new Inputs(5);
  const fired: number[] = [];
  for (let i = 0; i < 2000; i++) if (detector.update(inputs.real() + (Math.floor(i / 500) % 2) * 3)) fired.push(i);
  t.same(fired, [549], "the first visit to the second level only");
});

t.test(
  "KSWIN: the same seed gives the same alarms; score above 1 exactly when it fires; only the newest are kept",
  async (t) => {
    const [a, b] = [kswin({ seed: 3 }), kswin({ seed: 3 })];
    const inputs = new Inputs(6);
    for (let i = 0; i < 3000; i++) {
      const x = inputs.real() + Math.floor(i / 700);
      const hit = a.update(x);
      t.equal(b.update(x), hit);
      if (a.score !== undefined) {
        if (a.score > 1 !== hit && hit) t.fail(`score ${a.score} at an alarm`);
        if (hit) t.equal(a.width, 30);
      }
    }
  },
);

t.test("constants never fire", async (t) => {
  for (const make of [() => kswin(), () => pageHinkley({ threshold: 1e-3 }), () => klDrift()]) {
    const detector = make();
    for (let i = 0; i < 2000; i++) if (detector.update(1e6 + 0.1)) t.fail(`${detector.kind} fired at ${i}`);
    t.equal(detector.update(Number.NaN), false);
  }
});

t.test("refusals", async (t) => {
  t.throws(() => kswin({ sample: 60 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => kswin({ window: 8, sample: 3, alpha: 1e-9 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => pageHinkley({ mode: "sideways" as "up" }), { code: "AD_OPTION_INVALID" });
  t.throws(() => klDrift({ bins: 1 }), { code: "AD_OPTION_INVALID" });
});
