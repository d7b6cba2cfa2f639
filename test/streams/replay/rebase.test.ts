import t from "tap";
import { connectLog } from "../../../src/streams/index.js";
import { readSample } from "../../../src/streams/replay/manifest.js";
import { keptOffsets, shiftDelivery, shiftReading } from "../../../src/streams/replay/rebase.js";
import { startNats } from "../../support/nats.js";
import { writeSample } from "../../support/sample.js";

const WEEK = 7 * 86_400_000;

t.test("readings: `ts` of 13 digits, nothing else, in text that need not be JSON", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['{"ts":1667820169000,"n":1667820169000}', '{"ts":1668424969000,"n":1667820169000}'],
    ['[{"ts":1667820169000},{"ts":1667820169001}]', '[{"ts":1668424969000},{"ts":1668424969001}]'],
    ['{"ts":1667820169000', '{"ts":1668424969000'],
    ['{"ts":16678201690000}', '{"ts":16678201690000}'],
    ['{"ts":946684799999}', '{"ts":946684799999}'],
    ['{"ts":"1667820169000"}', '{"ts":"1667820169000"}'],
    ['{"ts" : 1667820169000}', '{"ts" : 1667820169000}'],
    ["garbage", "garbage"],
  ];
  for (const [before, after] of table) t.equal(shiftReading(before, WEEK), after);
  t.equal(shiftReading(table[0]?.[0] ?? "", 0), table[0]?.[0]);
});

t.test("deliveries: whole texts that are times", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['{"at":"2022-11-30T23:59:59Z"}', '{"at":"2022-12-07T23:59:59Z"}'],
    ['["2024-02-28T00:00:00Z","2022-05-16T00:25:31Z"]', '["2024-03-06T00:00:00Z","2022-05-23T00:25:31Z"]'],
    ['{"note":"seen 2022-11-30T23:59:59Z"}', '{"note":"seen 2022-11-30T23:59:59Z"}'],
    ['{"at":"2022-11-30T23:59:59.5Z"}', '{"at":"2022-11-30T23:59:59.5Z"}'],
    ['{"at":"2022-99-30T23:59:59Z"}', '{"at":"2022-99-30T23:59:59Z"}'],
    ['{"at":1668424969000}', '{"at":1668424969000}'],
  ];
  for (const [before, after] of table) t.equal(shiftDelivery(before, WEEK), after);
  t.equal(shiftDelivery('"2022-11-30T23:59:59Z"', 0), '"2022-11-30T23:59:59Z"');
});

t.test("offsets are chosen once, to the second, and kept", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { registers, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  const { path, remove } = writeSample({
    mine: { "a.gz": [{ at: 1_000 }, { at: 5_300 }] },
    github: { "b.gz": [{ at: 9_000 }] },
  });
  t.teardown(remove);
  const sample = await readSample(path);
  const chosen = await keptOffsets(registers, { sample, source: "sample", rebase: "now", nowMs: 100_999 });
  t.same(chosen, { mine: 95_000, github: 91_000 });
  t.same(await keptOffsets(registers, { sample, source: "sample", rebase: "none", nowMs: 999_999 }), chosen);
  t.same(await keptOffsets(registers, { sample, source: "other", rebase: "none", nowMs: 999_999 }), {
    mine: 0,
    github: 0,
  });
  const race = await Promise.all(
    [1, 2, 3].map((n) => keptOffsets(registers, { sample, source: "race", rebase: "now", nowMs: n * 1e6 })),
  );
  t.equal(new Set(race.map((each) => JSON.stringify(each))).size, 1);
});
