import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Alarm, type Alert, type Anomaly, MINUTE_MS, type Output, packageRoot } from "../../src/core/index.js";
import { desk } from "../../src/pipelines/alarms/desk.js";
import { models } from "../../src/pipelines/index.js";
import { site } from "../../src/pipelines/mine/site.js";
import { telemetry } from "../../src/pipelines/mine/telemetry.js";
import { activity } from "../../src/pipelines/parallel-org/activity.js";
import { encodeOutput } from "../../src/runtime/outputs.js";
import { createInference } from "../../src/workers/inference/index.js";
import {
  type Runner,
  runProgram,
  sampleLines,
  type TestMessage,
  tick,
  withoutArrival,
} from "../support/program-runner.js";

t.setTimeout(180_000); // half a million applications of a message: ten seconds on a quiet machine, more on a busy one

type Sample = { readonly at: number; readonly message: TestMessage };
type GithubLine = { at: number; event: string; delivery: string; body: string };
type TelemetryLine = { at: number; topic: string; payload?: string; payloadBase64?: string };

const byTime = (a: Sample, b: Sample): number => a.at - b.at;

const github: readonly Sample[] = ["github/deliveries.ndjson.gz", "github/examples.ndjson.gz"]
  .flatMap((path) => [...sampleLines<GithubLine>(path)])
  .map(({ at, event, delivery, body }) => {
    const headers = { "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "Millrace-Source": "sample" };
    return { at, message: { subject: "github.0.o.r.e", data: body, headers } };
  })
  .sort(byTime);

const readings: readonly Sample[] = ["mine/events.ndjson.gz", "sensors/events.ndjson.gz"]
  .flatMap((path) => [...sampleLines<TelemetryLine>(path)])
  .map(({ at, topic, payload, payloadBase64 = "" }) => {
    const subject = `telemetry.0.${topic.split("/").slice(2).join(".")}`;
    const headers = { "Millrace-Source": "sample", "Millrace-Door": "mqtt" };
    return { at, message: { subject, data: payload ?? Buffer.from(payloadBase64, "base64"), headers } };
  })
  .sort(byTime);

/** Plays the sample with a tick each `everyMs` of its time, as the replay driver does; restarts the program every `restartEach` ticks. */
async function play(
  runner: Runner,
  stream: string,
  sample: readonly Sample[],
  everyMs: number,
  restartEach = 0,
): Promise<void> {
  let nowMs = Math.floor((sample[0]?.at ?? 0) / everyMs) * everyMs;
  let ticks = 0;
  await runner.send(tick(stream, "sample", nowMs));
  for (let i = 0; i < sample.length; ) {
    nowMs += everyMs;
    const from = i;
    while (i < sample.length && (sample[i] as Sample).at <= nowMs) i++;
    await runner.send(...sample.slice(from, i).map(({ message }) => message), tick(stream, "sample", nowMs));
    if (restartEach > 0 && ++ticks % restartEach === 0) runner.restart();
  }
  await runner.send(tick(stream, "sample", nowMs + 30 * 24 * 60 * MINUTE_MS, true));
}

/** How the manifest counts. */
function manifestOf(domain: "github" | "telemetry"): {
  sent: number;
  duplicates: number;
  malformed: number;
  stored: number;
} {
  return JSON.parse(readFileSync(join(packageRoot(), "samples/manifest.json"), "utf8")).domains[domain];
}

function conserved(t: Test, runner: Runner, domain: "github" | "telemetry"): void {
  const { received, duplicates, deadLettered, accepted } = runner.program.counters();
  t.same(
    { sent: received, duplicates, malformed: deadLettered, stored: accepted },
    manifestOf(domain),
    "as the manifest says",
  );
  t.equal(runner.records("accepted").length, accepted);
  t.equal(runner.records("dead").length, deadLettered);
}

const alertsOf = (runner: Runner): Alert[] => runner.records("alerts") as Alert[];
/** Marks follow the ticks, everything else must not. Compared whole, not shown: the difference would be megabytes. */
const rows = (outputs: readonly Output[]): string =>
  outputs
    .filter(({ record }) => !("kind" in record && record.kind === "mark"))
    .map(({ stream, record }) => `${stream} ${withoutArrival(record)}`)
    .sort()
    .join("\n");
const sameRows = (one: Runner, other: Runner): boolean => rows(one.outputs) === rows(other.outputs);

function savesInSteps(t: Test, { program }: Runner): void {
  const save = program.beginSave?.();
  let steps = 1;
  while (save !== undefined && !save.step()) steps++;
  t.ok(steps > 1 && Buffer.concat(save?.parts ?? []).equals(program.save()), `the same state in ${steps} steps`);
}

/** Comments how many alerts fired by rule, and checks what every alert owes its reader. */
function judge(t: Test, runner: Runner, least: number, most: number): void {
  const firing = alertsOf(runner).filter(({ state }) => state === "firing");
  const byRule: Record<string, number> = {};
  for (const { rule, severity } of firing) byRule[`${rule} ${severity}`] = (byRule[`${rule} ${severity}`] ?? 0) + 1;
  t.comment(JSON.stringify(byRule));
  t.ok(firing.length >= least && firing.length <= most, `${firing.length} alerts, between ${least} and ${most}`);
  t.same(
    firing.filter(({ title }) => !/\d/.test(title) || title.length > 120 || /NaN|undefined|Infinity/.test(title)),
    [],
  );
  t.same(
    firing.filter(({ evidence }) => evidence.length === 0 || evidence.length > 8),
    [],
    "evidence, at most eight",
  );
  const last = new Map<string, Alert>();
  for (const alert of alertsOf(runner)) {
    const before = last.get(alert.fingerprint);
    if (alert.revision !== (before?.revision ?? 0) + 1)
      t.fail(`${alert.rule} ${alert.key}: revision ${alert.revision} after ${before?.revision}`);
    last.set(alert.fingerprint, alert);
  }
  t.same(
    [...last.values()].filter(({ state }) => state !== "resolved"),
    [],
    "everything is resolved in the end",
  );
}

/** Every alert goes through its alarm's life: one record each, and in the end an operator takes note of what is left. */
async function throughTheDesk(t: Test, alerts: readonly Alert[]): Promise<void> {
  const runner = runProgram({ pipeline: desk });
  const again = runProgram({ pipeline: desk });
  const ofRunner = () => runner.records("alarms").filter((record) => "fingerprint" in record) as Alarm[];
  const send = async (what: string, record: object): Promise<void> => {
    await runner.send({ subject: `desk.0.${what}`, data: JSON.stringify(record) });
    await again.send({ subject: `desk.0.${what}`, data: JSON.stringify(record) });
  };
  const startMs = Date.parse("2026-11-20T06:00:00Z");
  for (const [i, alert] of alerts.entries()) {
    await send("_tick.live", { source: "live", t: startMs + i * MINUTE_MS });
    await send(`alert.${alert.domain}`, alert);
    if (i % 17 === 0) again.restart();
  }
  t.same(
    ofRunner().map(({ alert }) => `${alert.fingerprint} ${alert.revision}`),
    alerts.map(({ fingerprint, revision }) => `${fingerprint} ${revision}`),
    `${alerts.length} alerts, a record each`,
  );
  t.ok(ofRunner().every(({ active, alert }) => active === (alert.state === "firing")));
  const states = () => [...new Map(ofRunner().map(({ fingerprint, state }) => [fingerprint, state]))];
  t.same(
    states().filter(([, state]) => state !== "normal" && state !== "returned-unacknowledged"),
    [],
  );
  for (const [target, state] of states()) {
    if (state === "normal") continue;
    const by = { by: "ana", role: "operator", ts: "2026-11-20T06:00:00Z", reason: "" };
    await send("command.x", {
      schema: "millrace.command/1",
      id: `ack-${target}`,
      command: "ack",
      target,
      args: {},
      ...by,
    });
  }
  t.same(new Set(states().map(([, state]) => state)), new Set(["normal"]), "all taken note of and over");
  t.ok(JSON.stringify(again.outputs) === JSON.stringify(runner.outputs), "restarts show nowhere");
  t.same(again.program.save(), runner.program.save());
}

t.test("GitHub: every delivery accounted for, a few alerts that name no person", async (t) => {
  const runner = runProgram({ pipeline: activity });
  const startedMs = performance.now();
  await play(runner, "github", github, 60 * MINUTE_MS);
  t.comment(`${Math.round((github.length / (performance.now() - startedMs)) * 1000)} events/s`);
  conserved(t, runner, "github");
  judge(t, runner, 10, 40);
  const said = JSON.stringify(runner.outputs.filter(({ stream }) => stream === "features" || stream === "alerts"));
  t.notOk(/"p\d{3}"|bot-\d/.test(said), "no login in features and alerts");
  const restarted = runProgram({ pipeline: activity });
  await play(restarted, "github", github, 60 * MINUTE_MS, 97);
  t.ok(sameRows(restarted, runner), "restarts show nowhere");
  savesInSteps(t, runner);
  await throughTheDesk(t, alertsOf(runner));
});

t.test("mine and sensors: telemetry, then the site", async (t) => {
  const runner = runProgram({ pipeline: telemetry });
  const startedMs = performance.now();
  await play(runner, "telemetry", readings, 10 * MINUTE_MS);
  t.comment(`${Math.round((readings.length / (performance.now() - startedMs)) * 1000)} events/s`);
  conserved(t, runner, "telemetry");
  judge(t, runner, 30, 90);
  const cycles = runner.records("features").filter((record) => "feature" in record && record.feature === "mine.cycle");
  t.equal(cycles.length, 7777, "cycles, as the model was trained on");
  t.equal(runner.records("late").length, 0);

  const often = runProgram({ pipeline: telemetry });
  await play(often, "telemetry", readings, 3 * MINUTE_MS, 500);
  t.ok(sameRows(often, runner), "neither the spacing of ticks nor restarts show");
  savesInSteps(t, runner);

  const inference = createInference({ models });
  t.teardown(() => inference.close());
  const messages = runner.outputs
    .filter(({ stream }) => stream === "features")
    .map(({ subject, record }, i) => ({ subject, data: encodeOutput(record, `x/${i}`) }));
  const mine = runProgram({ pipeline: site, inference });
  const again = runProgram({ pipeline: site, inference });
  for (let i = 0; i < messages.length; i += 512) await mine.send(...messages.slice(i, i + 512));
  for (let i = 0; i < messages.length; i += 97) {
    await again.send(...messages.slice(i, i + 97));
    if (i % 9 === 0) again.restart();
  }
  judge(t, mine, 30, 90);
  await throughTheDesk(t, [...alertsOf(runner), ...alertsOf(mine)]);
  t.equal(JSON.stringify(again.outputs) === JSON.stringify(mine.outputs), true, "neither slices nor restarts show");
  t.same(again.program.save(), mine.program.save());

  const residuals = mine.records("features").filter((record) => "feature" in record && record.kind === "feature");
  t.equal(residuals.length, 409, "refuellings that can be trusted, as the model was measured on");
  const first = Math.min(...alertsOf(mine).map(({ ts }) => Date.parse(ts)));
  const [fromMs, toMs] = [readings[0]?.at ?? 0, readings.at(-1)?.at ?? 0];
  const share = (first - fromMs) / (toMs - fromMs);
  t.ok(share < 0.06, `first alert after ${(100 * share).toFixed(1)} % of the sample`);
  const plans = mine.records("plans");
  t.ok(plans.length >= 20 && plans.length <= 120, `${plans.length} plan requests`);
  const anomalies = runner
    .records("features")
    .filter((record) => "kind" in record && record.kind === "anomaly") as Anomaly[];
  t.ok(anomalies.every(({ score, threshold }) => score > threshold));
});
