import t from "tap";
import type { Output } from "../../src/core/index.js";
import { incidents } from "../../src/operators/index.js";
import { emitFeature, emitFinding, plain, severityOf } from "../../src/pipelines/report.js";

const SPEAKER = { pipeline: "mine.telemetry", domain: "mine", partition: 2 } as const;

t.test("numbers as people write them", async (t) => {
  const table: readonly (readonly [number, string])[] = [
    ...([
      [0, "0"],
      [0.1234, "0.123"],
      [12.345, "12.3"],
      [-2.71654, "-2.72"],
      [999.9, "1000"],
      [12_345.6, "12346"],
    ] as const),
    ...([
      [2.5e9, "2.50e+9"],
      [0.00001, "1.00e-5"],
      [0.5, "0.5"],
    ] as const),
  ];
  for (const [value, text] of table) t.equal(plain(value), text, `${value}`);
});

t.test("four times the threshold is critical", async (t) => {
  t.equal(severityOf(2.1, 2), "warning");
  t.equal(severityOf(7.9, 2), "warning");
  t.equal(severityOf(8, 2), "critical");
});

t.test(
  "features and findings go to the speaker's partition; a finding is an anomaly and may be an alert",
  async (t) => {
    const outputs: Output[] = [];
    const emit = (output: Output) => void outputs.push(output);
    const window = { feature: "f", site: "m", key: "m/t.1", startMs: 0, endMs: 10 };
    emitFeature(SPEAKER, { ...window, values: { a: 1 }, labels: {}, scores: {} }, emit);
    const rule = incidents({ pipeline: SPEAKER.pipeline, rule: "r", domain: "mine", quietMs: 100, maxKeys: 10 });
    const finding = {
      ...window,
      ...{
        detector: "lof",
        score: 3,
        threshold: 2,
        value: 7,
        expected: { low: 1, high: 2 },
        severity: "warning" as const,
      },
      ...{ title: "too much", labels: { l: "x" }, evidence: [{ stream: "s", sequence: 1, index: 0 }] },
    };
    emitFinding(SPEAKER, finding, rule, emit);
    emitFinding(SPEAKER, { ...finding, startMs: 10, endMs: 20 }, rule, emit);
    t.same(
      outputs.map(({ subject }) => subject),
      [
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
        "alerts.2.mine",
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
      ],
    );
    t.match(outputs[1]?.record, {
      kind: "anomaly",
      detector: "lof",
      tsMs: 10,
      expectedLow: 1,
      expectedHigh: 2,
      threshold: 2,
    });
    t.match(outputs[2]?.record, {
      schema: "millrace.alert/1",
      title: "too much",
      state: "firing",
      expected: { low: 1, high: 2 },
    });
    t.notOk("title" in (outputs[1]?.record ?? {}), "an anomaly is data, the alert has the words");
  },
);
