import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  type AcceptedReading,
  type Alert,
  encodeToken,
  type Feature,
  HOUR_MS,
  type Mark,
  MINUTE_MS,
  type Output,
  partitionOf,
} from "../../../src/core/index.js";
import { CYCLE_STEPS } from "../../../src/operators/index.js";
import { telemetry } from "../../../src/pipelines/mine/telemetry.js";
import { type Runner, runProgram, type TestMessage, tick, withoutArrival } from "../../support/program-runner.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");

function reading(equipment: string, group: string, tsMs: number, content: object, id?: string): TestMessage {
  const data = JSON.stringify({ ...(id === undefined ? {} : { id }), ts: tsMs, ...content, source: "sample" });
  return {
    subject: `telemetry.0.m.${equipment}.${group}`,
    data,
    headers: { "Millrace-Source": "sample", "Millrace-Door": "mqtt" },
  };
}
const sensor = (tsMs: number, value: number, equipment = "pump.1") =>
  reading(encodeToken(equipment), "vibration", tsMs, { values: { speedMms: value } });

/** The six steps of a truck's round, five minutes each. */
function round(
  truck: string,
  fromMs: number,
  values = { payloadT: 290, efhEmptyM: 4000, efhFullM: 5000 },
): TestMessage[] {
  return CYCLE_STEPS.map((status, i) => {
    const labels = { status, shovel: "shovel-1", load: "bench", ...(i > 2 ? { dump: "crusher" } : {}) };
    return reading(truck, "status", fromMs + i * 5 * MINUTE_MS, { labels, ...(i === 5 ? { values } : {}) });
  });
}

async function started(partitions = 1): Promise<Runner> {
  const runner = runProgram({ pipeline: telemetry, partitions });
  await runner.send(tick("telemetry", "sample", START_MS));
  return runner;
}
const features = (runner: Runner, name: string) =>
  runner
    .records("features")
    .filter((record) => "feature" in record && record.kind === "feature" && record.feature === name) as Feature[];

t.test("an hour of a sensor becomes one feature, and the hour's stragglers are late", async (t) => {
  const runner = await started();
  await runner.send(sensor(START_MS + 1, 4), sensor(START_MS + 2, 6), sensor(START_MS + HOUR_MS, 100));
  await runner.send(tick("telemetry", "sample", START_MS + HOUR_MS + 2 * MINUTE_MS));
  t.match(features(runner, "sensor.window"), [
    {
      ...{
        domain: "sensor",
        site: "m",
        key: "m/pump.1/vibration/speedMms",
        startMs: START_MS,
        endMs: START_MS + HOUR_MS,
      },
      ...{
        values: { count: 2, mean: 5, min: 4, max: 6, last: 6, range: 2 },
        labels: { equipment: "pump.1", value: "speedMms" },
      },
    },
  ]);
  await runner.send(sensor(START_MS + 3, 5));
  t.match(runner.records("late"), [{ kind: "late", pipeline: "mine.telemetry", domain: "sensor" }]);
  t.match(runner.records("late"), [{ key: "m/pump.1/vibration/speedMms", tsMs: START_MS + 3, lateByMs: 0 }]);
  t.match(runner.program.counters(), { received: 4, accepted: 4, late: 1 });
});

t.test("accepted readings say all that was said, and may share a message", async (t) => {
  const runner = await started();
  await runner.send(reading("t-1", "engine", START_MS, { values: { fuelLph: 182.4 }, labels: { gear: "3" } }, "id-1"));
  const [output] = runner.outputs.filter(({ stream }) => stream === "accepted") as [
    Output & { record: AcceptedReading },
  ];
  t.same(output.record, {
    ...{
      kind: "reading",
      eventId: "id-1",
      source: "sample",
      site: "m",
      equipment: "t-1",
      group: "engine",
      tsMs: START_MS,
    },
    ...{ values: { fuelLph: 182.4 }, labels: { gear: "3" }, door: "mqtt" },
  });
  t.match(output, { subject: "accepted.0.telemetry", pack: true });
});

t.test("a body of several: each counts by itself", async (t) => {
  const runner = await started();
  const lines = [1, 2].map((i) =>
    JSON.stringify({ id: `${i}`, site: "m", equipment: "e", group: "g", ts: START_MS + i, values: { x: i } }),
  );
  const pack = { subject: "telemetry.0.pack", data: [...lines, "{garbage", lines[0]].join("\n") };
  await runner.send(pack);
  t.same(runner.program.counters(), { received: 4, duplicates: 1, deadLettered: 1, late: 0, accepted: 2 });
  t.match(runner.records("dead"), [{ reason: "not JSON", origin: { index: 2 }, bytesTotal: 8 }]);
  await runner.send(pack);
  t.same(
    runner.program.counters(),
    { received: 8, duplicates: 5, deadLettered: 1, late: 0, accepted: 2 },
    "redelivered",
  );
});

