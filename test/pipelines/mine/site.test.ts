import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Feature, type Inference, MINUTE_MS, type Output, type PlanRequest } from "../../../src/core/index.js";
import { site } from "../../../src/pipelines/mine/site.js";
import { type Runner, runProgram, type TestMessage, withoutArrival } from "../../support/program-runner.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");
const VALUES = {
  efhEmptyKm: 4,
  efhFullKm: 5,
  payloadT: 300,
  travelEmptyH: 0.2,
  travelFullH: 0.3,
  queueAndIdleH: 0.1,
  atShovelH: 0.08,
  atDumpH: 0.02,
};
const at = (minute: number): number => START_MS + minute * MINUTE_MS;
/** 200 L whatever the cycle. */
const inference: Inference = { run: async (_, rows, width) => new Float32Array(rows.length / width).fill(200) };

let ids = 0;
function feature(name: string, key: string, minute: number, more: Partial<Feature>): TestMessage {
  const base = {
    id: `x/${++ids}`,
    kind: "feature",
    feature: name,
    pipeline: "mine.telemetry",
    domain: "mine",
    site: "m",
    key: `m/${key}`,
  };
  const record = { ...base, startMs: at(minute - 30), endMs: at(minute), values: {}, labels: {}, scores: {}, ...more };
  return { subject: `features.0.mine%2Etelemetry.${key}`, data: JSON.stringify(record) };
}
const load = (shovel: string, minute: number, truck = "t1") =>
  feature("mine.load", shovel, minute, { labels: { shovel, truck } });
const cycle = (truck: string, minute: number, shovel = "s1") =>
  feature("mine.cycle", truck, minute, { values: VALUES, labels: { shovel, dump: "d1" } });
const refuel = (truck: string, minute: number, litres: number) =>
  feature("mine.refuel", truck, minute, { values: { litres } });
const mark = (minute: number, task = "mine.telemetry/0"): TestMessage => {
  return { subject: "features.0._mark.x", data: JSON.stringify({ kind: "mark", task, watermarkMs: at(minute) }) };
};
const start = (partitions = 1): Runner => runProgram({ pipeline: site, partitions, inference });
const requestsOf = (runner: Runner) => runner.records("plans") as PlanRequest[];
const residualsOf = (runner: Runner) =>
  runner
    .records("features")
    .filter(
      (record) => "feature" in record && record.kind === "feature" && record.feature === "mine.fuel-residual",
    ) as Feature[];

t.test("nothing happens before every producer's mark has passed it", async (t) => {
  const runner = start(2);
  await runner.send(refuel("t1", 0, 3000), ...[1, 2, 3, 4].map((minute) => cycle("t1", minute)), refuel("t1", 5, 1600));
  await runner.send(mark(100));
  t.same(runner.outputs, []);
  t.equal(runner.program.watermarkMs(), undefined);
  await runner.send(mark(5, "mine.telemetry/1"));
  t.same(runner.outputs, [], "not earlier than the mark");
  await runner.send(mark(6, "mine.telemetry/1"));
  t.match(residualsOf(runner), [
    { key: "m/t1", values: { litres: 1600, predictedL: 800, residualRatio: 1, cycles: 4 } },
  ]);
  await runner.send(cycle("t1", 3));
  t.match(runner.records("late"), [{ kind: "late", pipeline: "mine.site", key: "m/t1", lateByMs: 3 * MINUTE_MS }]);
  t.match(runner.program.counters(), { received: 7, accepted: 7, late: 1 });
});

t.test("it reads what the telemetry tasks say and nothing else, its own writing included", async (t) => {
  const runner = start();
  await runner.send(
    { subject: "features.0.parallel-org%2Eactivity.o", data: '{"kind":"feature","feature":"github.day"}' },
    { subject: "features.0.mine%2Esite.m", data: '{"kind":"feature","feature":"mine.cycle"}' },
    { subject: "features.0._ctl.x", data: "{}" },
    { subject: "features.0._mark.x", data: '{"task":"mine.telemetry/0","watermarkMs":"5"}' },
    mark(1, "mine.other/0"),
  );
  t.same(runner.outputs, []);
  t.equal(runner.program.watermarkMs(), undefined);
  t.equal(runner.program.counters().received, 0);
});

/** Two shovels load every other minute; trucks come back 20 minutes later. */
function shift(from: number, to: number, shovels: readonly string[]): TestMessage[] {
  const messages: TestMessage[] = [];
  for (let minute = from; minute < to; minute++) {
    const shovel = shovels[minute % shovels.length] as string;
    messages.push(load(shovel, minute), cycle(`t${minute % 9}`, minute + 20, shovel));
  }
  return messages;
}

