import t from "tap";
import { type Alarm, type AlarmMetrics, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../../src/core/index.js";
import { alarmLife, type LifeNews } from "../../../src/operators/alerts/life.js";
import { alarmMetrics, type MetricsNews } from "../../../src/operators/alerts/metrics.js";
import { DEFAULT_POLICY } from "../../../src/operators/alerts/routing.js";
import { pipeline, type Sent, TestKit, testSource, testTarget } from "../../../src/operators/index.js";
import { alertOf, commandOf, START_MS } from "./support.js";

/** Lives of alarms into their metrics; times in ms after START_MS, a full hour. */
function room() {
  const topology = pipeline("metrics");
  const alarms = topology
    .from(testSource<LifeNews>({ timing: { idleAfterMs: 0 } }))
    .map(({ value }: Sent<LifeNews>) => value)
    .keyBy((news) => (news.kind === "alert" ? news.alert.fingerprint : news.command.target))
    .process("life", alarmLife);
  alarms.to(testTarget("alarms"));
  alarms
    .values()
    .map((alarm: Alarm): MetricsNews => ({ kind: "alarm", alarm }))
    .keyBy(() => "desk")
    .process("metrics", alarmMetrics)
    .to(testTarget());
  const kit = new TestKit<LifeNews>(topology);
  let sent = 0;
  const at = (ms: number) => kit.watermark(START_MS + ms);
  at(0);
  const room = {
    at: (ms: number) => {
      at(ms);
      return room;
    },
    alert: (
      fingerprint: string,
      state: "firing" | "resolved" = "firing",
      severity: "info" | "warning" | "critical" = "warning",
    ) => {
      const alert = alertOf({
        fingerprint,
        state,
        severity,
        revision: ++sent,
        atMs: START_MS + sent,
        title: `title of ${fingerprint}`,
      });
      kit.event(START_MS, { kind: "alert", alert, policy: DEFAULT_POLICY });
      return room;
    },
    command: (...of: Parameters<typeof commandOf>) => {
      kit.event(START_MS, { kind: "command", command: commandOf(...of) });
      return room;
    },
    metrics: () => kit.rows<AlarmMetrics>().at(-1) as AlarmMetrics,
    cut: () => kit.cut(),
  };
  return room;
}

t.test("an hour and a half, computed by hand", async (t) => {
  const desk = room();
  // 08:00 to 08:10: twelve alarms of twelve fingerprints, three of them high: a flood begins (>= 10).
  for (let i = 0; i < 12; i++)
    desk.at(i * 40 * SECOND_MS).alert(`a${String(i).padStart(2, "0")}`, "firing", i < 3 ? "critical" : "warning");
  // 08:10 to 08:20: six alarms more: still a flood (not below 5).
  for (let i = 12; i < 18; i++) desk.at((10 + i - 12) * MINUTE_MS).alert(`a${i}`);
  // 08:20 to 08:30: one, and an event, which is no alarm: the flood is over.
  desk
    .at(25 * MINUTE_MS)
    .alert("b")
    .alert("event", "firing", "info");
  // 09:05: "b" goes and comes twice within 40 s: three transitions in a minute, two alarms more.
  const chatter = HOUR_MS + 5 * MINUTE_MS;
  desk
    .at(chatter)
    .alert("b", "resolved")
    .at(chatter + 10 * SECOND_MS)
    .alert("b");
  desk
    .at(chatter + 20 * SECOND_MS)
    .alert("b", "resolved")
    .at(chatter + 30 * SECOND_MS)
    .alert("b");
  // 09:10: three are hidden: one on the shelf, one suppressed by a manager who says why, one by an operator who does not.
  desk.at(70 * MINUTE_MS).command("shelve", { target: "a00" });
  desk.command("suppress", { target: "a01", role: "manager", by: "eva" });
  desk.command("suppress", { target: "a02", role: "operator", reason: "" });
  desk.at(90 * MINUTE_MS);

  // 12 + 6 + 1 + 2 = 21 alarms in nine spans of ten minutes, that is one and a half hours.
  t.match(desk.metrics(), {
    ts: "2026-11-16T09:30:00.000Z",
    periodHours: 1.5,
    operators: 1,
    alarms: 21,
    alarmsPerHour: 14,
    most10Min: 12,
    busyHours01: 0, // 19 and 2, none above 30
    inFlood: false,
    chattering: ["b"],
    fleeting: ["b"], // came and went within ten seconds
    stale: [],
    hidden: { shelved: 1, suppressed: 2, outOfService: 0 },
    unacknowledged: 16, // 18 + b, less the three that are hidden
    unauthorisedSuppressions: 1,
  });
  const { alarmsPer10Min, busy10Min01, flood01, top10, top10Share01, priorities01 } = desk.metrics();
  t.equal(alarmsPer10Min, 21 / 9);
  t.equal(busy10Min01, 1 / 9, "one span above ten");
  t.equal(flood01, 2 / 9, "the spans of twelve and of six");
  t.same(top10[0], { fingerprint: "b", title: "title of b", alarms: 3 });
  t.equal(top10Share01, 12 / 21, "three of b and one each of nine others");
  t.same(priorities01, { medium: 18 / 21, high: 3 / 21 });
});

t.test("stale after a day, forgotten after the period", async (t) => {
  const desk = room().alert("old").at(DAY_MS);
  t.same(desk.metrics().stale, []);
  desk.at(DAY_MS + 10 * MINUTE_MS);
  t.same(desk.metrics().stale, ["old"]);
  desk.at(40 * DAY_MS).cut();
  t.match(desk.metrics(), { alarms: 0, stale: ["old"], unacknowledged: 1, top10: [] });
  t.equal(Math.round(desk.metrics().periodHours), 30 * 24);
});
