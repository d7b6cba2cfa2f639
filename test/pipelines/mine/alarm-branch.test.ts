import t from "tap";
import { type Alert, HOUR_MS, type Output } from "../../../src/core/index.js";
import { alarmBranch } from "../../../src/pipelines/mine/alarm-branch.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");
const branch = () => alarmBranch({ pipeline: "mine.telemetry", domain: "sensor", partition: 2 });

function arrival(labels: Record<string, string>, tsMs = START_MS) {
  const reading = { source: "live", site: "s1", equipment: "pump-7", group: "engine", tsMs, values: {}, labels };
  return { eventId: `e${tsMs}`, reading, origin: { stream: "telemetry", sequence: 7, index: 0 } };
}

t.test("a reported alarm is an alert at once, and one only while it lasts", async (t) => {
  const said: Output[] = [];
  const alarms = branch();
  const take = (labels: Record<string, string>, tsMs?: number) =>
    alarms.take(arrival(labels, tsMs), (o) => said.push(o));
  t.equal(take({ alarm: "low oil pressure" }), undefined, "never late: it waits for no window");
  take({ alarm: "low oil pressure" }, START_MS + 1);
  take({ note: "no alarm" });
  take({ alarm: "" });
  t.equal(said.length, 1);
  t.match(said[0], { stream: "alerts", subject: "alerts.2.sensor" });
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
  const said: Alert[] = [];
  const alarms = branch();
  const emit = ({ record }: Output) => void said.push(record as Alert);
  alarms.take(arrival({ alarm: "hot", severity: "info" }), emit);
  alarms.take(arrival({ alarm: "hot", severity: "critical" }, START_MS + 1), emit);
  alarms.take(arrival({ alarm: "hot", severity: "apocalyptic" }, START_MS + 2), emit);
  alarms.take(arrival({ alarm: "hot", alarmState: "cleared" }, START_MS + 3), emit);
  alarms.take(arrival({ alarm: "hot" }, START_MS + 4), emit);
  alarms.advance(START_MS + 3 + HOUR_MS, emit);
  alarms.advance(START_MS + 4 + HOUR_MS, emit);
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
