// Back-test: what the engine says about a series is what the package alone says about it, every score, bit for bit.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { autoDetector } from "ml-anomaly-detection";
import t, { type Test } from "tap";
import {
  type AcceptedReading,
  type Anomaly,
  decodeReadings,
  type Feature,
  HOUR_MS,
  type Pipeline,
} from "../../../src/core/index.js";
import { type DetectorScore, detectorModel, pipeline } from "../../../src/operators/index.js";
import { perSensor, type SensorValue, telemetrySource } from "../../../src/pipelines/mine/sensor-input.js";
import { telemetry } from "../../../src/pipelines/mine/telemetry.js";
import { type FeatureRow, features } from "../../../src/pipelines/report.js";
import { type Runner, runProgram, sampleLines, type TestMessage, tick } from "../../support/program-runner.js";
import { sharedData } from "../../support/shared-data.js";

/** Eight series that differ: daily and weekly periods, spikes, a failing machine, gaps, 5 and 30 minutes a row. */
const NAB = [
  "artificialWithAnomaly/art_daily_jumpsup",
  "realAWSCloudwatch/ec2_cpu_utilization_24ae8d",
  "realAWSCloudwatch/rds_cpu_utilization_cc0c53",
  "realAdExchange/exchange-2_cpc_results",
  "realKnownCause/ambient_temperature_system_failure",
  "realKnownCause/nyc_taxi",
  "realTraffic/speed_7578",
  "realTweets/Twitter_volume_AAPL",
];
const WEEK_MS = 7 * 24 * HOUR_MS;
const START_MS = Math.floor(Date.parse("2024-03-01T00:00:00Z") / WEEK_MS) * WEEK_MS;

interface Reading {
  readonly key: string;
  readonly tsMs: number;
  readonly value: number;
  readonly message: TestMessage;
}

/** The real source, and every score of it, which mine.telemetry shows of alarms only. */
const scoresOnly = pipeline("test.scores");
perSensor(scoresOnly.from(telemetrySource))
  .score("scores", {
    model: () =>
      detectorModel<SensorValue>({
        create: autoDetector,
        rowOf: ({ value }) => value,
        timeMsOf: ({ timeMs }) => timeMs,
        thresholdOf: () => 0.5,
      }),
    maxKeys: 100,
    combine: scoreOf,
  })
  .to(features({ pipeline: "test.scores", domain: "sensor" }));

function scoreOf({ site, equipment, group, name, timeMs, value }: SensorValue, found?: DetectorScore): FeatureRow {
  const key = `${site}/${equipment}/${group}/${name}`;
  const scores: Record<string, number> = found === undefined ? {} : { auto: found.score };
  return { feature: "score", site, key, startMs: timeMs, endMs: timeMs, values: { value }, labels: {}, scores };
}

/** Sends the readings with a tick each hour of their time, as the replay driver does, and restarts `restarts` times on the way. */
async function play(pipeline: Pipeline, readings: readonly Reading[], restarts: number): Promise<Runner> {
  const runner = runProgram({ pipeline });
  const restartEach = Math.ceil(readings.length / (restarts + 1));
  for (let i = 0; i < readings.length; ) {
    const hourMs = Math.floor((readings[i] as Reading).tsMs / HOUR_MS) * HOUR_MS;
    const from = i;
    while (i < readings.length && (readings[i] as Reading).tsMs < hourMs + HOUR_MS) i++;
    await runner.send(tick("telemetry", "sample", hourMs), ...readings.slice(from, i).map(({ message }) => message));
    if (Math.floor(i / restartEach) > Math.floor(from / restartEach)) runner.restart();
  }
  await runner.send(tick("telemetry", "sample", (readings.at(-1)?.tsMs ?? 0) + WEEK_MS, true));
  return runner;
}

/** The scores of the package alone: one `autoDetector` a series, one `process` a row. */
function alone(readings: readonly Reading[]): (number | undefined)[] {
  const detectors = new Map<string, ReturnType<typeof autoDetector>>();
  return readings.map(({ key, tsMs, value }) => {
    const detector = detectors.get(key) ?? autoDetector();
    detectors.set(key, detector);
    return detector.process(value, tsMs);
  });
}

