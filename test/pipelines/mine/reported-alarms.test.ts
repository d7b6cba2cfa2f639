import t from "tap";
import { type Alert, HOUR_MS } from "../../../src/core/index.js";
import { pipeline, TestKit, testSource } from "../../../src/operators/index.js";
import { reportedAlarms } from "../../../src/pipelines/mine/reported-alarms.js";
import type { Arrival } from "../../../src/pipelines/mine/sensor-input.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");

function started() {
  const topology = pipeline("test.alarms");
  reportedAlarms(
    topology.from(testSource<Arrival>()).map(({ value }) => value),
    { pipeline: "mine.telemetry", domain: "sensor" },
  );
  const kit = new TestKit<Arrival>(topology);
  kit.cutAlways = true;
  const outputs = () => kit.take();
  const take = (labels: Record<string, string>, tsMs = START_MS) => {
    const reading = { source: "live", site: "s1", equipment: "pump-7", group: "engine", tsMs, values: {}, labels };
    const origin = { stream: "telemetry", sequence: 7, index: 0 };
    return kit.event(tsMs, { eventId: `e${tsMs}`, reading, door: "mqtt", origin });
  };
  return { kit, take, outputs };
}

t.test("a reported alarm is an alert at once, and one only while it lasts", async (t) => {
  const { take, outputs } = started();
  take({ alarm: "low oil pressure" });
  take({ alarm: "low oil pressure" }, START_MS + 1);
  take({ note: "no alarm" });
  take({ alarm: "" });
  const said = outputs();
  t.equal(said.length, 1);
  t.match(said[0], { stream: "alerts", subject: "alerts.0.sensor" });
  t.match(said[0]?.record as Alert, {
    schema: "millrace.alert/1",
    rule: "reported-alarm",
    key: "s1/pump-7/low oil pressure",
    severity: "warning",
    state: "firing",
    title: "pump-7 reports low oil pressure",
    evidence: [{ stream: "telemetry", sequence: 7, index: 0 }],
  });
});

t.test("severity as said, worse is said again, cleared and quiet resolve", async (t) => {
  const { kit, take, outputs } = started();
  take({ alarm: "hot", severity: "info" });
  take({ alarm: "hot", severity: "critical" }, START_MS + 1);
  take({ alarm: "hot", severity: "apocalyptic" }, START_MS + 2);
  take({ alarm: "hot", alarmState: "cleared" }, START_MS + 3);
  take({ alarm: "hot" }, START_MS + 4);
  kit.watermark(START_MS + 3 + HOUR_MS);
  t.equal(kit.counters().late, 0);
  kit.watermark(START_MS + 4 + HOUR_MS);
  const said = outputs().map(({ record }) => record as Alert);
  t.same(
    said.map(({ revision, state, severity }) => [revision, state, severity]),
    [
      [1, "firing", "info"],
      [2, "firing", "critical"],
      [3, "resolved", "critical"],
      [4, "firing", "warning"],
      [5, "resolved", "warning"],
    ],
  );
});
