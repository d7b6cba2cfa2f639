import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import t from "tap";
import { isMillraceError } from "../../../src/core/index.js";
import {
  type Clickhouse,
  connectClickhouse,
  createClickhouseSink,
  createQueryRunner,
} from "../../../src/sinks/index.js";
import { startFront, type Teardown, temporaryDirectory } from "./support.js";

const SECRET = "the secret of the machine";

/** Statements that must be refused, and leave no trace. `$FILE` holds a secret, `$OUT` does not exist, `$URL` counts requests. */
const hostile: readonly (readonly [what: string, sql: string])[] = [
  // Writing.
  ["insert", "INSERT INTO alerts (fingerprint) VALUES ('x')"],
  ["insert, spaced", "  \n/* SELECT */ insert into alerts (fingerprint) select 'x'"],
  ["insert into a function", "INSERT INTO FUNCTION file('$OUT', 'CSV') SELECT 1"],
  ["insert from a file", "INSERT INTO alerts FROM INFILE '$FILE' FORMAT CSV"],
  ["create table", "CREATE TABLE x (a Int8) ENGINE = Memory"],
  ["create as select", "CREATE TABLE x ENGINE = Memory AS SELECT 1"],
  ["create temporary table", "CREATE TEMPORARY TABLE x (a Int8)"],
  ["create view", "CREATE VIEW x AS SELECT 1"],
  [
    "create dictionary",
    "CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(FILE(path '$FILE' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)",
  ],
  ["create function", "CREATE FUNCTION f AS (x) -> x"],
  ["create user", "CREATE USER x IDENTIFIED BY 'x'"],
  ["create named collection", "CREATE NAMED COLLECTION x AS a = 1"],
  ["grant", "GRANT ALL ON *.* TO default"],
  ["drop table", "DROP TABLE alerts"],
  ["drop database", "DROP DATABASE millrace"],
  ["undrop", "UNDROP TABLE alerts"],
  ["truncate", "TRUNCATE TABLE alerts"],
  ["alter", "ALTER TABLE alerts ADD COLUMN x Int8"],
  ["alter delete", "ALTER TABLE alerts DELETE WHERE 1"],
  ["delete", "DELETE FROM alerts WHERE 1"],
  ["update", "UPDATE alerts SET title = '' WHERE 1"],
  ["rename", "RENAME TABLE alerts TO x"],
  ["exchange", "EXCHANGE TABLES alerts AND plans"],
  ["optimize", "OPTIMIZE TABLE alerts FINAL"],
  ["attach", "ATTACH TABLE x"],
  ["attach from a path", "ATTACH TABLE x FROM '/tmp' (a Int8) ENGINE = MergeTree ORDER BY a"],
  ["detach", "DETACH TABLE alerts"],
  ["backup", "BACKUP TABLE alerts TO File('$OUT')"],
  ["restore", "RESTORE TABLE x FROM File('$FILE')"],
  ["move", "MOVE USER x TO y"],
  ["check", "CHECK TABLE alerts"],
  // The server and its sessions.
  ["system", "SYSTEM SHUTDOWN"],
  ["system flush", "SYSTEM FLUSH LOGS"],
  ["kill", "KILL QUERY WHERE 1"],
  ["set", "SET readonly = 0"],
  ["set role", "SET ROLE NONE"],
  ["use", "USE system"],
  ["execute as", "EXECUTE AS default SELECT 1"],
  ["begin", "BEGIN TRANSACTION"],
  // Several statements.
  ["two selects", "SELECT 1; SELECT 2"],
  ["drop behind a select", "SELECT 1; DROP TABLE alerts"],
  ["drop behind a comment", "SELECT 1 -- ;\n; DROP TABLE alerts"],
  ["drop behind a string", "SELECT ';'; DROP TABLE alerts"],
  ["drop behind an escaped quote", "SELECT '\\'; SELECT '; DROP TABLE alerts --'; DROP TABLE alerts"],
  ["drop behind a heredoc", "SELECT $x$ ' $x$; DROP TABLE alerts"],
  ["parallel with", "SELECT 1 PARALLEL WITH DROP TABLE alerts"],
  // Own settings.
  ["settings readonly", "SELECT 1 SETTINGS readonly = 0"],
  ["settings time", "SELECT 1 SETTINGS max_execution_time = 0"],
  ["settings in a subquery", "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)"],
  ["settings on show", "SHOW TABLES SETTINGS readonly = 0"],
  // Output elsewhere or otherwise.
  ["into outfile", "SELECT 1 INTO OUTFILE '$OUT'"],
  ["into outfile, format", "SELECT 1 INTO OUTFILE '$OUT' TRUNCATE FORMAT CSV"],
  ["into outfile, comments", "SELECT 1 INTO/**/OUTFILE/**/'$OUT'"],
  ["show into outfile", "SHOW TABLES INTO OUTFILE '$OUT'"],
  ["describe into outfile", "DESCRIBE TABLE alerts INTO OUTFILE '$OUT'"],
  ["explain into outfile", "EXPLAIN SELECT 1 INTO OUTFILE '$OUT'"],
  ["format", "SELECT 1 FORMAT CSV"],
  ["format null", "SELECT 1 FORMAT Null"],
  ["format, comments", "SELECT 1 FORMAT/*x*/CSV"],
  // Files.
  ["file()", "SELECT * FROM file('$FILE')"],
  ["file() with a format", "SELECT * FROM file('$FILE', 'LineAsString')"],
  ["file() in a subquery", "SELECT * FROM (SELECT * FROM file('$FILE', 'LineAsString'))"],
  ["file() in with", "WITH x AS (SELECT * FROM file('$FILE', 'LineAsString')) SELECT * FROM x"],
  ["file() in a join", "SELECT * FROM alerts JOIN file('$FILE', 'LineAsString') AS f ON 1"],
  ["file() in in", "SELECT 1 IN (SELECT * FROM file('$FILE', 'LineAsString'))"],
  ["file() in view()", "SELECT * FROM view(SELECT * FROM file('$FILE', 'LineAsString'))"],
  ["file() in loop()", "SELECT * FROM loop(file('$FILE', 'LineAsString')) LIMIT 1"],
  ["file() in exists", "SELECT EXISTS (SELECT * FROM file('$FILE', 'LineAsString'))"],
  ["file() in union", "SELECT '' UNION ALL SELECT * FROM file('$FILE', 'LineAsString')"],
  ["file() described", "DESCRIBE TABLE file('$FILE', 'LineAsString')"],
  ["file() guessed", "DESCRIBE TABLE file('$FILE', 'CSV')"],
  ["file() explained", "EXPLAIN SELECT * FROM file('$FILE', 'LineAsString')"],
  ["file() quoted", "SELECT * FROM `file`('$FILE', 'LineAsString')"],
  ["file() in double quotes", "SELECT * FROM \"file\"('$FILE', 'LineAsString')"],
  ["file() spaced", "SELECT * FROM file /* ( */ ('$FILE', 'LineAsString')"],
  ["scalar file()", "SELECT file('$FILE')"],
  ["scalar file(), upper case", "SELECT FILE('$FILE')"],
  ["scalar file(), escaped name", "SELECT `fi\\x6ce`('$FILE')"],
  ["scalar file() in where", "SELECT 1 WHERE file('$FILE') LIKE '%secret%'"],
  ["scalar file() in a lambda", "SELECT arrayMap(x -> file(x), ['$FILE'])"],
  ["scalar file() by name", "SELECT arrayMap(file, ['$FILE'])"],
  ["scalar file() applied", "SELECT * APPLY(file) FROM (SELECT '$FILE')"],
  ["scalar file() applied by lambda", "SELECT * APPLY(x -> file(x)) FROM (SELECT '$FILE')"],
  ["scalar file() on columns", "SELECT COLUMNS('.*') APPLY(file) FROM (SELECT '$FILE')"],
  ["scalar file() in explain", "EXPLAIN SELECT file('$FILE')"],
  ["scalar file() in with", "WITH file('$FILE') AS x SELECT x"],
  ["a path as table", "SELECT * FROM `$FILE`"],
  ["a path as table, default", "SELECT * FROM default.`$FILE`"],
  ["a path as string table", "SELECT * FROM '$FILE'"],
  ["filesystem()", "SELECT * FROM filesystem('/etc')"],
  ["fileCluster()", "SELECT * FROM fileCluster('default', '$FILE', 'LineAsString')"],
  ["sqlite()", "SELECT * FROM sqlite('$FILE', 'x')"],
  ["icebergLocal()", "SELECT * FROM icebergLocal('/etc')"],
  ["deltaLakeLocal()", "SELECT * FROM deltaLakeLocal('/etc')"],
  ["catboost", "SELECT catboostEvaluate('$FILE', 1)"],
  ["dictionary()", "SELECT * FROM dictionary('x')"],
  // Networks and programs.
  ["url()", "SELECT * FROM url('$URL', 'CSV')"],
  ["url() described", "DESCRIBE TABLE url('$URL', 'CSV')"],
  ["urlCluster()", "SELECT * FROM urlCluster('default', '$URL', 'CSV')"],
  ["s3()", "SELECT * FROM s3('$URL/bucket/key.csv', 'CSV')"],
  ["s3() described", "DESCRIBE TABLE s3('$URL/bucket/key.csv', 'CSV')"],
  ["gcs()", "SELECT * FROM gcs('$URL/bucket/key.csv', 'CSV')"],
  ["azure", "SELECT * FROM azureBlobStorage('$URL', 'a', 'b')"],
  ["iceberg()", "SELECT * FROM iceberg('$URL/bucket/key')"],
  ["deltaLake()", "SELECT * FROM deltaLake('$URL/bucket/key')"],
  ["hudi()", "SELECT * FROM hudi('$URL/bucket/key')"],
  ["hdfs()", "SELECT * FROM hdfs('hdfs://127.0.0.1:9/x', 'CSV')"],
  ["remote()", "SELECT * FROM remote('127.0.0.1', system.one)"],
  ["remoteSecure()", "SELECT * FROM remoteSecure('127.0.0.1', system.one)"],
  ["cluster()", "SELECT * FROM cluster('default', system.one)"],
  ["clusterAllReplicas()", "SELECT * FROM clusterAllReplicas('default', system.one)"],
  ["mysql()", "SELECT * FROM mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')"],
  ["postgresql()", "SELECT * FROM postgresql('127.0.0.1:9', 'a', 'b', 'c', 'd')"],
  ["mongodb()", "SELECT * FROM mongodb('127.0.0.1:9', 'a', 'b', 'c', 'd', 'e String')"],
  ["redis()", "SELECT * FROM redis('127.0.0.1:9', 'k', 'k String')"],
  ["odbc()", "SELECT * FROM odbc('DSN=x', 'a', 'b')"],
  ["jdbc()", "SELECT * FROM jdbc('x', 'y')"],
  ["ytsaurus()", "SELECT * FROM ytsaurus('$URL', 'a', 'b', 'c String')"],
  ["executable()", "SELECT * FROM executable('id', 'TSV', 'x String')"],
  ["mysql in explain", "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:9', 'a', 'b', 'c', 'd') COLUMNS (x Int8)"],
  ["certificate", "SELECT showCertificate('127.0.0.1', 9)"],
  ["ai", "SELECT aiGenerate('hello')"],
  ["ai, alias", "SELECT AIGenerate('hello')"],
  // Statements in strings.
  ["eval()", "SELECT * FROM eval('SELECT file(\\'$FILE\\')')"],
  ["eval(), allowed", "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1"],
  ["merge() over every database", "SELECT * FROM merge(REGEXP('.*'), '.*')"],
  // Holding threads.
  ["sleep", "SELECT sleep(3)"],
  ["sleepEachRow", "SELECT sleepEachRow(1) FROM numbers(3)"],
  ["log", "SELECT logTrace('x')"],
  // Not statements.
  ["nothing", ""],
  ["a comment", "-- SELECT 1"],
  ["a word", "hello"],
  ["a NUL", "SELECT 1 \0 FROM alerts"],
  ["unfinished string", "SELECT 'abc"],
  ["parameter", "SELECT {x:String}"],
  ["very long", `SELECT ${"1 + ".repeat(20_000)} 1`],
  ["very deep", `SELECT ${"(".repeat(5_000)}1${")".repeat(5_000)}`],
];

