import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { type Alert, formatTime, type Severity } from "../../../src/core/index.js";
import { fingerprintOf } from "../../../src/operators/alerts/incidents.js";
import { type Incidents, incidents, type Sighting } from "../../../src/operators/index.js";

const OPTIONS = { pipeline: "p", rule: "r", domain: "sensor", quietMs: 100, maxKeys: 10 } as const;

const sighting = (timeMs: number, severity: Severity = "warning", key = "k"): Sighting => ({
  ...{ key, timeMs, startMs: timeMs - 10, endMs: timeMs, severity, title: `at ${timeMs}`, labels: {} },
  ...{ detector: "lof", score: 3, value: 1, expected: null, evidence: [] },
});

function recorder(): { said: Alert[]; say: (alert: Alert) => void; brief: () => string[] } {
  const said: Alert[] = [];
  const brief = () =>
    said.map(({ key, revision, state, severity, ts }) => `${key}${revision} ${state} ${severity} ${Date.parse(ts)}`);
  return { said, say: (alert) => said.push(alert), brief };
}

t.test("one incident: fires, says nothing more unless it gets worse, resolves when quiet was complete", async (t) => {
  const rule = incidents(OPTIONS);
  const { said, say, brief } = recorder();
  rule.see(sighting(1000), say);
  rule.see(sighting(1050), say);
  rule.see(sighting(1060, "critical"), say);
  rule.see(sighting(1070, "warning"), say);
  rule.advance(1169, say);
  t.equal(said.length, 2, "one ms early");
  rule.advance(1170, say);
  t.same(brief(), ["k1 firing warning 1000", "k2 firing critical 1060", "k3 resolved critical 1170"]);
  t.equal(said[2]?.fingerprint, said[0]?.fingerprint);
  t.same(said[2]?.window, { start: formatTime(990), end: formatTime(1070) });
  rule.see(sighting(6000), say);
  t.equal(said[3]?.revision, 4, "the revision grows over incidents");
});

t.test("a sighting after the quiet resolves first, so the spacing of watermarks cannot show", async (t) => {
  const rule = incidents(OPTIONS);
  const { say, brief } = recorder();
  rule.see(sighting(1000), say);
  rule.see(sighting(1100), say);
  t.same(brief(), ["k1 firing warning 1000", "k2 resolved warning 1100", "k3 firing warning 1100"]);
});

t.test("resolve at once; resolving nothing says nothing", async (t) => {
  const rule = incidents(OPTIONS);
  const { say, brief } = recorder();
  rule.resolve("k", 5, say);
  rule.see(sighting(10), say);
  rule.resolve("k", 50, say);
  rule.resolve("k", 60, say);
  rule.advance(1000, say);
  t.same(brief(), ["k1 firing warning 10", "k2 resolved warning 50"]);
});

t.test("resolutions come by time, then by key", async (t) => {
  const rule = incidents(OPTIONS);
  const { say, brief } = recorder();
  for (const [timeMs, key] of [
    [20, "b"],
    [20, "a"],
    [10, "c"],
  ] as const)
    rule.see(sighting(timeMs, "info", key), say);
  rule.advance(1000, say);
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
    const run = (ticks: boolean, restartAt: number): Alert[] => {
      let rule: Incidents = incidents(OPTIONS);
      const { said, say } = recorder();
      let nowMs = 0;
      steps.forEach(({ gapMs, severity, tick }, i) => {
        if (i === restartAt) {
          const saved = JSON.stringify(rule.save());
          rule = incidents(OPTIONS);
          rule.load(JSON.parse(saved));
        }
        nowMs += gapMs;
        if (ticks && tick) rule.advance(nowMs, say);
        else if (!tick) rule.see(sighting(nowMs, severity as Severity), say);
      });
      rule.advance(nowMs + 1000, say);
      return said;
    };
    const through = run(true, -1);
    assert.deepEqual(run(false, -1), through);
    assert.deepEqual(run(true, cut), through);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 13 }));
});
