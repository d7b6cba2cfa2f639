import t from "tap";
import { type Alert, type Anomaly, HOUR_MS, MINUTE_MS } from "../../../src/core/index.js";
import { severityOfReading, titleOf } from "../../../src/pipelines/mine/readings.js";
import { telemetry } from "../../../src/pipelines/mine/telemetry.js";
import { runProgram, type TestMessage, tick } from "../../support/program-runner.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");

function reading(group: string, tsMs: number, values: Readonly<Record<string, number>>): TestMessage {
  const data = JSON.stringify({ ts: tsMs, values, source: "sample" });
  return { subject: `telemetry.0.m.pump-1.${group}`, data, headers: { "Millrace-Source": "sample" } };
}

t.test(
  "one strange reading: an anomaly and an alert at once, over after six quiet hours; late ones are not judged",
  async (t) => {
    const runner = runProgram({ pipeline: telemetry });
    await runner.send(tick("telemetry", "sample", START_MS));
    for (let i = 0; i < 300; i++) {
      const tsMs = START_MS + i * MINUTE_MS;
      const speedMms = i === 280 ? 30 : 2 + (i % 10) / 100;
      await runner.send(reading("vibration", tsMs, { speedMms, tempC: 40 + (i % 7) / 10 }));
      await runner.send(reading("refuel", tsMs, { litres: i === 280 ? 9e6 : 2000 + (i % 10) }));
      if (i % 10 === 0) await runner.send(tick("telemetry", "sample", tsMs));
    }
    await runner.send(reading("vibration", START_MS + 1, { speedMms: -1000 }));
    const key = "m/pump-1/vibration/speedMms";
    const tsMs = START_MS + 280 * MINUTE_MS;
    const anomalies = (runner.records("features") as Anomaly[]).filter(({ detector }) => detector === "auto");
    t.match(anomalies, [
      { kind: "anomaly", feature: "sensor.reading", domain: "sensor", site: "m", key, tsMs, value: 30, threshold: 0.5 },
    ]);
    t.equal(anomalies.length, 1);
    const unusual = () => (runner.records("alerts") as Alert[]).filter(({ rule }) => rule === "sensor-reading-unusual");
    t.match(unusual(), [
      {
        ...{ state: "firing", key, detector: "auto", value: 30, severity: "warning", labels: { value: "speedMms" } },
        title: /^pump-1: speedMms 30 is 27\.9 from the nearest earlier value; about 1 row in \d+ was as far off$/,
      },
    ]);
    await runner.send(tick("telemetry", "sample", tsMs + 7 * HOUR_MS));
    t.match(unusual()[1], { state: "resolved", revision: 2, ts: new Date(tsMs + 6 * HOUR_MS).toISOString() });
  },
);

t.test("the title: the detector's reason as far as it fits", async (t) => {
  const reason =
    "9 is 7.55 from the nearest earlier value; about 1 row in 451 was as far off (surprise 154, alarm above 1.8)";
  t.equal(
    titleOf("pump", "value", 9, reason),
    "pump: 9 is 7.55 from the nearest earlier value; about 1 row in 451 was as far off",
  );
  const long = "x".repeat(60);
  t.equal(titleOf(long, "tempC", 9, reason), `${long}: tempC 9 is 7.55 from the nearest earlier value`);
  t.equal(titleOf("x".repeat(90), "tempC", 9, reason), `${"x".repeat(90)}: unusual reading tempC 9 °C`);
  t.equal(titleOf("pump", "tempC", 9), "pump: unusual reading tempC 9 °C");
});

t.test("one reading is never critical", async (t) => {
  t.same([0.51, 0.7, 0.71, 0.99].map(severityOfReading), ["info", "info", "warning", "warning"]);
});
