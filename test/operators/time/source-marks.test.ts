import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { sourceMarks } from "../../../src/operators/index.js";

const OPTIONS = { disorderMs: 10, idleAfterMs: 100, maxAheadMs: 1000 };

t.test("no watermark before a source announced itself; its events move nothing", async (t) => {
  const marks = sourceMarks(OPTIONS);
  marks.observe("live", 5000);
  t.equal(marks.watermarkMs(), undefined);
  t.equal(marks.isAhead("live", 1e15), false, "nothing to compare with");
  t.equal(marks.sourceTimeMs("live"), undefined);
  t.equal(marks.tick({ source: "live", t: 1000 }), true);
  t.equal(marks.watermarkMs(), 900, "what came before the first tick left no trace");
});

t.test("a mark is the newest event less disorder, at most t, at least t - idle; it moves at ticks only", async (t) => {
  const table = [
    { eventMs: 1950, mark: 1940 },
    { eventMs: 1000, mark: 1900 },
    { eventMs: 2900, mark: 1990 },
  ];
  for (const { eventMs, mark } of table) {
    const marks = sourceMarks(OPTIONS);
    marks.tick({ source: "s", t: 1000 });
    marks.observe("s", eventMs);
    t.equal(marks.watermarkMs(), 900, `${eventMs}: not before the tick`);
    marks.tick({ source: "s", t: 2000 });
    t.equal(marks.watermarkMs(), mark, `${eventMs}`);
  }
});

t.test("the slowest source holds the watermark, until it retires; it never moves back", async (t) => {
  const marks = sourceMarks(OPTIONS);
  marks.tick({ source: "sample", t: 500 });
  marks.tick({ source: "live", t: 10_000 });
  t.equal(marks.watermarkMs(), 400);
  t.equal(marks.tick({ source: "live", t: 11_000 }), false);
  t.equal(marks.tick({ source: "sample", t: 500 }), false, "an equal t says nothing");
  t.equal(marks.tick({ source: "sample", t: 600, retire: true }), true);
  t.equal(marks.watermarkMs(), 10_900);
  marks.tick({ source: "sample", t: 700 });
  t.equal(marks.watermarkMs(), 10_900, "announced again, too late to move it back");
  marks.tick({ source: "live", t: 20_000 });
  t.equal(marks.watermarkMs(), 10_900, "but it holds again");
});

t.test("another source's tick does not show what a source sent since its own", async (t) => {
  const withTick = sourceMarks(OPTIONS);
  withTick.tick({ source: "sample", t: 500 });
  withTick.tick({ source: "live", t: 10_000 });
  withTick.observe("sample", 505);
  t.equal(withTick.tick({ source: "live", t: 11_000 }), false);
  t.equal(withTick.watermarkMs(), 400);
  withTick.tick({ source: "sample", t: 510 });
  t.equal(withTick.watermarkMs(), 495);
});

t.test("a retiring source completes everything up to its t, also when it is the only one", async (t) => {
  const marks = sourceMarks(OPTIONS);
  marks.tick({ source: "s", t: 1000 });
  t.equal(marks.tick({ source: "s", t: 1000, retire: true }), true);
  t.equal(marks.watermarkMs(), 1000);
  t.equal(marks.tick({ source: "s", t: 1000, retire: true }), false);
});

t.test(
  "ahead is more than maxAhead beyond the source's own time; an unknown source is held to the latest of all",
  async (t) => {
    const marks = sourceMarks(OPTIONS);
    marks.tick({ source: "sample", t: 1000 });
    marks.tick({ source: "live", t: 50_000 });
    t.equal(marks.isAhead("sample", 2000), false);
    t.equal(marks.isAhead("sample", 2001), true);
    t.equal(marks.isAhead("typo", 51_000), false);
    t.equal(marks.isAhead("typo", 51_001), true);
  },
);

t.test("MR_OPTION_INVALID", async (t) => {
  t.throws(() => sourceMarks({ ...OPTIONS, disorderMs: -1 }), { code: "MR_OPTION_INVALID" });
  t.throws(() => sourceMarks({ ...OPTIONS, idleAfterMs: 9 }), { code: "MR_OPTION_INVALID" });
  t.throws(() => sourceMarks({ ...OPTIONS, maxAheadMs: Number.NaN }), { code: "MR_OPTION_INVALID" });
});

t.test("never back, and a restart changes nothing", async (t) => {
  const step = fc.record({
    source: fc.constantFrom("a", "b", "c"),
    t: fc.nat(500),
    kind: fc.constantFrom("tick", "event", "retire"),
  });
  const property = fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, cut) => {
    const run = (restartAt: number): (number | undefined)[] => {
      let marks = sourceMarks(OPTIONS);
      return steps.map(({ source, t: timeMs, kind }, i) => {
        if (i === restartAt) {
          const saved = JSON.parse(JSON.stringify(marks.save()));
          marks = sourceMarks(OPTIONS);
          marks.load(saved);
          assert.deepEqual(JSON.parse(JSON.stringify(marks.save())), saved);
        }
        if (kind === "event") marks.observe(source, timeMs);
        else marks.tick({ source, t: timeMs, retire: kind === "retire" });
        return marks.watermarkMs();
      });
    };
    const through = run(-1);
    const known = through.filter((ms) => ms !== undefined);
    assert.deepEqual(
      known,
      [...known].sort((a, b) => a - b),
    );
    assert.deepEqual(run(cut), through);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 7 }));
});
