import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  type AcceptedDelivery,
  DAY_MS,
  type Feature,
  formatTime,
  HOUR_MS,
  type Output,
} from "../../../src/core/index.js";
import { activity } from "../../../src/pipelines/parallel-org/activity.js";
import { type Runner, runProgram, type TestMessage, tick, withoutArrival } from "../../support/program-runner.js";

const START_MS = Date.parse("2024-03-01T00:00:00Z");
let deliveries = 0;

function delivery(event: string, payload: object, id = `d${++deliveries}`): TestMessage {
  const headers = { "X-GitHub-Event": event, "X-GitHub-Delivery": id, "Millrace-Source": "sample" };
  const data = JSON.stringify({ repository: { full_name: "o/r" }, sender: { login: "ann" }, ...payload });
  return { subject: "github.0.o.r.e", data, headers };
}

const pull = (number: number, ms: { created: number; merged?: number }, repository = "o/r"): TestMessage => {
  const merged = ms.merged !== undefined;
  const times = { created_at: formatTime(ms.created), closed_at: merged ? formatTime(ms.merged as number) : null };
  const pull_request = { number, merged, user: { login: "ann" }, ...times };
  return delivery("pull_request", {
    action: merged ? "closed" : "opened",
    pull_request,
    repository: { full_name: repository },
  });
};
const approval = (number: number, ms: number): TestMessage => {
  const review = { state: "approved", user: { login: "bob" }, submitted_at: formatTime(ms) };
  return delivery("pull_request_review", {
    action: "submitted",
    review,
    pull_request: { number, user: { login: "ann" } },
  });
};

async function started(): Promise<Runner> {
  const runner = runProgram({ pipeline: activity });
  await runner.send(tick("github", "sample", START_MS));
  return runner;
}
const daysOf = (runner: Runner) =>
  runner.records("features").filter((record) => "kind" in record && record.kind === "feature") as Feature[];

t.test("a day of a repository becomes one feature when the watermark has passed it", async (t) => {
  const runner = await started();
  await runner.send(
    pull(1, { created: START_MS + HOUR_MS }),
    pull(1, { created: START_MS + HOUR_MS, merged: START_MS + 9 * HOUR_MS }),
    approval(1, START_MS + 5 * HOUR_MS),
    approval(1, START_MS + 3 * HOUR_MS),
  );
  await runner.send(tick("github", "sample", START_MS + DAY_MS));
  t.same(daysOf(runner), []);
  await runner.send(tick("github", "sample", START_MS + DAY_MS + HOUR_MS));
  t.match(daysOf(runner), [
    {
      ...{
        feature: "github.day",
        domain: "github",
        site: "o",
        key: "o/r",
        startMs: START_MS,
        endMs: START_MS + DAY_MS,
      },
      values: { opened: 1, merged: 1, reviews: 2, actors: 1, cycleHoursP50: 8, approvalHoursP50: 6 },
      scores: {},
    },
  ]);
  const late = pull(2, { created: START_MS + 2 * HOUR_MS });
  await runner.send(late, late);
  t.match(runner.records("late"), [{ kind: "late", domain: "github", key: "o/r", lateByMs: HOUR_MS - 10 * 60_000 }]);
  t.same(runner.program.counters(), { received: 6, duplicates: 1, deadLettered: 0, late: 1, accepted: 5 });
});

t.test("accepted as it is: raw body, own time or the source's where it has none or an impossible one", async (t) => {
  const runner = await started();
  await runner.send(delivery("ping", { repository: undefined, zen: "Ä" }));
  await runner.send(delivery("push", { head_commit: { timestamp: "2099-01-01T00:00:00Z" } }));
  await runner.send(delivery("push", { head_commit: { timestamp: formatTime(START_MS + 5) } }));
  await runner.send(delivery("brand_new_kind", { repository: undefined }));
  const accepted = runner.records("accepted") as AcceptedDelivery[];
  t.same(
    accepted.map(({ tsMs }) => tsMs - START_MS),
    [0, 0, 5, 0],
  );
  t.match(accepted[0], { kind: "delivery", event: "ping", owner: "", repo: "", actor: "ann", body: /"zen":"Ä"/ });
  t.ok(runner.outputs.every(({ pack }) => pack === true));
});

t.test("control messages pass by; a broken tick says nothing about time, and is set aside", async (t) => {
  const runner = await started();
  const before = runner.program.save();
  await runner.send({ subject: "github.0._ctl.threshold", data: "{}" });
  t.same(runner.program.save(), before);
  await runner.send({ subject: "github.0._tick.live", data: "broken" });
  t.match(runner.records("dead"), [{ kind: "dead", reason: /^control message github\.0\._tick\.live: / }]);
});

