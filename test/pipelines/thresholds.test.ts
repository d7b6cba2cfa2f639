import t from "tap";
import { type Alert, type Anomaly, HOUR_MS } from "../../src/core/index.js";
import { telemetry } from "../../src/pipelines/mine/telemetry.js";
import { runProgram, type TestMessage, tick } from "../support/program-runner.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");
const HOURS = 72;
const STRANGE = [50, 60, 70];

const control = (body: unknown): TestMessage => ({
  subject: "telemetry.0._ctl.detector",
  data: JSON.stringify(body),
});

/** Three days of a sensor with three strange hours, and what the log says about thresholds before each hour. */
async function run(said: ReadonlyMap<number, unknown>) {
  const runner = runProgram({ pipeline: telemetry });
  await runner.send(tick("telemetry", "sample", START_MS));
  for (let hour = 0; hour < HOURS; hour++) {
    const body = said.get(hour);
    if (body !== undefined) await runner.send(control(body));
    for (let i = 0; i < 4; i++) {
      const ts = START_MS + hour * HOUR_MS + i * 600_000;
      const bar = (STRANGE.includes(hour) ? 9 : 3) + ((hour * 7 + i * 3) % 10) / 20;
      const data = JSON.stringify({ ts, values: { bar }, source: "sample" });
      await runner.send({ subject: "telemetry.0.m.pump.level", data, headers: { "Millrace-Source": "sample" } });
    }
    await runner.send(tick("telemetry", "sample", START_MS + (hour + 1) * HOUR_MS));
  }
  await runner.send(tick("telemetry", "sample", START_MS + (HOURS + 12) * HOUR_MS));
  const alerts = (runner.records("alerts") as Alert[]).filter(
    ({ rule, state }) => rule === "sensor-unusual" && state === "firing",
  );
  const anomalies = (runner.records("features") as Anomaly[]).filter(
    ({ kind, feature }) => kind === "anomaly" && feature === "sensor.window",
  );
  const judgedBy = anomalies.filter(({ detector }) => detector === "lof").map(({ threshold }) => threshold);
  const hours = alerts.map(({ window }) => (Date.parse(window.start) - START_MS) / HOUR_MS);
  return { hours, judgedBy, dead: runner.records("dead") };
}

t.test("a threshold holds from its place in the log on, until the next word", async (t) => {
  const { hours } = await run(new Map());
  t.same(hours, STRANGE, "by default each strange hour alarms");
  const between = await run(
    new Map([
      [55, { "sensor-unusual": 1e6 }],
      [65, {}],
    ]),
  ); // the hour of a message is judged after it
  t.same(between.hours, [50, 70]);
  const higher = await run(new Map([[0, { "sensor-unusual": 1.9 }]]));
  t.ok(higher.judgedBy.length > 0 && higher.judgedBy.every((threshold) => threshold === 1.9), "anomalies say by what");
});

t.test("what is no threshold is a dead letter with the reason, and the former ones stay", async (t) => {
  const wrong: readonly [unknown, RegExp][] = [
    [
      { "sensor-unusal": 3 },
      /there is no rule sensor-unusal; those with a threshold are truck-unusual, sensor-unusual/,
    ],
    [{ "sensor-unusual": "3" }, /must be a number above 0, got 3/],
    [{ "sensor-unusual": 0 }, /must be a number above 0, got 0/],
    [[7], /there is no rule 0/],
    [null, /not an object/],
  ];
  for (const [body, reason] of wrong) {
    const { hours, dead } = await run(new Map([[10, body]]));
    t.same(hours, STRANGE);
    t.equal(dead.length, 1);
    t.match(JSON.stringify(dead[0]), reason, JSON.stringify(dead[0]));
  }
});
