import t from "tap";
import { refuseUnlessReading } from "../../../src/sinks/clickhouse/query-guard.js";

const functions = new Set(["file", "url", "remote", "merge", "numbers", "format"]);

t.test("words in text are data, names in quotes are names", async (t) => {
  const table: readonly (readonly [sql: string, refused: boolean])[] = [
    ["SELECT 1", false],
    ["(SELECT 1)", false],
    ["SELECTED", true],
    ["INSERT INTO x SELECT 1", true],
    ["SELECT 'file(' FROM x", false],
    ["SELECT 'it\\'s file(1)' FROM x", false],
    ["SELECT 'it''s file(1)' FROM x", false],
    ["SELECT '\\\\', file(1)", true],
    ["SELECT 'a', `file`('b')", true],
    ["SELECT 'a', \"file\"('b')", true],
    ["SELECT url FROM x", false],
    ["SELECT url FROM url('a')", true],
    ["SELECT * FROM URL ('a')", true],
    ["SELECT my_file, profile, files FROM x", false],
    ["SELECT x.file FROM x", true],
    ["SELECT * FROM numbers(3)", false],
    ["SELECT merge FROM x", false],
    ["SELECT * FROM merge('x')", true],
    ["SELECT format('{}', 1)", false],
    ["SELECT 1 FORMAT CSV", true],
    ["SELECT 'FORMAT CSV'", false],
    ["SELECT 1 INTO OUTFILE 'x'", true],
    ["SELECT 'INTO OUTFILE'", false],
    ["SHOW SETTINGS LIKE 'x'", false],
    ["SELECT 1 SETTINGS a = 1", true],
    ["SELECT ' SETTINGS a = 1'", false],
    ["SELECT aiGenerate('x')", true],
    ["SELECT sleep(1)", true],
  ];
  for (const [sql, refused] of table) {
    if (refused) t.throws(() => refuseUnlessReading(sql, functions), { code: "MR_QUERY_REFUSED" }, sql);
    else t.doesNotThrow(() => refuseUnlessReading(sql, functions), sql);
  }
});
