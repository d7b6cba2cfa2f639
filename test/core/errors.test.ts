import { readFile } from "node:fs/promises";
import t from "tap";
import { DISPOSITIONS, isMillraceError, MillraceError } from "../../src/core/index.js";

t.test("docs/ERRORS.md lists exactly the codes, with their dispositions", async (t) => {
  const page = await readFile("docs/ERRORS.md", "utf8");
  const rows = [...page.matchAll(/^\| `(MR_[A-Z_]+)` \| (\w+) \|/gm)].map((row) => [row[1], row[2]]);
  t.same(Object.fromEntries(rows), DISPOSITIONS);
});

t.test("a code decides what happens, and the cause is kept", async (t) => {
  const cause = new Error("socket closed");
  const error = new MillraceError("MR_SINK_UNAVAILABLE", "insert into features timed out after 5000 ms", { cause });
  t.equal(error.disposition, "retry");
  t.equal(error.cause, cause);
  t.ok(isMillraceError(error) && isMillraceError(error, "MR_SINK_UNAVAILABLE"));
  t.notOk(isMillraceError(error, "MR_LOG_FULL") || isMillraceError(cause));
});
