import t from "tap";
import { type Feature, HOUR_MS, MINUTE_MS } from "../../../src/core/index.js";
import { freshState, observe, passTime, type RuleState } from "../../../src/operators/rules/judge.js";
import { concerns, holds, type Leaf, NO_RULES, type Rule, type Test } from "../../../src/operators/rules/rule.js";

const LEAF = { feature: "f", of: "values", name: "v" } as const;
const above = (limit: number): Test => ({ op: "above", low: limit, high: limit });
const threshold = (limit: number, until: Test | null = null): Leaf => ({
  kind: "threshold",
  ...LEAF,
  test: above(limit),
  until,
});

function ruleOf(leaves: readonly Leaf[], rest: Partial<Rule> = {}): Rule {
  return {
    ...{
      name: "r",
      id: "1",
      by: "key",
      where: {},
      leaves,
      when: { kind: "leaf", leaf: 0 },
      forMs: 0,
      quietMs: HOUR_MS,
    },
    ...{ severity: "warning", domain: null, title: null, labels: {} },
    ...rest,
  };
}

function record(endMs: number, v: number | undefined, feature = "f"): Feature {
  const about = {
    kind: "feature",
    pipeline: "p",
    domain: "mine",
    site: "s",
    key: "s/k",
    labels: { crew: "a" },
  } as const;
  return { ...about, feature, startMs: endMs, endMs, values: v === undefined ? {} : { v }, scores: {} };
}

/** Minutes and verdicts of steps: a record `[minute, value, feature]`, or time passing to `minute`. */
function played(rule: Rule, steps: readonly (readonly [number, number | undefined, string?] | number)[]): string[] {
  const said: string[] = [];
  let state: RuleState = freshState(rule);
  for (const step of steps) {
    const say = ({ kind, timeMs }: { kind: string; timeMs: number }): void =>
      void said.push(`${timeMs / MINUTE_MS} ${kind}`);
    if (typeof step === "number") state = passTime(rule, state, step * MINUTE_MS, say);
    else state = observe(rule, state, record(step[0] * MINUTE_MS, step[1], step[2]), say);
  }
  return said;
}

t.test("limits", async (t) => {
  const at = (op: Test["op"], low: number, high = low): boolean[] =>
    [1, 2, 3, 4].map((v) => holds({ op, low, high }, v));
  t.same(at("above", 2), [false, false, true, true]);
  t.same(at("atLeast", 2), [false, true, true, true]);
  t.same(at("below", 2), [true, false, false, false]);
  t.same(at("atMost", 2), [true, true, false, false]);
  t.same(at("outside", 2, 3), [true, false, false, true]);
  t.same(at("within", 2, 3), [false, true, true, false]);
});

t.test("a threshold: at once, while it holds, off once", async (t) => {
  t.same(
    played(ruleOf([threshold(5)]), [
      [1, 5],
      [2, 6],
      [3, 7],
      [4, 5],
      [5, 1],
    ]),
    ["2 on", "3 on", "4 off"],
  );
  t.same(
    played(ruleOf([threshold(5)]), [
      [1, 6],
      [2, undefined],
      [3, Number.NaN],
    ]),
    ["1 on", "2 on", "3 on"],
    "nothing new",
  );
  t.same(
    played(ruleOf([threshold(5)]), [
      [5, 6],
      [4, 1],
    ]),
    ["5 on", "5 on"],
    "an older record changes nothing",
  );
});

t.test("a deadband: off only below the second limit", async (t) => {
  const until: Test = { op: "below", low: 3, high: 3 };
  t.same(
    played(ruleOf([threshold(5, until)]), [
      [1, 4],
      [2, 6],
      [3, 4],
      [4, 2],
      [5, 4],
    ]),
    ["2 on", "3 on", "4 off"],
  );
});

t.test("duration: when the time is up, however time passes; broken, it begins again", async (t) => {
  const rule = ruleOf([threshold(5)], { forMs: 10 * MINUTE_MS });
  t.same(played(rule, [[0, 6], 9, 10]), ["10 on"]);
  t.same(
    played(rule, [
      [0, 6],
      [30, 6],
    ]),
    ["10 on", "30 on"],
    "the group's own records tell time too",
  );
  t.same(
    played(rule, [
      [0, 6],
      [30, 1],
    ]),
    ["10 on", "30 off"],
  );
  t.same(played(rule, [[0, 6], [5, 1], [6, 6], 15, 16]), ["16 on"]);
});

