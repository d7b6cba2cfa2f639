import t from "tap";
import { fitTail } from "../src/calibration/pareto.js";
import { calibrated, spot } from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface Pareto {
  seed: number;
  shape: number;
  excesses: number[];
  fittedShape: number;
  logLikelihood: number;
}
const file = golden<{ tool: string; pareto: Pareto[] }>("limits.json");

function logLikelihood(y: number[], scale: number, shape: number): number {
  return y.reduce(
    (sum, v) => sum - Math.log(scale) - (shape === 0 ? v / scale : (1 + 1 / shape) * Math.log1p((shape * v) / scale)),
    0,
  );
}

t.test(`the fitted tail is as likely as that of ${file.tool}`, async (t) => {
  for (const c of file.pareto) {
    const { scale, shape } = fitTail(Float64Array.from(c.excesses), c.excesses.length);
    const got = logLikelihood(c.excesses, scale, shape);
    t.ok(
      got > c.logLikelihood - 0.05,
      `shape ${c.shape}: ${got} for ${c.logLikelihood}; shape ${shape} for ${c.fittedShape}`,
    );
  }
});

t.test("alarms about as often as the risk asked for, on thin and heavy tails", async (t) => {
  for (const [name, make] of Object.entries({
    exponential: (u: number) => -Math.log(u),
    heavy: (u: number) => u ** -0.3,
  })) {
    let [alarms, rows] = [0, 0];
    for (let seed = 1; seed <= 10; seed++) {
      const inputs = new Inputs(seed * 13);
      const detector = spot({ risk: 1e-3 });
      for (let i = 0; i < 11_000; i++) {
        const u = (inputs.below(1_000_000) + 0.5) / 1_000_000;
        const score = detector.process(make(u));
        if (score === undefined) continue;
        rows++;
        if (score > detector.boundary) alarms++;
      }
    }
    const rate = alarms / rows;
    t.ok(rate > 0.5e-3 && rate < 1.6e-3, `${name}: ${(rate * 1000).toFixed(2)} per thousand`);
  }
});

t.test("above the boundary exactly when above the threshold, and rising", async (t) => {
  const inputs = new Inputs(8);
  const detector = spot({ risk: 1e-3, warmUp: 500 });
  t.equal(detector.threshold, undefined);
  for (let i = 0; i < 3000; i++) detector.learnOne(inputs.real());
  const z = detector.threshold as number;
  let last = -1;
  for (let x = -3; x < 6; x += 0.01) {
    const score = detector.scoreOne(x) as number;
    t.equal(score > detector.boundary, x > z);
    if (score < last) t.fail(`falls at ${x}`);
    last = score;
  }
  t.equal((detector.scoreOne(z) as number) > detector.boundary, false);
  const flagged = calibrated(detector, { boundary: { threshold: detector.boundary } });
  t.ok((flagged.scoreOne(z + 1) as number) > 0.5 && (flagged.scoreOne(z - 0.1) as number) <= 0.5);
});

t.test("an alarm is learned as a modest one; with depth it follows a drift", async (t) => {
  const inputs = new Inputs(9);
  const still = spot({ risk: 1e-3 });
  const moving = spot({ risk: 1e-3, depth: 50 });
  for (let i = 0; i < 2000; i++) {
    const x = inputs.real();
    still.learnOne(x);
    moving.learnOne(x);
  }
  const [small, great] = [spot({ risk: 1e-3 }), spot({ risk: 1e-3 })];
  small.load(still.save());
  great.load(still.save());
  small.learnOne(10);
  great.learnOne(1e6);
  t.equal(great.threshold, small.threshold, "1e6 teaches no more than 10");
  let [stillAlarms, movingAlarms] = [0, 0];
  for (let i = 0; i < 4000; i++) {
    const x = inputs.real() + i / 500;
    if ((still.process(x) as number) > still.boundary) stillAlarms++;
    if ((moving.process(x) as number) > moving.boundary) movingAlarms++;
  }
  t.ok(movingAlarms < 20 && stillAlarms > 2 * movingAlarms, `${movingAlarms} against ${stillAlarms}`);
});

t.test("refusals", async (t) => {
  t.throws(() => spot({ risk: 0 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => spot({ features: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => spot({ level: 1 }), { code: "AD_OPTION_INVALID" });
});
