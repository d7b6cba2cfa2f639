import t from "tap";
import { type Drift, type DriftOptions, driftWatch } from "../../../src/operators/index.js";

const OPTIONS = { delta: 0.002, clock: 1, minWindow: 5, spread: 1 };
const noise = (i: number): number => Math.sin(i * 12.9898) * Math.cos(i * 78.233);

/** The watch with a state at hand, which is never changed in place. */
function watching(options: DriftOptions) {
  const watch = driftWatch(options);
  let state = freeze(watch.fresh);
  const process = (value: number): Drift | undefined => {
    const next = watch.next(state, value);
    state = freeze(next.state);
    return next.drift;
  };
  return { process };
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (Array.isArray(part)) Object.freeze(part);
  return Object.freeze(value);
}

t.test("nothing while the mean stays; once, with both means, when it changes", async (t) => {
  const watch = watching(OPTIONS);
  for (let i = 0; i < 200; i++) t.equal(watch.process(10 + noise(i)), undefined);
  let found: Drift | undefined;
  let after = 0;
  while (found === undefined && after < 60) found = watch.process(20 + noise(after++));
  t.ok(found, `found after ${after} values`);
  t.ok(Math.abs((found?.meanBefore ?? 0) - 10) < 1, `before ${found?.meanBefore}`);
  t.ok((found?.meanAfter ?? 0) > 15, `after ${found?.meanAfter}`);
  t.ok((found?.score ?? 0) > 1);
});

t.test("units do not matter when the spread is taken from the first values", async (t) => {
  const found = [1e-6, 1, 1e6].map((unit) => {
    const watch = watching({ ...OPTIONS, minWindow: 20, spread: "first" });
    for (let i = 0; i < 300; i++) {
      const drift = watch.process(unit * ((i < 100 ? 10 : 13) + noise(i)));
      if (drift !== undefined) return { i, before: drift.meanBefore / unit, after: drift.meanAfter / unit };
    }
    return undefined;
  });
  t.ok(found[0], JSON.stringify(found[0]));
  for (const other of found.slice(1)) t.equal(other?.i, found[0]?.i);
  t.ok(Math.abs((found[1]?.before ?? 0) - 10) < 0.5);
  const constant = watching({ ...OPTIONS, spread: "first" });
  for (let i = 0; i < 100; i++) t.equal(constant.process(0), undefined);
});

t.test("keys are apart: one detector works for all of them", async (t) => {
  const watch = driftWatch(OPTIONS);
  let [a, b] = [watch.fresh, watch.fresh];
  const alone = watching(OPTIONS);
  for (let i = 0; i < 150; i++) {
    const value = i < 100 ? noise(i) : 3;
    const next = watch.next(a, value);
    t.same(next.drift, alone.process(value));
    a = next.state;
    b = watch.next(b, 5 + noise(i)).state;
  }
});

t.test("wrong options are refused at once", async (t) => {
  t.throws(() => driftWatch({ ...OPTIONS, delta: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => driftWatch({ ...OPTIONS, spread: 0 }), { code: "MR_OPTION_INVALID" });
});
