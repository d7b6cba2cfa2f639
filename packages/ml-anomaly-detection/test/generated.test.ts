import t from "tap";
import { eventScoresOf } from "../bench/generated-run.js";
import { generate, KINDS } from "../bench/generator.js";
import { golden } from "./files.js";

const baseline = golden<{ seeds: number; kinds: Record<string, { f1: number }> }>(
  "../../bench/generated-baseline.json",
);

t.test("event F1 of autoDetector on generated anomalies does not regress", async (t) => {
  for (const kind of KINDS) {
    const { f1, precision, recall } = eventScoresOf(kind, baseline.seeds);
    const stored = baseline.kinds[kind]?.f1 as number;
    t.ok(
      f1 >= stored - 1e-9,
      `${kind}: F1 ${f1.toFixed(3)} (stored ${stored.toFixed(3)}), precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`,
    );
  }
});

t.test("the generator: the same seed gives the same series, with two anomalies", async (t) => {
  for (const kind of KINDS) {
    const [a, b] = [generate(kind, 3), generate(kind, 3)];
    t.ok(a.values.every((value, i) => Object.is(value, b.values[i])));
    t.equal([...a.truth].filter((bad, i) => bad === 1 && a.truth[i - 1] === 0).length, 2);
    t.notOk(generate(kind, 4).values.every((value, i) => Object.is(value, a.values[i])));
  }
});
