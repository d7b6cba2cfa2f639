import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import t from "tap";
import { readSample } from "../../../src/streams/replay/manifest.js";
import { countRecords, mergeRecords, type RecordsFrom } from "../../../src/streams/replay/records.js";
import { writeSample } from "../../support/sample.js";

const line = (at: number, topic: string) => ({ at, topic, payload: `ñ${at}` });

async function names(from: readonly RecordsFrom[], afterMs: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { atMs, line } of mergeRecords(from, afterMs))
    found.push(`${atMs} ${"topic" in line ? line.topic : ""}`);
  return found;
}

t.test("several files in one order of rebased time", async (t) => {
  const { path, remove } = writeSample({
    mine: { "mine/a.gz": [line(10, "a1"), line(20, "a2"), line(15, "a3"), line(30, "a4")] },
    sensors: { "examples-b.gz": [line(5, "b1"), line(20, "b2")] },
  });
  t.teardown(remove);
  const { sources } = await readSample(path);
  const offsets: Record<string, number> = { mine: 0, sensors: 5 };
  const from = sources.flatMap(({ name, files }) => files.map((file) => ({ file, offsetMs: offsets[name] ?? 0 })));
  const all = ["10 a1", "10 b1", "20 a2", "20 a3", "25 b2", "30 a4"];
  t.same(await names(from, 0), all, "ties by file; a line before its time takes its predecessor's");
  t.same(await names(from, 10), all.slice(2), "after a time");
  t.same(await names(from, 30), []);
  t.same([await countRecords(from, 9), await countRecords(from, 10), await countRecords(from, 20)], [0, 2, 4]);
  const offsetOf = async (index: number) => {
    for await (const { offsetMs } of mergeRecords([from[index] as RecordsFrom], 0)) return offsetMs;
  };
  t.equal(await offsetOf(1), 0, "examples keep the times in their bodies");
});

t.test("large files in pieces, without a last newline, stopped in the middle", async (t) => {
  const many = Array.from({ length: 20_000 }, (_, i) => line(i, `t${i}`));
  const { path, remove } = writeSample({ mine: { "a.gz": many } });
  t.teardown(remove);
  const file = { path: join(path, "a.gz"), shifted: true };
  writeFileSync(file.path, gzipSync(many.map((each) => JSON.stringify(each)).join("\n")));
  t.equal(await countRecords([{ file, offsetMs: 0 }], 1e9), 20_000);
  let seen = 0;
  for await (const record of mergeRecords([{ file, offsetMs: 0 }], -1)) {
    if (record.atMs !== seen || !("payload" in record.line) || record.line.payload !== `ñ${seen}`)
      t.fail(`line ${seen}`);
    seen += 1;
    if (seen === 15_000) break;
  }
  t.equal(seen, 15_000);
});

t.test("what is no sample is named", async (t) => {
  const { path, remove } = writeSample({ mine: { "a.gz": [line(1, "a")] } });
  t.teardown(remove);
  const at = (name: string) => [{ file: { path: join(path, name), shifted: true }, offsetMs: 0 }];
  await t.rejects(names(at("none.gz"), 0), { code: "MR_OPTION_INVALID", message: /none\.gz/ });
  writeFileSync(join(path, "bad.gz"), "not gzip");
  await t.rejects(names(at("bad.gz"), 0), { code: "MR_OPTION_INVALID" });
  writeFileSync(join(path, "other.gz"), gzipSync('{"topic":"a"}\n'));
  await t.rejects(names(at("other.gz"), 0), { code: "MR_OPTION_INVALID", message: /does not begin/ });
});
