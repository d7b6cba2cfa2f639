import { readFile, writeFile } from "node:fs/promises";
import t from "tap";
import { addMissingColumns, ddl, quoteText } from "../../../src/sinks/clickhouse/ddl.js";
import { TABLES } from "../../../src/sinks/clickhouse/tables.js";
import { EXAMPLE_QUERIES, tablesPage } from "../../../src/sinks/clickhouse/tables-page.js";
import { connectClickhouse, createClickhouseSink, createQueryRunner } from "../../../src/sinks/index.js";
import { temporaryDirectory } from "./support.js";

t.test("docs/tables.md is what the table list says", async (t) => {
  const page = "docs/tables.md"; // tests run from the root of the repository
  if (process.env["UPDATE_DOCS"] === "1") await writeFile(page, tablesPage());
  t.equal(await readFile(page, "utf8"), tablesPage(), "run UPDATE_DOCS=1 npm test to rewrite it");
  for (const { name, columns } of TABLES) {
    t.match(tablesPage(), new RegExp(`### ${name}\n`));
    for (const column of columns) t.ok(column.about.length > 5, `${name}.${column.name} says what it is`);
  }
});

t.test("one DDL: replication and ON CLUSTER are settings", async (t) => {
  const one = ddl({ database: "millrace" });
  t.equal(one.length, TABLES.length + 1);
  t.equal(one[0], "CREATE DATABASE IF NOT EXISTS `millrace`");
  for (const statement of one.slice(1)) {
    t.match(statement, /^CREATE TABLE IF NOT EXISTS `millrace`\.`\w+`\n/);
    t.match(statement, /non_replicated_deduplication_window = \d+/, "tokens count");
    t.notMatch(statement, /TTL|PARTITION|CLUSTER|Replicated/);
  }
  const many = ddl({ database: "mill", cluster: "east`1" });
  t.equal(many[0], "CREATE DATABASE IF NOT EXISTS `mill` ON CLUSTER `east\\`1`");
  for (const [i, statement] of many.slice(1).entries()) {
    t.match(statement, /^CREATE TABLE IF NOT EXISTS `mill`\.`\w+` ON CLUSTER `east\\`1`\n/);
    t.match(
      statement,
      /ENGINE = Replicated(?:Replacing)?MergeTree\('\/clickhouse\/tables\/\{shard\}\/\{database\}\/\{table\}', '\{replica\}'/,
    );
    t.match(statement, /SETTINGS replicated_deduplication_window = \d+/);
    t.equal(columnsIn(statement), columnsIn(one[i + 1] ?? ""), "same columns");
  }
  t.match(
    ddl({ database: "m", durable: true })[1],
    /fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1/,
  );
  t.equal(quoteText("it's \\ it"), "'it\\'s \\\\ it'");
});

t.test("the database has the tables of the list, with units, and old tables grow", async (t) => {
  const path = await temporaryDirectory(t);
  const clickhouse = await connectClickhouse({ path });
  t.teardown(() => clickhouse.close());
  const { client } = clickhouse;
  await client.command({
    query: "CREATE TABLE late_events (pipeline String, _seq UInt64) ENGINE = MergeTree ORDER BY pipeline",
  });
  await client.command({ query: "INSERT INTO late_events VALUES ('old', 1)" });
  const sink = createClickhouseSink(clickhouse, { durable: true });
  await sink.open();
  await sink.open();
  const query = createQueryRunner(clickhouse);
  const { rows } = await query(
    `SELECT table, name, type, comment, default_kind FROM system.columns WHERE database = 'millrace'`,
  );
  const found = new Map(rows.map(([table, name, ...rest]) => [`${table}.${name}`, rest]));
  for (const { name: table, columns } of TABLES) {
    for (const { name, type, unit, about, alias } of columns) {
      const [gotType, comment, kind] = found.get(`${table}.${name}`) ?? [];
      if (table === "late_events" && (name === "pipeline" || name === "_seq")) continue;
      t.equal(String(gotType).replaceAll("`", ""), type.replaceAll("`", ""), `${table}.${name}`);
      t.equal(comment, unit === "" ? about : `${about} [${unit}]`);
      t.equal(kind, alias === undefined ? "" : "ALIAS");
    }
  }
  t.same((await query("SELECT pipeline, key FROM late_events")).rows, [["old", ""]], "old rows stay");
  for (const table of TABLES) {
    t.same(
      addMissingColumns(table, new Set(table.columns.map(({ name }) => name)), { database: "m" }),
      [],
      "nothing to add",
    );
  }
});

t.test("every example query runs and says something", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  t.teardown(() => clickhouse.close());
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const ts = 1_767_323_045_678;
  const arrival = (n: number) => ({ _part: 0, _seq: n, _index: 0, _id: `i/p/0/${n}/0`, _incarnation: "i" });
  const none = { score: null, value: null, expected_low: null, expected_high: null, detector: null };
  const alert = {
    fingerprint: "f",
    rule: "r",
    pipeline: "p",
    severity: "warning",
    domain: "mine",
    key: "k",
    labels: {},
    title: "t",
    ts,
  };
  const windows = {
    window_start: ts,
    window_end: ts,
    _evidence: [{ stream: "telemetry", sequence: 1, index: 0 }],
    ...none,
  };
  await sink.write(
    "alerts",
    [1, 2].map((n) => ({ ...alert, ...windows, revision: n, state: "firing", ...arrival(n) })),
    "a",
  );
  const refuel = {
    event_id: "e",
    site: "minez",
    equipment: "truck-1",
    group: "refuel",
    ts,
    values: { litres: 900.4 },
    labels: {},
    source: "s",
    door: "mqtt",
  };
  await sink.write("readings", [{ ...refuel, ...arrival(1) }], "r");
  const push = {
    event_id: "e",
    event: "push",
    action: "",
    owner: "o",
    repo: "r",
    actor: "p001",
    ts,
    source: "s",
    body: "{}",
  };
  await sink.write("github_events", [{ ...push, ...arrival(1) }], "g");
  const litres = {
    litres_before: 10,
    litres_after: 8,
    tonnes_before: 1,
    tonnes_after: 1,
    target_t: 1,
    shortfall_t: 0,
    saved_litres: 2,
    saved_ratio01: 0.2,
  };
  const plan = {
    request_id: "q",
    site: "minez",
    ts,
    reason: "r",
    status: "optimal",
    before: "{}",
    after: "{}",
    gap01: 0,
    ...litres,
  };
  await sink.write("plans", [{ ...plan, ...arrival(1) }], "p");
  const dead = {
    domain: "telemetry",
    event_id: "e",
    reason: "bad",
    source: "s",
    door: "mqtt",
    subject: "in.x",
    bytes_base64: "e30K",
    bytes_total: 3,
  };
  await sink.write(
    "dead_letters",
    [{ ...dead, _origin_stream: "telemetry", _origin_seq: 1, _origin_index: 0, ...arrival(1) }],
    "d",
  );

  const query = createQueryRunner(clickhouse);
  const answers: unknown[] = [];
  for (const { question, sql } of EXAMPLE_QUERIES) {
    const { rows } = await query(sql);
    t.equal(rows.length, 1, question);
    answers.push(rows[0]);
  }
  t.same(answers, [
    ["f", "warning", "t", "2026-01-02 03:04:05.678"],
    ["truck-1", "2026-01-02", 900, 1],
    ["o", "r", "2026-01-02 03:00:00", "push", 1],
    ["minez", "2026-01-02 03:04:05.678", "optimal", 10, 8, 2, 20, 0],
    ["telemetry", "bad", 1, "{}\n"],
  ]);
  t.same(
    (await query("SELECT * EXCEPT '^_' FROM readings ORDER BY ALL")).columns.map(({ name }) => name),
    ["event_id", "site", "equipment", "group", "ts", "values", "labels", "source", "door"],
    "how the page leaves out arrival columns",
  );
  t.same((await query("SELECT _evidence.sequence FROM alerts LIMIT 1")).rows, [[["1"]]]);
});

function columnsIn(statement: string): string {
  return statement.slice(statement.indexOf("(\n"), statement.indexOf("\n)"));
}