t.test("two devices may use the same id; one beyond its source's time is set aside", async (t) => {
  const runner = await started();
  const same = (equipment: string) => reading(equipment, "g", START_MS, { values: { x: 1 } }, "1");
  await runner.send(same("a"), same("b"), same("a"));
  t.match(runner.program.counters(), { accepted: 2, duplicates: 1 });
  await runner.send(sensor(START_MS + HOUR_MS, 1), sensor(START_MS + HOUR_MS + 1, 1));
  t.match(runner.records("dead"), [{ reason: "beyond source time" }]);
});

t.test("a truck's round: a load and a cycle to its site's partition, a window every two hours", async (t) => {
  const runner = await started(4);
  await runner.send(...round("t-1", START_MS));
  const home = partitionOf(["m"], 4);
  const mine = runner.outputs.filter(({ record }) => "kind" in record && record.kind === "feature");
  t.same(
    mine.map(({ subject }) => subject),
    [`features.${home}.mine%2Etelemetry.m%2Fshovel-1`, `features.${home}.mine%2Etelemetry.m%2Ft-1`],
  );
  t.match(mine[0]?.record, {
    feature: "mine.load",
    endMs: START_MS + 10 * MINUTE_MS,
    labels: { shovel: "shovel-1", truck: "t-1" },
  });
  t.match(mine[1]?.record, {
    ...{ feature: "mine.cycle", domain: "mine", startMs: START_MS, endMs: START_MS + 25 * MINUTE_MS },
    ...{
      labels: { shovel: "shovel-1", dump: "crusher", payload: "measured" },
      values: { payloadT: 290, efhFullKm: 5 },
    },
  });
  await runner.send(tick("telemetry", "sample", START_MS + 3 * HOUR_MS));
  t.match(features(runner, "mine.truck-window"), [
    { key: "m/t-1", endMs: START_MS + 2 * HOUR_MS, values: { cycles: 1 } },
  ]);
});

t.test("a refuelling is passed on; one without litres is only stored", async (t) => {
  const runner = await started();
  await runner.send(reading("t-1", "refuel", START_MS, { values: { litres: 2500, durationS: 600 } }));
  await runner.send(reading("t-1", "refuel", START_MS, { values: { other: 1 } }));
  t.match(features(runner, "mine.refuel"), [
    { startMs: START_MS - 600_000, endMs: START_MS, values: { litres: 2500 } },
  ]);
  t.equal(runner.program.counters().accepted, 2);
});

t.test("marks: to every features partition, whenever the watermark crosses five minutes", async (t) => {
  const runner = runProgram({ pipeline: telemetry, partition: 1, partitions: 2 });
  const marks = () => runner.outputs.filter(({ record }) => isMark(record));
  const at = async (ms: number) => {
    const before = marks().length;
    await runner.send(tick("telemetry", "sample", START_MS + 2 * MINUTE_MS + ms)); // quiet: the mark is two minutes behind
    return marks()
      .slice(before)
      .map(({ subject, record }) => `${subject} ${(record as Mark).watermarkMs - START_MS}`);
  };
  const both = (ms: number) => [0, 1].map((q) => `features.${q}._mark.mine%2Etelemetry%2F1 ${ms}`);
  t.same(await at(0), both(0));
  t.same(await at(299_999), []);
  t.same(await at(300_000), both(300_000));
  t.same(await at(300_001), []);
  t.same(await at(3_000_500), both(3_000_000), "one mark for all in between");
});

t.test(
  "a sensor that leaves its usual range raises one alert with numbers and unit, resolved when quiet",
  async (t) => {
    const runner = await started();
    for (let hour = 0; hour < 60; hour++) {
      const from = START_MS + hour * HOUR_MS;
      for (let i = 0; i < 6; i++) {
        const noise = Math.sin(hour * 7 + i * 3) * 0.2;
        await runner.send(sensor(from + i * 10 * MINUTE_MS, hour === 50 ? 9 : 2 + noise));
      }
      await runner.send(tick("telemetry", "sample", from + HOUR_MS));
    }
    const alerts = (runner.records("alerts") as Alert[]).filter(({ rule }) => rule === "sensor-unusual");
    t.match(alerts, [
      {
        rule: "sensor-unusual",
        state: "firing",
        domain: "sensor",
        key: "m/pump.1/vibration/speedMms",
        detector: "lof",
      },
      { rule: "sensor-unusual", state: "resolved", revision: 2 },
    ]);
    t.match(alerts[0], {
      title: /^pump\.1: hourly (mean|minimum|maximum) of speedMms 9 mm\/s, usually [\d.]+ mm\/s to [\d.]+ mm\/s$/,
    });
    t.ok((alerts[0]?.evidence.length ?? 0) > 0);
  },
);

