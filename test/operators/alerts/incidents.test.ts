import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Alert, formatTime, type Severity } from "../../../src/core/index.js";
import { fingerprintOf } from "../../../src/operators/alerts/incidents.js";
import { type Clearance, incidents, type Sighting } from "../../../src/operators/index.js";
import { processKit } from "../support/keyed-kit.js";

const OPTIONS = { pipeline: "p", rule: "r", domain: "sensor", quietMs: 100, maxKeys: 10 } as const;

const sighting = (timeMs: number, severity: Severity = "warning", key = "k"): Sighting => ({
  kind: "sighting",
  ...{ key, timeMs, startMs: timeMs - 10, endMs: timeMs, severity, title: `at ${timeMs}`, labels: {} },
  ...{ detector: "lof", score: 3, value: 1, expected: null, evidence: [] },
});

const clearance = (timeMs: number): Clearance => ({ kind: "clearance", key: "k", timeMs });

function started() {
  const kit = processKit(incidents(OPTIONS));
  const see = (news: Sighting | Clearance) => kit.event(news.timeMs, { key: news.key, value: news });
  const said = () => kit.rows<Alert>();
  const brief = () =>
    said().map(({ key, revision, state, severity, ts }) => `${key}${revision} ${state} ${severity} ${Date.parse(ts)}`);
  return { kit, see, said, brief };
}

t.test("one incident: fires, says nothing more unless it gets worse, resolves when quiet was complete", async (t) => {
  const { kit, see, said, brief } = started();
  see(sighting(1000));
  see(sighting(1050));
  see(sighting(1060, "critical"));
  see(sighting(1070, "warning"));
  kit.watermark(1169);
  t.equal(said().length, 2, "one ms early");
  kit.watermark(1170);
  t.same(brief(), ["k1 firing warning 1000", "k2 firing critical 1060", "k3 resolved critical 1170"]);
  t.equal(said()[2]?.fingerprint, said()[0]?.fingerprint);
  t.same(said()[2]?.window, { start: formatTime(990), end: formatTime(1070) });
  see(sighting(6000));
  t.equal(said()[3]?.revision, 4, "the revision grows over incidents");
});

t.test("a sighting after the quiet resolves first, so the spacing of watermarks cannot show", async (t) => {
  const { see, brief } = started();
  see(sighting(1000));
  see(sighting(1100));
  t.same(brief(), ["k1 firing warning 1000", "k2 resolved warning 1100", "k3 firing warning 1100"]);
});

t.test("a clearance resolves at once; of nothing it says nothing", async (t) => {
  const { kit, see, brief } = started();
  see(clearance(5));
  t.equal(kit.metrics()[0]?.keys, 0);
  see(sighting(10));
  see(clearance(50));
  see(clearance(60));
  kit.watermark(1000);
  t.same(brief(), ["k1 firing warning 10", "k2 resolved warning 50"]);
});

t.test("resolutions come by time, then by key", async (t) => {
  const { kit, see, brief } = started();
  for (const [timeMs, key] of [
    [20, "b"],
    [20, "a"],
    [10, "c"],
  ] as const)
    see(sighting(timeMs, "info", key));
  kit.watermark(1000);
  t.same(brief().slice(3), ["c2 resolved info 110", "a2 resolved info 120", "b2 resolved info 120"]);
});

t.test("the fingerprint is of pipeline, rule and key, without confusion at their borders", async (t) => {
  t.match(fingerprintOf("p", "r", "k"), /^[0-9a-f]{16}$/);
  t.not(fingerprintOf("p", "rk", ""), fingerprintOf("p", "r", "k"));
});

t.test("the alerts of a key do not depend on watermarks in between, nor on a restart", async (t) => {
  const step = fc.record({
    gapMs: fc.nat(150),
    severity: fc.constantFrom("info", "warning", "critical"),
    tick: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 30 }), fc.nat(30), (steps, cut) => {
    const run = (ticks: boolean, restartAt: number): readonly Alert[] => {
      const { kit, see, said } = started();
      kit.cutAlways = false;
      let nowMs = 0;
      steps.forEach(({ gapMs, severity, tick }, i) => {
        if (i === restartAt) kit.cut();
        nowMs += gapMs;
        if (ticks && tick) kit.watermark(nowMs);
        else if (!tick) see(sighting(nowMs, severity as Severity));
      });
      kit.watermark(nowMs + 1000);
      return said();
    };
    const through = run(true, -1);
    assert.deepEqual(run(false, -1), through);
    assert.deepEqual(run(true, cut), through);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 13 }));
});
