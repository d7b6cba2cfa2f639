import t from "tap";
import {
  adwin,
  type DriftDetector,
  multivariateDrift,
  psiDrift,
  stabilityIndex,
  wassersteinDistance,
  wassersteinDrift,
} from "../src/index.js";
import { golden } from "./files.js";
import { Inputs } from "./inputs.js";

interface Pair {
  seed: number;
  kind: string;
  wasserstein: number;
  psi: number;
}
const file = golden<{ tool: string; pairs: Pair[] }>("online.json");

t.test(`Wasserstein distance and stability index equal ${file.tool}`, async (t) => {
  let worst = 0;
  for (const { seed, kind, wasserstein, psi } of file.pairs) {
    const inputs = new Inputs(seed);
    const [n, m] = [5 + inputs.below(60), 5 + inputs.below(60)];
    const a = inputs.rows(n, 1, kind).map(([value]) => value as number);
    const b = inputs.rows(m, 1, kind).map(([value]) => (value as number) + 0.5);
    const counts = [0, 1].map(() => Array.from({ length: 8 }, () => inputs.below(40)));
    worst = Math.max(worst, Math.abs(wassersteinDistance(a, b) - wasserstein));
    worst = Math.max(worst, Math.abs(stabilityIndex(counts[0] as number[], counts[1] as number[]) - psi));
  }
  t.ok(worst < 1e-12, `${worst}`);
  t.equal(wassersteinDistance([1, 2], [1, 2, 2, 1]), 0);
  t.equal(stabilityIndex([3, 3], [3, 3]), 0);
  t.throws(() => wassersteinDistance([], [1]), { code: "AD_INPUT_INVALID" });
  t.throws(() => wassersteinDistance([Number.NaN], [1]), { code: "AD_INPUT_INVALID" });
  t.throws(() => stabilityIndex([1], [1, 2]), { code: "AD_INPUT_INVALID" });
});

/** Rows at which it fires on `rows` values. */
function firings(detector: DriftDetector, rows: number, value: (i: number) => number): number[] {
  const found: number[] = [];
  for (let i = 0; i < rows; i++) if (detector.update(value(i))) found.push(i);
  return found;
}

const MAKERS = {
  psiDrift: (alpha: number) => psiDrift({ alpha }),
  wassersteinDrift: (alpha: number) => wassersteinDrift({ alpha }),
};

t.test("quiet about as often as promised, whatever the distribution", async (t) => {
  for (const [name, make] of Object.entries(MAKERS)) {
    for (const kind of ["bell", "skewed", "integers"]) {
      const inputs = new Inputs(31);
      const shape = { bell: (x: number) => x, skewed: (x: number) => Math.exp(3 * x), integers: Math.round }[kind];
      const detector = make(0.02);
      const fired = firings(detector, 60_000, () => (shape as (x: number) => number)(inputs.real())).length;
      t.ok(fired <= 3 * 0.02 * 600, `${name}, ${kind}: ${fired} of 600 windows, 12 expected`);
    }
  }
});

t.test("a shift, a wider spread and a step off a constant are found within two windows, once", async (t) => {
  for (const [name, make] of Object.entries(MAKERS)) {
    const cases = {
      shift: (i: number, real: number) => real + (i >= 1000 ? 0.8 : 0),
      spread: (i: number, real: number) => real * (i >= 1000 ? 3 : 1),
      constant: (i: number) => (i >= 1000 ? 6.9 : 7),
    };
    for (const [kind, value] of Object.entries(cases)) {
      const inputs = new Inputs(33);
      const found = firings(make(0.001), 2000, (i) => value(i, inputs.real()));
      t.equal(found.length, 1, `${name}, ${kind}: ${found}`);
      t.ok((found[0] as number) >= 1000 && (found[0] as number) < 1200, `${name}, ${kind}: row ${found[0]}`);
    }
    const still = make(0.001);
    t.same(
      firings(still, 3000, () => 1e100),
      [],
      `${name}: a constant is no change`,
    );
    t.ok((still.score as number) <= 1);
  }
});

t.test("score: above 1 exactly when it fires", async (t) => {
  for (const [name, make] of Object.entries(MAKERS)) {
    const inputs = new Inputs(35);
    const detector = make(0.05);
    let tests = 0;
    for (let i = 0; i < 20_000; i++) {
      const fired = detector.update(inputs.real() + Math.floor(i / 5000));
      if ((i + 1) % 100 !== 0 || detector.score === undefined) continue;
      tests++;
      if (fired && detector.score <= 1) t.fail(`${name}: fired at ${detector.score}`);
    }
    t.ok(tests > 100);
  }
});

t.test("rows: a change of the whole needs a quorum, is told once, and says which features", async (t) => {
  const inputs = new Inputs(41);
  const names = ["a", "b", "c"];
  const one = multivariateDrift({ features: names });
  const two = multivariateDrift({ features: names, quorum: 2, within: 300 });
  const told: Record<string, number[]> = { one: [], two: [] };
  for (let i = 0; i < 6000; i++) {
    const row = {
      a: inputs.real() + (i >= 2000 ? 2 : 0),
      b: inputs.real() + (i >= 4000 ? 2 : 0),
      c: inputs.real() + (i >= 4100 ? 2 : 0),
    };
    if (one.update(row)) told["one"]?.push(i);
    if (two.update(row)) told["two"]?.push(i);
  }
  const [first, second] = told["one"] as number[];
  t.ok((first as number) >= 2000 && (first as number) < 2200, `${told["one"]}`);
  t.ok((second as number) >= 4000 && (second as number) < 4200);
  t.equal(told["two"]?.length, 1, `${told["two"]}`);
  t.ok((told["two"]?.[0] as number) >= 4100 && (told["two"]?.[0] as number) < 4300);
  const since = two.sinceChange();
  t.ok((since[1] as number) < 2000 && (since[2] as number) < 1900 && (since[0] as number) > 3500, `${since}`);
});

t.test("rows: members of another kind or with other options are refused, and nothing changes", async (t) => {
  const make = (delta: number) => multivariateDrift({ features: 2, make: () => adwin({ delta }) });
  const [a, b] = [make(0.01), make(0.02)];
  for (let i = 0; i < 50; i++) a.update([i, 1]);
  const before = b.save();
  t.throws(() => b.load(a.save()), { code: "AD_STATE_INVALID" });
  t.same(b.save(), before);
  t.throws(() => multivariateDrift({ features: 2, quorum: 3 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => psiDrift({ bins: 1 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => wassersteinDrift({ alpha: 1e-9 }), { code: "AD_OPTION_INVALID" });
});