t.test("a shovel falls silent: alert, new plan without it, resolved when it loads again", async (t) => {
  const runner = start();
  await runner.send(...shift(0, 120, ["s1", "s2"]), mark(120));
  t.match(requestsOf(runner), [{ trigger: { kind: "start" }, site: "m" }]);
  t.same(runner.records("alerts"), []);
  await runner.send(...shift(120, 200, ["s1"]), mark(200));
  t.match(runner.records("alerts"), [
    {
      rule: "shovel-silent",
      state: "firing",
      key: "m/s2",
      severity: "warning",
      detector: "silence",
      domain: "mine",
      labels: { shovel: "s2" },
    },
  ]);
  t.match(runner.records("alerts")[0], {
    title: "s2: no load for 61 min while others work, usually one every 2 min",
    value: 61,
  });
  const request = requestsOf(runner)[1];
  t.match(request, { trigger: { kind: "shovel-silent", key: "s2" }, trucks: 9, reason: /^s2: no load/ });
  t.match(request?.shovels, [
    { shovel: "s1", available: true },
    { shovel: "s2", available: false },
  ]);
  await runner.send(load("s2", 210), mark(220));
  t.match(runner.records("alerts")[1], { state: "resolved", revision: 2, key: "m/s2" });
});

t.test("silence of the whole site raises nothing", async (t) => {
  const runner = start();
  await runner.send(...shift(0, 120, ["s1", "s2"]), mark(120), mark(700), ...shift(700, 720, ["s1", "s2"]), mark(800));
  t.same(runner.records("alerts"), []);
});

t.test("fuel that drifts from the model: anomaly, alert, plan", async (t) => {
  const runner = start();
  await runner.send(...shift(0, 30, ["s1", "s2"]));
  for (let i = 0; i < 160; i++) {
    const minute = i * 20;
    const drift = i < 80 ? 1 : 1.25;
    await runner.send(
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((k) => cycle("t1", minute + k)),
      refuel("t1", minute + 11, Math.round(2000 * drift + ((i * 37) % 41))),
    );
  }
  await runner.send(mark(5000));
  t.equal(residualsOf(runner).length, 160 - 1);
  const alerts = runner.records("alerts");
  t.match(alerts[0], { rule: "fuel-drift", state: "firing", key: "m", detector: "adwin", severity: "warning" });
  t.match(alerts[0], { title: /^m: trucks take 2\d(\.\d)? % more fuel than predicted, before [\d.]+ % more$/ });
  t.ok(requestsOf(runner).some(({ trigger }) => trigger.kind === "fuel-drift"));
});

t.test("results depend neither on cuts nor on the order of arrival", async (t) => {
  const step = fc.record({ kind: fc.constantFrom("load", "cycle", "refuel"), who: fc.nat(2), gap: fc.nat(6) });
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 20, maxLength: 120 }),
    fc.nat(120),
    fc.integer(),
    async (steps, cut, seed) => {
      let minute = 0;
      const messages = steps.map(({ kind, who, gap }) => {
        minute += gap;
        if (kind === "load") return { minute, message: load(`s${who}`, minute, `t${who}`) };
        return {
          minute,
          message: kind === "cycle" ? cycle(`t${who}`, minute, `s${who}`) : refuel(`t${who}`, minute, 1500 + gap * 10),
        };
      });
      const run = async (order: typeof messages, marks: boolean, restartAt: number, slice: number) => {
        const runner = start();
        for (let from = 0; from < order.length; from += slice) {
          if (restartAt >= from && restartAt < from + slice) runner.restart();
          await runner.send(...order.slice(from, from + slice).map(({ message }) => message));
          if (marks) await runner.send(mark((order[from]?.minute ?? 0) - 1));
        }
        await runner.send(mark(minute + 10_000));
        return runner;
      };
      const through = await run(messages, true, -1, 1);
      const restarted = await run(messages, true, cut, 1);
      assert.equal(JSON.stringify(restarted.outputs), JSON.stringify(through.outputs));
      assert.deepEqual(restarted.program.save(), through.program.save());
      const shuffled = [...messages].sort(
        (a, b) => hash(a.message.data as string, seed) - hash(b.message.data as string, seed),
      );
      assert.deepEqual(rows((await run(shuffled, false, -1, 7)).outputs), rows(through.outputs));
    },
  );
  await t.resolves(fc.assert(property, { seed: 29, numRuns: 30 }));
});

function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

function rows(outputs: readonly Output[]): string[] {
  return outputs.map(({ stream, record }) => `${stream} ${withoutArrival(record)}`);
}
