import t from "tap";
import { MillraceError } from "../../../src/core/index.js";
import { firstLine, isServerError, translate } from "../../../src/sinks/clickhouse/errors.js";
import { connectClickhouse, createClickhouseSink, createQueryRunner } from "../../../src/sinks/index.js";
import { temporaryDirectory } from "./support.js";

const row = (n: number, more: object = {}) => ({
  pipeline: "p",
  domain: "mine",
  key: "k",
  event_id: `e${n}`,
  ts: 1_700_000_000_000 + n,
  late_by_ms: n,
  _part: 0,
  _seq: n,
  _index: 0,
  _id: `i/p/0/${n}/0`,
  _incarnation: "i",
  ...more,
});

t.test("check finds exactly the bad rows and writes none; progress and counts are kept by log", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const rows = Array.from({ length: 100 }, (_, n) => row(n));
  t.same(await sink.check("late_events", rows), []);
  t.same(await sink.check("late_events", []), []);
  for (const n of [0, 41, 42, 99]) rows[n] = row(n, { late_by_ms: "soon" });
  const bad = await sink.check("late_events", rows);
  t.same(
    bad.map(({ at }) => at),
    [0, 41, 42, 99],
  );
  t.match(bad[0]?.reason, /^checking rows for late_events at .* failed: /);
  t.notMatch(bad[0]?.reason, /\n/, "one line");
  t.equal(await sink.count("late_events", "i"), 0, "nothing was written");

  await sink.write("late_events", [row(1), row(2)], "a");
  await sink.write("late_events", [row(3, { _incarnation: "other" })], "b");
  t.equal(await sink.count("late_events", "i"), 2);
  t.equal(await sink.count("late_events", "other"), 1);
  t.equal(await sink.position("late_events", "other"), 3);

  t.equal(await sink.progress("late", "i"), 0);
  await sink.saveProgress("late", "i", 7);
  await sink.saveProgress("late", "i", 9);
  await sink.saveProgress("late", "it's \\ other", 4);
  t.equal(await sink.progress("late", "i"), 9);
  t.equal(await sink.progress("late", "it's \\ other"), 4, "any text is only text");
  t.equal(await sink.progress("alerts", "i"), 0);
  await t.rejects(sink.write("nope", [row(1)], "c"), TypeError, "a programming error, not a retry");
});

t.test("read-only mode stands behind the guard, for one request only", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const { client } = clickhouse;
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const writes = [
    "DROP TABLE late_events",
    "TRUNCATE TABLE late_events",
    "ALTER TABLE late_events DELETE WHERE 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "INSERT INTO late_events SELECT * FROM late_events",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT 1 SETTINGS readonly = 0",
  ];
  for (const query of writes) {
    const run = client.query({ query, format: "JSON", clickhouse_settings: { readonly: "1" } });
    t.equal(
      await run.then(
        () => "done",
        (error: { code: string }) => error.code,
      ),
      "164",
      `${query}: READONLY`,
    );
  }
  await sink.write("late_events", [row(1)], "a");
  const answer = await client.query({
    query: "SELECT getSetting('readonly') AS r, getSetting('insert_deduplication_token') AS t",
    format: "JSONEachRow",
  });
  t.same(await answer.json(), [{ r: "0", t: "" }], "no setting stays for the next request");
  t.same((await createQueryRunner(clickhouse)("SELECT count() FROM late_events")).rows, [[1]]);
  const many = Array.from({ length: 40 }, () => createQueryRunner(clickhouse)("SELECT 1"));
  const outcomes = await Promise.allSettled(many);
  t.ok(outcomes.some(({ status }) => status === "fulfilled"));
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") t.match(outcome.reason, { code: "MR_QUERY_REFUSED", message: /waiting/ });
  }
});

t.test("failures are translated by what the server calls them", async (t) => {
  const server = (code: number) =>
    Object.assign(new Error("first\nsecond"), { code: String(code), type: "(READONLY)" });
  for (const code of [6, 25, 27, 53, 72, 117, 349])
    t.equal(translate(server(code), "writing").code, "MR_EVENT_MALFORMED");
  for (const code of [60, 159, 210, 241, 242, 252])
    t.equal(translate(server(code), "writing").code, "MR_SINK_UNAVAILABLE");
  const socket = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  t.notOk(isServerError(socket));
  t.match(translate(socket, "writing"), {
    code: "MR_SINK_UNAVAILABLE",
    message: "writing failed: connect ECONNREFUSED",
    cause: socket,
  });
  const ours = new MillraceError("MR_FENCED", "x");
  t.equal(translate(ours, "writing"), ours);
  t.equal(firstLine(server(1)), "first");
  t.equal(firstLine("text"), "text");
});
