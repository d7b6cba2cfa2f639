import t from "tap";
import { driftWatch } from "../../../src/operators/index.js";

const OPTIONS = { delta: 0.002, clock: 1, minWindow: 5, spread: 1, maxKeys: 2 };
const noise = (i: number): number => Math.sin(i * 12.9898) * Math.cos(i * 78.233);

t.test("nothing while the mean stays; once, with both means, when it changes", async (t) => {
  const watch = driftWatch(OPTIONS);
  for (let i = 0; i < 200; i++) t.equal(watch.process("k", i, 10 + noise(i)), undefined);
  let found: ReturnType<typeof watch.process>;
  let after = 0;
  while (found === undefined && after < 60) found = watch.process("k", 200 + after, 20 + noise(after++));
  t.ok(found, `found after ${after} values`);
  t.ok(Math.abs((found?.meanBefore ?? 0) - 10) < 1, `before ${found?.meanBefore}`);
  t.ok((found?.meanAfter ?? 0) > 15, `after ${found?.meanAfter}`);
  t.ok((found?.score ?? 0) > 1);
});

t.test("units do not matter when the spread is taken from the first values", async (t) => {
  const found = [1e-6, 1, 1e6].map((unit) => {
    const watch = driftWatch({ ...OPTIONS, minWindow: 20, spread: "first" });
    for (let i = 0; i < 300; i++) {
      const drift = watch.process("k", i, unit * ((i < 100 ? 10 : 13) + noise(i)));
      if (drift !== undefined) return { i, before: drift.meanBefore / unit, after: drift.meanAfter / unit };
    }
    return undefined;
  });
  t.ok(found[0], JSON.stringify(found[0]));
  for (const other of found.slice(1)) t.equal(other?.i, found[0]?.i);
  t.ok(Math.abs((found[1]?.before ?? 0) - 10) < 0.5);
  const constant = driftWatch({ ...OPTIONS, spread: "first" });
  for (let i = 0; i < 100; i++) t.equal(constant.process("k", i, 0), undefined);
});

t.test("keys are apart and a restart changes nothing", async (t) => {
  const watch = driftWatch(OPTIONS);
  for (let i = 0; i < 100; i++) {
    watch.process("a", i, noise(i));
    watch.process("b", i, 5 + noise(i));
  }
  const loaded = driftWatch(OPTIONS);
  const saved = JSON.parse(JSON.stringify(watch.save()));
  loaded.load(saved);
  t.same(JSON.parse(JSON.stringify(loaded.save())), saved);
  for (let i = 0; i < 50; i++) t.same(loaded.process("a", 100 + i, 3), watch.process("a", 100 + i, 3));
});

t.test("wrong options are refused at once", async (t) => {
  t.throws(() => driftWatch({ ...OPTIONS, delta: 2 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => driftWatch({ ...OPTIONS, spread: 0 }), { code: "MR_OPTION_INVALID" });
});
