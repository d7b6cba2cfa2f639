import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import t from "tap";
import { columnOf, numberOf, readTable, timeOf } from "../src/cli/csv.js";
import { DETECTORS } from "../src/cli/detectors.js";
import { scoreTable } from "../src/cli/score.js";
import { Inputs } from "./inputs.js";

const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ml-anomaly-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
}

const inputs = new Inputs(5);
const lines = ["timestamp,value,note"];
for (let i = 0; i < 400; i++) {
  const time = new Date(1.6e12 + i * 300_000).toISOString().slice(0, 19).replace("T", " ");
  lines.push(`${time},${i === 350 ? 99 : inputs.real()},n`);
}
const path = join(folder, "series.csv");
writeFileSync(path, lines.join("\n"));
writeFileSync(`${path}.gz`, gzipSync(lines.join("\r\n")));

t.test("score adds a score and an alarm to each row; gzip and line ends make no difference", async (t) => {
  const plain = run("score", "--csv", path);
  t.equal(plain.status, 0, plain.stderr);
  const rows = plain.stdout.trim().split("\n");
  t.equal(rows.length, 401);
  t.equal(rows[0], "timestamp,value,note,anomaly_score,alarm");
  t.match(rows[1], /,n,,0$/, "warming up: no score");
  t.match(rows[351], /,99,n,0\.[5-9]\d*,1$/);
  t.equal(run("score", "--csv", `${path}.gz`).stdout, plain.stdout);
});

t.test("--alarms prints the reasons", async (t) => {
  const { stdout } = run("score", "--csv", path, "--alarms", "--detector", "auto");
  const rows = stdout.trim().split("\n");
  t.match(
    rows.find((row) => row.includes(",99,")),
    /"99 is 9\d\.?\d* from the nearest earlier value; .*"$/,
  );
});

t.test("what the user can mend is said plainly", async (t) => {
  t.equal(run().status, 2);
  t.equal(run("score").status, 2);
  t.equal(run("--help").status, 0);
  const unknown = run("score", "--csv", path, "--detector", "magic");
  t.equal(unknown.status, 2);
  t.match(unknown.stderr, /^ml-anomaly-detection: no detector magic; there are auto, lof/);
  t.match(run("score", "--csv", join(folder, "none.csv")).stderr, /^ml-anomaly-detection: ENOENT/);
  t.match(run("score", "--csv", path, "--columns", "weight").stderr, /no column weight/);
});

t.test("every named detector scores a table of two columns or refuses it by name", async (t) => {
  const table = {
    header: ["time", "a", "b"],
    rows: Array.from({ length: 1500 }, (_, i) => [
      String(1.6e12 + i * 1000),
      String(i === 1400 ? -60 : inputs.real()),
      String(i === 1400 ? 60 : inputs.real()),
    ]),
  };
  for (const detector of Object.keys(DETECTORS)) {
    const columns = detector === "spot" ? ["b"] : ["a", "b"];
    const { rows } = scoreTable(table, { detector, columns });
    t.ok(
      rows.slice(1400, 1430).some(({ alarm }) => alarm),
      `${detector}: the jump at row 1400`,
    );
  }
  t.throws(() => scoreTable(table, { detector: "spot" }), { code: "AD_OPTION_INVALID" });
  t.throws(() => scoreTable(table, { detector: "auto", time: "when" }), { code: "AD_INPUT_INVALID" });
  t.throws(() => scoreTable({ header: ["x"], rows: [["y"]] }, { detector: "auto" }), { code: "AD_INPUT_INVALID" });
});

t.test("cells: times with and without zone, numbers, separators", async (t) => {
  t.equal(timeOf("2020-03-09 10:14:33"), Date.UTC(2020, 2, 9, 10, 14, 33));
  t.equal(timeOf("2020-03-09T10:14:33+02:00"), Date.UTC(2020, 2, 9, 8, 14, 33));
  t.equal(timeOf("1600000000000"), 1.6e12);
  t.ok(Number.isNaN(timeOf("yesterday")) && Number.isNaN(numberOf("")) && Number.isNaN(numberOf("x")));
  writeFileSync(join(folder, "s.csv"), "a;b\n1;2\n");
  const table = readTable(join(folder, "s.csv"));
  t.same(table, { header: ["a", "b"], rows: [["1", "2"]] });
  t.equal(columnOf(table, "c", "b"), 1);
  t.throws(() => columnOf(table, "c"), { code: "AD_INPUT_INVALID" });
});
