import t from "tap";
import { DAY_MS } from "../../src/core/index.js";
import { dedupe } from "../../src/operators/index.js";

t.test("an id is new once, until it is forgotten by watermark", async (t) => {
  const seen = dedupe({ ttlMs: 7 * DAY_MS });
  const nowMs = 100 * DAY_MS + 5;
  t.equal(seen.isDuplicate("a", nowMs), false);
  t.equal(seen.isDuplicate("a", nowMs + DAY_MS), true);
  seen.forget(nowMs + 7 * DAY_MS);
  t.equal(seen.isDuplicate("a", nowMs), true, "kept at least its time");
  seen.forget(108 * DAY_MS);
  t.equal(seen.isDuplicate("a", nowMs), false, "and at most a day longer");
});

t.test("save and load change nothing; equal states are equal whatever the order of arrival", async (t) => {
  const [one, other] = [dedupe({ ttlMs: DAY_MS }), dedupe({ ttlMs: DAY_MS })];
  for (const id of ["a", "b", "c"]) one.isDuplicate(id, 10);
  one.isDuplicate("d", DAY_MS);
  other.isDuplicate("d", DAY_MS);
  for (const id of ["c", "a", "b"]) other.isDuplicate(id, 10);
  const saved = JSON.stringify(one.save());
  t.equal(JSON.stringify(other.save()), saved);
  const loaded = dedupe({ ttlMs: DAY_MS });
  loaded.load(JSON.parse(saved));
  t.equal(loaded.size, 4);
  t.equal(JSON.stringify(loaded.save()), saved);
  loaded.forget(2 * DAY_MS);
  t.equal(loaded.size, 1);
});

t.test("MR_OPTION_INVALID without a positive time", async (t) => {
  t.throws(() => dedupe({ ttlMs: 0 }), { code: "MR_OPTION_INVALID" });
});