/** Statements that must work as they are: what people type, and words of the hostile list where they are harmless. */
const friendly: readonly (readonly [sql: string, first: readonly unknown[] | undefined])[] = [
  ["SELECT 1", [1]],
  ["select 1;", [1]],
  ["  -- how many\nSELECT count() /* all */ FROM alerts", [0]],
  ["WITH x AS (SELECT 2 AS y) SELECT y FROM x", [2]],
  ["(SELECT 1) UNION ALL (SELECT 1)", [1]],
  ["SELECT sum(number) FROM numbers(10)", [45]],
  [
    "SELECT 'DROP TABLE alerts; INTO OUTFILE SETTINGS a = 1 file(' AS text",
    ["DROP TABLE alerts; INTO OUTFILE SETTINGS a = 1 file("],
  ],
  ["SELECT 'it''s' AS `url`, `url` AS remote", ["it's", "it's"]],
  ["SELECT format('{}-{}', 'a', 'b')", ["a-b"]],
  ["SELECT * FROM values('a UInt8', 7)", [7]],
  ["SELECT * FROM generateSeries(3, 4)", [3]],
  ["SELECT group, values['x'], labels FROM readings", undefined],
  ["SELECT domain(url) FROM (SELECT 'https://a.example/x' AS url)", ["a.example"]],
  ["SHOW TABLES", ["alerts"]],
  ["SHOW CREATE TABLE alerts", undefined],
  ["DESCRIBE TABLE alerts", undefined],
  ["DESC alerts", undefined],
  ["EXISTS TABLE alerts", [1]],
  ["EXPLAIN SELECT count() FROM alerts", undefined],
  ["SELECT name FROM system.tables WHERE database = 'millrace' ORDER BY name LIMIT 1", ["alerts"]],
  [
    "SELECT toUInt64(9007199254740993), toInt64(-5), 1.5, NULL, nan, [1, 2], map('a', 1)",
    ["9007199254740993", -5, 1.5, null, null, [1, 2], { a: 1 }],
  ],
  ["SELECT toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC')", ["2026-01-02 03:04:05.678"]],
];