t.test("an unusual day raises one alert that says what and how much; it names nobody", async (t) => {
  const runner = await started();
  for (let day = 0; day < 40; day++) {
    const from = START_MS + day * DAY_MS;
    const count = day === 36 ? 40 : 3 + (day % 2);
    for (let i = 0; i < count; i++) await runner.send(pull(day * 100 + i, { created: from + i * 60_000 }));
    await runner.send(tick("github", "sample", from + DAY_MS));
  }
  await runner.send(tick("github", "sample", START_MS + 60 * DAY_MS));
  const alerts = runner.records("alerts");
  t.match(alerts, [
    {
      ...{
        schema: "millrace.alert/1",
        rule: "unusual-day",
        state: "firing",
        revision: 1,
        domain: "github",
        key: "o/r",
        value: 40,
      },
      title: "o/r: 40 pull requests opened in a day, usually 3 to 4",
    },
    { state: "resolved", revision: 2, ts: formatTime(START_MS + 40 * DAY_MS) },
  ]);
  const said = runner.outputs.filter(({ stream }) => stream === "alerts" || stream === "features");
  t.notMatch(JSON.stringify(said), /ann|bob/);
});

t.test("merging that begins to take longer is told with both times", async (t) => {
  const runner = await started();
  for (let day = 0; day < 60; day++) {
    const from = START_MS + day * DAY_MS;
    const hours = day < 30 ? 2 : 100;
    for (let i = 0; i < 2; i++)
      await runner.send(pull(day * 10 + i, { created: from - hours * HOUR_MS, merged: from + (i + 1) * 60_000 }));
    await runner.send(tick("github", "sample", from + DAY_MS));
  }
  const [alert] = runner.records("alerts");
  t.match(alert, { rule: "merge-time-changed", detector: "adwin", severity: "warning" });
  t.match(alert, { title: /^o\/r: opening to merge now takes typically [\d.]+ (h|days), before [\d.]+ h$/ });
});

const step = fc.record({
  repository: fc.constantFrom("a/x", "a/y", "b/x"),
  kind: fc.constantFrom("open", "merge", "garbage", "again"),
  hour: fc.nat(10),
});

t.test("properties: conservation, restart at any cut, order between keys", async (t) => {
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 8 }),
    fc.nat(8),
    async (days, cut) => {
      const bodies = days.map((events, day) => {
        return events.map(({ repository, kind, hour }, i): { repository: string; message: TestMessage } => {
          const ms = START_MS + day * DAY_MS + hour * HOUR_MS;
          const id = kind === "again" && i > 0 ? `p${day}-${i - 1}` : `p${day}-${i}`;
          const times = kind === "merge" ? { created: ms - DAY_MS, merged: ms } : { created: ms };
          const { subject, data, headers = {} } = pull(day * 10 + i, times, repository);
          const garbage = `{"${repository}${day}-${i}`;
          return {
            repository,
            message: {
              subject,
              data: kind === "garbage" ? garbage : data,
              headers: { ...headers, "X-GitHub-Delivery": id },
            },
          };
        });
      });
      const run = async (restartAt: number, order: (events: (typeof bodies)[number]) => (typeof bodies)[number]) => {
        const runner = runProgram({ pipeline: activity });
        await runner.send(tick("github", "sample", START_MS));
        for (const [day, events] of bodies.entries()) {
          if (day === restartAt) runner.restart();
          for (const { message } of order(events)) await runner.send(message);
          await runner.send(tick("github", "sample", START_MS + (day + 1) * DAY_MS));
        }
        await runner.send(tick("github", "sample", START_MS + 99 * DAY_MS, true));
        return runner;
      };
      const through = await run(-1, (events) => events);
      const { received, accepted, duplicates, deadLettered } = through.program.counters();
      assert.equal(received, days.flat().length);
      assert.equal(accepted + duplicates + deadLettered, received);
      assert.equal(through.records("accepted").length, accepted);
      const restarted = await run(cut, (events) => events);
      assert.equal(JSON.stringify(restarted.outputs), JSON.stringify(through.outputs));
      assert.deepEqual(restarted.program.save(), through.program.save());
      if (days.flat().some(({ kind }) => kind === "again")) return; // which of two is the duplicate is a matter of order
      const byKey = await run(-1, (events) => [...events].sort((a, b) => (a.repository < b.repository ? -1 : 1)));
      assert.deepEqual(rows(byKey.outputs), rows(through.outputs));
    },
  );
  await t.resolves(fc.assert(property, { seed: 19, numRuns: 40 }));
});

function rows(outputs: readonly Output[]): string[] {
  return outputs.map(({ stream, record }) => `${stream} ${withoutArrival(record)}`).sort();
}
