import t from "tap";
import { calibrated, calibratedScore, type Detector, slidingLof } from "../src/index.js";
import { Inputs } from "./inputs.js";

/** Its score is its input: shows what calibration alone does. */
function identity(): Detector & { learned: number[] } {
  const learned: number[] = [];
  return {
    kind: "identity",
    dimensions: 1,
    learned,
    scoreOne: (x) => x as number,
    learnOne: (x) => void learned.push(x as number),
    process(x) {
      learned.push(x as number);
      return x as number;
    },
    explain: () => new Float64Array(1),
    save: () => new Uint8Array(0),
    load: () => {},
    memoryBytes: () => 0,
  };
}

t.test(
  "the formula: 0.5 at the boundary, above it exactly when flagged, strictly increasing, never 0 or 1",
  async (t) => {
    const steps = [
      -1e300, -1e12, -3, -1, 0, 0.5, 1.499999, 1.5, 1.5000000000000002, 1.6, 2, 10, 1e5, 1e11, 1e100, 1e308,
    ];
    for (const scale of [1e-12, 1, 1.5, 1e12]) {
      let last = 0;
      for (const raw of steps) {
        const c = calibratedScore(raw, 1.5, scale);
        t.equal(c > 0.5, raw > 1.5, `${raw} at scale ${scale}: ${c}`);
        t.ok(c > 0 && c < 1 && (scale > 1 ? c >= last : c > last), `${raw} at scale ${scale} rises`);
        last = c;
      }
    }
    t.equal(calibratedScore(1.5, 1.5, 1), 0.5);
  },
);

t.test("a quantile boundary flags about its share and follows the stream", async (t) => {
  const detector = calibrated(identity(), { boundary: { quantile: 0.9, window: 500 } });
  const inputs = new Inputs(4);
  let flagged = 0;
  for (let i = 0; i < 5000; i++) {
    const score = detector.process(inputs.real() * (i < 2500 ? 1 : 50));
    if (score !== undefined && score > 0.5) flagged++;
  }
  t.ok(flagged > 400 && flagged < 800, `${flagged} of 5000 flagged`);
  t.ok((detector.threshold as number) > 10, "the boundary grew with the data");
});

t.test("a risk flags about as often as asked, beyond what a quantile could see", async (t) => {
  let [flagged, rows] = [0, 0];
  for (let seed = 1; seed <= 6; seed++) {
    const detector = calibrated(identity(), { boundary: { risk: 1e-3 } });
    const inputs = new Inputs(seed * 11);
    for (let i = 0; i < 12_000; i++) {
      const raw = -Math.log((inputs.below(1_000_000) + 0.5) / 1_000_000);
      const boundary = detector.threshold;
      const score = detector.process(raw);
      if ((score === undefined) !== i < 1000) t.fail(`row ${i}: ${score}`);
      if (score === undefined || boundary === undefined) continue;
      if (score > 0.5 !== raw > boundary) t.fail(`row ${i}: ${score} for ${raw} at ${boundary}`);
      rows++;
      if (score > 0.5) flagged++;
    }
  }
  t.ok(flagged / rows > 0.5e-3 && flagged / rows < 1.8e-3, `${((1000 * flagged) / rows).toFixed(2)} per thousand`);
});

t.test("warming up is undefined, not 0", async (t) => {
  const detector = calibrated(identity(), { boundary: { quantile: 0.9 } });
  for (let i = 0; i < 10; i++) t.equal(detector.process(i), undefined);
  t.not(detector.process(10), undefined);
});

t.test("told so, it never learns a flagged row", async (t) => {
  for (const learnFlagged of [true, false]) {
    const inner = identity();
    const detector = calibrated(inner, { boundary: { threshold: 2 }, learnFlagged });
    for (const x of [1, 2, 3, 100, 0]) detector.process(x);
    detector.learnOne(50);
    t.same(inner.learned, learnFlagged ? [1, 2, 3, 100, 0, 50] : [1, 2, 0]);
  }
  const plain = calibrated(slidingLof({ window: 40, neighbours: 5 }), { boundary: { threshold: 3 } });
  const guarded = calibrated(slidingLof({ window: 40, neighbours: 5 }), {
    boundary: { threshold: 3 },
    learnFlagged: false,
  });
  const inputs = new Inputs(6);
  for (let i = 0; i < 100; i++) {
    const x = inputs.real() + (i >= 60 ? 40 : 0);
    plain.process(x);
    guarded.process(x);
  }
  t.ok((plain.scoreOne(40) as number) < 0.5, "learned as the new normal");
  t.ok((guarded.scoreOne(40) as number) > 0.5, "still abnormal");
});

t.test("refusals", async (t) => {
  t.throws(() => calibrated(identity(), { boundary: { threshold: Number.NaN } }), { code: "AD_OPTION_INVALID" });
  t.throws(() => calibrated(identity(), { boundary: { quantile: 1 } }), { code: "AD_OPTION_INVALID" });
  t.throws(() => calibrated(identity(), { boundary: { quantile: 0.999, window: 10 } }), { code: "AD_OPTION_INVALID" });
});