t.test("absence: after so long without, over with the next; never seen is not known", async (t) => {
  const absence: Leaf = { kind: "absence", feature: "f", absentMs: 10 * MINUTE_MS };
  t.same(played(ruleOf([absence]), [60, [61, 1], 70, 71, 200, [201, 1]]), ["71 on", "201 off"]);
  t.same(
    played(ruleOf([absence]), [
      [0, 1],
      [25, 1],
    ]),
    ["10 on", "25 off"],
    "no watermark came between",
  );
  const both = ruleOf([absence, { ...threshold(5), feature: "g" } as Leaf], {
    when: {
      kind: "all",
      of: [
        { kind: "leaf", leaf: 0 },
        { kind: "not", of: { kind: "leaf", leaf: 1 } },
      ],
    },
  });
  t.same(played(both, [[0, 1], 20, [21, 9, "g"], [22, 1, "g"]]), ["22 on"], "not of the unknown is not known");
});

t.test("any and all with what is not known", async (t) => {
  const g = { ...threshold(5), feature: "g" } as Leaf;
  const of = [
    { kind: "leaf", leaf: 0 },
    { kind: "leaf", leaf: 1 },
  ] as const;
  t.same(
    played(ruleOf([threshold(5), g], { when: { kind: "any", of } }), [
      [1, 9],
      [2, 1],
      [3, 9, "g"],
    ]),
    ["1 on", "2 off", "3 on"],
  );
  t.same(
    played(ruleOf([threshold(5), g], { when: { kind: "all", of } }), [
      [1, 9],
      [2, 9, "g"],
      [3, 1],
    ]),
    ["2 on", "3 off"],
  );
});

t.test("a rate: over the span, once half of it is seen; few samples, whatever the pace", async (t) => {
  const rate: Leaf = { kind: "rate", ...LEAF, perMs: MINUTE_MS, overMs: 10 * MINUTE_MS, test: above(2) };
  const rule = ruleOf([rate]);
  t.same(
    played(rule, [
      [0, 0],
      [2, 100],
      [5, 20],
    ]),
    ["5 on"],
    "4 a minute; two minutes are too short to say",
  );
  t.same(
    played(rule, [
      [0, 0],
      [5, 5],
      [10, 10],
    ]),
    [],
    "1 a minute",
  );
  t.same(
    played(rule, [
      [0, 100],
      [12, 0],
      [18, 30],
    ]),
    ["18 on"],
    "what is older than the span does not count",
  );
  let state = freshState(rule);
  for (let second = 0; second < 3_600; second++) {
    state = observe(rule, state, record(second * 1_000, second / 60), () => undefined);
  }
  t.ok((state.leaves[0]?.samples.length ?? 99) <= 34, `${state.leaves[0]?.samples.length} samples of 600`);
  t.ok(Math.abs((state.leaves[0]?.value ?? 0) - 1) < 1e-9, "1 a minute");
});

t.test("which records a rule looks at", async (t) => {
  const where = (where: Rule["where"]): boolean => concerns(ruleOf([threshold(5)], { where }), record(0, 1));
  t.ok(where({}));
  t.ok(where({ pipeline: "p", site: "s", domain: "mine", "label.crew": "a" }));
  for (const [pattern, fits] of Object.entries({
    "s/*": true,
    "*k": true,
    "*": true,
    "s*/*k": true,
    "s/k": true,
    s: false,
  }))
    t.equal(where({ key: pattern }), fits, pattern);
  for (const pattern of ["s/k*k", "k*", "*s", "s*x*k", "s/kk"]) t.notOk(where({ key: pattern }), pattern);
  t.notOk(where({ "label.shift": "a" }));
  t.notOk(concerns(ruleOf([threshold(5)]), record(0, 1, "g")));
  t.same(NO_RULES.rules, []);
});