t.test("a truck unlike itself raises an alert", async (t) => {
  const runner = await started();
  for (let i = 0; i < 160; i++) {
    const from = START_MS + i * 40 * MINUTE_MS;
    const payloadT = i === 152 || i === 153 || i === 151 ? 150 : 290 + ((i * 7) % 11);
    await runner.send(...round("t-1", from + ((i * 13) % 7) * 1000, { payloadT, efhEmptyM: 4000, efhFullM: 5000 }));
    await runner.send(tick("telemetry", "sample", from + 40 * MINUTE_MS));
  }
  const [alert] = runner.records("alerts");
  t.match(alert, { rule: "truck-unusual", domain: "mine", key: "m/t-1", labels: { measure: "payloadMeanT" } });
  t.match(alert, { title: /^t-1: mean payload of 3 cycles 1\d\d t, usually 29\d to \d{3} t$/ });
});

const step = fc.record({
  equipment: fc.constantFrom("a", "b", "c.d"),
  minute: fc.nat(59),
  kind: fc.constantFrom("sensor", "round", "garbage", "refuel"),
  value: fc.integer({ min: -5, max: 5 }),
});

t.test("properties: conservation, restart at any cut, order between keys, spacing of ticks", async (t) => {
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 8 }),
    fc.nat(8),
    async (hours, cut) => {
      const slices = hours.map((events, hour) =>
        [...events]
          .sort((a, b) => a.minute - b.minute)
          .flatMap(({ equipment, minute, kind, value }, i) => {
            const ms = START_MS + hour * HOUR_MS + minute * MINUTE_MS;
            const key = encodeToken(equipment);
            const garbage: TestMessage = { subject: `telemetry.0.m.${key}.g`, data: `garbage ${hour} ${i}` };
            const one = {
              sensor: [sensor(ms, value, equipment)],
              garbage: [garbage],
              round: round(key, ms - 25 * MINUTE_MS),
              refuel: [reading(key, "refuel", ms, { values: { litres: value } })],
            }[kind];
            return one.map((message) => ({ equipment, message, ms }));
          }),
      );
      type Slice = (typeof slices)[number];
      const run = async (restartAt: number, order: (slice: Slice) => Slice, often = false) => {
        const runner = await started(2);
        for (const [hour, slice] of slices.entries()) {
          if (hour === restartAt) runner.restart();
          for (const { message, ms } of order(slice)) {
            await runner.send(message);
            if (often) await runner.send(tick("telemetry", "sample", ms - 30 * MINUTE_MS));
          }
          await runner.send(tick("telemetry", "sample", START_MS + (hour + 1) * HOUR_MS));
        }
        await runner.send(tick("telemetry", "sample", START_MS + 999 * HOUR_MS, true));
        return runner;
      };
      const through = await run(-1, (slice) => slice);
      const { received, accepted, duplicates, deadLettered } = through.program.counters();
      assert.equal(received, slices.flat().length);
      assert.equal(accepted + duplicates + deadLettered, received);
      const restarted = await run(cut, (slice) => slice);
      assert.equal(JSON.stringify(restarted.outputs), JSON.stringify(through.outputs));
      assert.deepEqual(restarted.program.save(), through.program.save());
      const byKey = await run(-1, (slice) =>
        [...slice].sort((a, b) => (a.equipment < b.equipment ? -1 : a.equipment > b.equipment ? 1 : 0)),
      );
      assert.deepEqual(rows(byKey.outputs), rows(through.outputs));
      const often = await run(-1, (slice) => slice, true);
      assert.deepEqual(rows(often.outputs), rows(through.outputs));
    },
  );
  await t.resolves(fc.assert(property, { seed: 23, numRuns: 40 }));
});

function isMark(record: Output["record"]): boolean {
  return "kind" in record && record.kind === "mark";
}

/** Everything but marks: those follow the ticks. */
function rows(outputs: readonly Output[]): string[] {
  return outputs
    .filter(({ record }) => !isMark(record))
    .map(({ stream, record }) => `${stream} ${withoutArrival(record)}`)
    .sort();
}