async function backTest(t: Test, readings: readonly Reading[]): Promise<void> {
  const expected = alone(readings);
  const every = (await play(scoresOnly, readings, 3)).records("features") as Feature[];
  t.equal(every.length, readings.length);
  const different = readings.flatMap(({ key, tsMs, value }, i) => {
    const feature = every[i] as Feature;
    const same = feature.key === key && feature.endMs === tsMs && feature.values["value"] === value;
    return same && Object.is(feature.scores["auto"], expected[i]) ? [] : [{ i, key, feature, expected: expected[i] }];
  });
  t.same(different.slice(0, 3), [], `${different.length} scores differ from the package's`);

  const runner = await play(telemetry, readings, 1);
  t.match(runner.program.counters(), { accepted: readings.length, late: 0, deadLettered: 0, duplicates: 0 });
  const found = (runner.records("features") as Anomaly[])
    .filter(({ kind, detector }) => kind === "anomaly" && detector === "auto")
    .map(({ key, tsMs, value, score }) => ({ key, tsMs, value, score }));
  const wanted = readings.flatMap(({ key, tsMs, value }, i) => {
    const score = expected[i];
    return score !== undefined && score > 0.5 ? [{ key, tsMs, value, score }] : [];
  });
  t.same(found, wanted, "mine.telemetry reports exactly the rows the package flags");
  t.ok(found.length > 0);
  const scored = expected.filter((score) => score !== undefined).length;
  t.comment(`${readings.length} readings, ${scored} scores equal, ${found.length} anomalies`);
}

const inOrder = (readings: readonly Reading[]): Reading[] => [...readings].sort((a, b) => a.tsMs - b.tsMs);

function messageOf(site: string, equipment: string, group: string, id: string, tsMs: number, value: number): Reading {
  const data = JSON.stringify({ id, site, equipment, group, ts: tsMs, values: { value }, source: "sample" });
  const headers = { "Millrace-Source": "sample", "Millrace-Door": "mqtt" };
  return {
    ...{ key: `${site}/${equipment}/${group}/value`, tsMs, value },
    message: { subject: `telemetry.0.${site}.${equipment}.${group}`, data, headers },
  };
}

/** The series' rows, moved by whole weeks so that all of them start in the same week and mix. */
function nabSeries(folder: string, name: string): Reading[] {
  const [group = "", equipment = ""] = name.split("/");
  const lines = gunzipSync(readFileSync(join(folder, `${name}.csv.gz`)))
    .toString("utf8")
    .trim()
    .split(/\r?\n/)
    .slice(1);
  const rows = lines.map((line) => {
    const [time = "", value = ""] = line.split(",");
    return { timeMs: Date.parse(`${time.replace(" ", "T")}Z`), value: Number(value) };
  });
  const moveMs = START_MS - Math.floor((rows[0]?.timeMs ?? 0) / WEEK_MS) * WEEK_MS;
  return rows.map(({ timeMs, value }, i) => messageOf("nab", equipment, group, `${name}-${i}`, timeMs + moveMs, value));
}

t.test("the bundled sensors", async (t) => {
  const readings = sampleLines<{ payload?: string }>("sensors/events.ndjson.gz").flatMap(({ payload }) => {
    const item = decodeReadings(Buffer.from(payload ?? ""), undefined)[0];
    return item?.ok ? [{ id: item.id, ...(item.reading as Omit<AcceptedReading, "kind" | "eventId" | "door">) }] : [];
  });
  const once = new Map(readings.map((reading) => [`${reading.equipment} ${reading.id}`, reading]));
  const messages = [...once.values()].flatMap(({ id, site, equipment, group, tsMs, values }) =>
    Object.values(values).map((value) => messageOf(site, equipment, group, id, tsMs, value)),
  );
  await backTest(t, inOrder(messages));
});

t.test("NAB: eight series at once", async (t) => {
  const folder = join(sharedData() ?? "", "nab");
  if (!existsSync(folder))
    return void t.pass("needs data", { skip: "shared/data/anomaly is not beside this checkout" });
  await backTest(t, inOrder(NAB.flatMap((name) => nabSeries(folder, name))));
});