const forms: Record<string, (t: Teardown) => Promise<Clickhouse>> = {
  embedded: async (t) => connectClickhouse({ path: await temporaryDirectory(t) }),
  server: async (t) => connectClickhouse({ url: (await startFront(t, await temporaryDirectory(t))).url }),
};

for (const [way, connect] of Object.entries(forms)) {
  t.test(way, async (t) => {
    const outside = await temporaryDirectory(t);
    const [file, out] = [join(outside, "secret.txt"), join(outside, "out.txt")];
    await writeFile(file, `${SECRET}\n`);
    let requests = 0;
    const web = createServer((_, response) => {
      requests += 1;
      response.end("1\n");
    }).listen(0, "127.0.0.1");
    t.teardown(() => web.close());
    await new Promise((resolve) => web.once("listening", resolve));
    const address = web.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const clickhouse = await connect(t);
    t.teardown(() => clickhouse.close());
    await createClickhouseSink(clickhouse).open();
    const query = createQueryRunner(clickhouse);

    await t.test("hostile statements are refused and do nothing", async (t) => {
      const names = async () =>
        JSON.stringify((await query("SELECT database, name FROM system.tables ORDER BY ALL")).rows);
      const before = await names();
      for (const [what, sql] of hostile) {
        const filled = sql.replaceAll("$FILE", file).replaceAll("$OUT", out).replaceAll("$URL", url);
        const startedMs = performance.now();
        const outcome = await query(filled, { maxSeconds: 2 }).then(
          (answer) => ({ code: "answered", message: JSON.stringify(answer.rows).slice(0, 200) }),
          (error: unknown) => (isMillraceError(error) ? error : { code: "foreign", message: String(error) }),
        );
        t.match(outcome.code, /^MR_(?:QUERY_REFUSED|REQUEST_INVALID)$/, `${what}: ${outcome.message.slice(0, 150)}`);
        t.notMatch(outcome.message, new RegExp(SECRET), `${what}: tells nothing`);
        t.ok(performance.now() - startedMs < 5_000, `${what}: at once`);
      }
      t.notOk(existsSync(out), "no file written");
      t.equal(requests, 0, "no request sent");
      t.equal(await names(), before, "no table made or lost");
      t.same((await query("SELECT count() FROM alerts")).rows, [[0]], "no row written");
      t.same(
        (await query("SELECT currentDatabase(), getSetting('readonly')")).rows,
        [["millrace", 1]],
        "no session bent",
      );
    });

    await t.test("friendly statements are answered", async (t) => {
      for (const [sql, first] of friendly) {
        const answer = await query(sql);
        t.ok(
          answer.columns.every(({ name, type }) => name !== "" && type !== ""),
          sql,
        );
        if (first) t.same(answer.rows[0], first, sql);
      }
    });

    await t.test("limits: rows, time, bytes, memory", async (t) => {
      const few = await query("SELECT number FROM numbers(1000000)", { maxRows: 3 });
      t.same(few.rows, [[0], [1], [2]]);
      t.equal(few.truncated, true);
      t.equal((await query("SELECT number FROM numbers(3)", { maxRows: 3 })).truncated, false, "exactly the limit");
      t.equal(
        (await query("SELECT * FROM (SELECT number FROM numbers(50) LIMIT 20) LIMIT 15", { maxRows: 10 })).rows.length,
        10,
      );
      t.equal((await query("SELECT number FROM numbers(100000)")).rows.length, 10_000, "10,000 by default");

      const startedMs = performance.now();
      await t.rejects(
        query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 3 = 1", { maxSeconds: 1 }),
        {
          code: "MR_QUERY_REFUSED",
          message: /longer than allowed/,
        },
      );
      t.ok(performance.now() - startedMs < 6_000, "stopped near its limit");
      t.match((await query("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'")).rows, [[Number]]);
      await t.rejects(query("SELECT repeat('x', 1000000) FROM numbers(100)", { maxBytes: 1_000_000 }), {
        code: "MR_QUERY_REFUSED",
        message: /larger/,
      });
      await t.rejects(query("SELECT groupArray(toString(number)) FROM numbers(100000000)"), {
        code: "MR_QUERY_REFUSED",
        message: /memory/,
      });
    });

    await t.test("an abort stops the query itself", async (t) => {
      const stop = new AbortController();
      const sql = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 5 = 1";
      const running = query(sql, { signal: stop.signal }).then(
        () => "answered",
        (error: unknown) => (isMillraceError(error) ? error.code : String(error)),
      );
      setTimeout(() => stop.abort(), 200);
      t.equal(await running, "MR_QUERY_REFUSED");
    });
  });
}

t.test("closing ends a running query", async (t) => {
  const clickhouse = await connectClickhouse({ path: await temporaryDirectory(t) });
  const query = createQueryRunner(clickhouse);
  const running = t.rejects(query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 3 = 1"));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const startedMs = performance.now();
  await clickhouse.close();
  await running;
  t.ok(performance.now() - startedMs < 4_000);
  await t.rejects(query("SELECT 1"), { code: "MR_SINK_UNAVAILABLE" }, "closed");
});
