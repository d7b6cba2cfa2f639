import t from "tap";
import type { Output } from "../../src/core/index.js";
import { pipeline, type Sent, testSource } from "../../src/operators/index.js";
import { type FeatureRow, type Finding, features, plain, report, severityOf } from "../../src/pipelines/report.js";
import { zeroInference } from "../support/program-runner.js";

const SPEAKER = { pipeline: "mine.telemetry", domain: "mine" } as const;

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
  "features go to the task's partition, or that of their site; a finding is an anomaly and may be an alert",
  async (t) => {
    const topology = pipeline("test.report");
    const said = topology.from(testSource<FeatureRow | Finding>()).map(({ value }) => value);
    const rows = said.filter((value): value is FeatureRow => "values" in value);
    rows.to(features(SPEAKER));
    rows.to(features(SPEAKER, (site, partitions) => site.length % partitions));
    const findings = said.filter((value): value is Finding => "detector" in value);
    report(findings, SPEAKER, { rule: "r", quietMs: 100, maxKeys: 10 });
    const program = topology.create({ task: "t/2", partition: 2, partitions: 4, inference: zeroInference });
    const outputs: Output[] = [];
    const send = (value: FeatureRow | Finding, timeMs: number): void => {
      const sent: Sent<FeatureRow | Finding> = { timeMs, value };
      const message = { subject: "test.2.x", data: new Uint8Array(0), sequence: timeMs, header: () => undefined, sent };
      program.apply(message, undefined, (output) => void outputs.push(output));
    };
    const window = { feature: "f", site: "m", key: "m/t.1", startMs: 0, endMs: 10 };
    send({ ...window, values: { a: 1 }, labels: {}, scores: {} }, 1);
    const finding: Finding = {
      ...window,
      ...{ detector: "lof", score: 3, threshold: 2, value: 7, expected: { low: 1, high: 2 }, severity: "warning" },
      ...{ title: "too much", labels: { l: "x" }, evidence: [{ stream: "s", sequence: 1, index: 0 }] },
    };
    send(finding, 2);
    send({ ...finding, startMs: 10, endMs: 20 }, 3);
    t.same(
      outputs.map(({ subject }) => subject),
      [
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
        "features.1.mine%2Etelemetry.m%2Ft%2E1",
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
        "alerts.2.mine",
        "features.2.mine%2Etelemetry.m%2Ft%2E1",
      ],
    );
    t.match(outputs[2]?.record, {
      kind: "anomaly",
      detector: "lof",
      tsMs: 10,
      expectedLow: 1,
      expectedHigh: 2,
      threshold: 2,
    });
    t.match(outputs[3]?.record, {
      schema: "millrace.alert/1",
      title: "too much",
      state: "firing",
      expected: { low: 1, high: 2 },
    });
    t.notOk("title" in (outputs[2]?.record ?? {}), "an anomaly is data, the alert has the words");
  },
);
