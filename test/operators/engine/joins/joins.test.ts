import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.setTimeout(120_000);
const isLeft = ({ x }: Reading): boolean => x < 0;
const isRight = ({ x }: Reading): boolean => x >= 0;

function sides() {
  const keyed = pipeline("test.join")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
  return { left: keyed.filter(isLeft), right: keyed.filter(isRight) };
}

/** Splits into what came in time by `isLate` and what did not. */
function judge(
  all: readonly Step[],
  isLate: (event: Reading, watermarkMs: number) => boolean,
): { inTime: Reading[]; late: string[] } {
  let watermarkMs = Number.NEGATIVE_INFINITY;
  const inTime: Reading[] = [];
  const late: string[] = [];
  for (const step of all) {
    if (step.kind === "mark") watermarkMs = Math.max(watermarkMs, step.timeMs);
    else if (isLate(step.event, watermarkMs)) late.push(String(step.event.id));
    else inTime.push(step.event);
  }
  return { inTime, late };
}

t.test(
  "interval: every pair within the interval, once; lefts without a partner are said when none can come",
  async (t) => {
    const topology = () => {
      const { left, right } = sides();
      const combine = (a: Reading, b: Reading): string => `${a.id} ${b.id}`;
      return left
        .joinInterval("j", right, { beforeMs: 5, afterMs: 20, combine, unmatched: (a) => `${a.id} -` })
        .to(testTarget());
    };
    const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
      const whole = run(topology(), all);
      const { inTime, late } = judge(all, ({ timeMs }, watermarkMs) => timeMs < watermarkMs);
      const expected: string[] = [];
      for (const a of inTime.filter(isLeft)) {
        const partners = inTime.filter(
          (b) => isRight(b) && b.key === a.key && b.timeMs >= a.timeMs - 5 && b.timeMs <= a.timeMs + 20,
        );
        expected.push(...partners.map((b) => `${a.id} ${b.id}`), ...(partners.length === 0 ? [`${a.id} -`] : []));
      }
      assert.deepEqual([...whole.rows].sort(), expected.sort());
      assert.deepEqual(whole.late, late);
      assert.deepEqual(run(topology(), all, cuts).rows, whole.rows);
      assert.equal(run(topology(), all, "always").state, whole.state);
      assert.equal(whole.kit.metrics()[0]?.keys, 0, "everything is forgotten in the end");
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 21, numRuns: 300 }));
  },
);

t.test("interval with any bounds, lateness and time to live: equals a list of what is still kept", async (t) => {
  const options = fc.record(
    {
      beforeMs: fc.integer({ min: -5, max: 20 }),
      afterMs: fc.oneof(fc.integer({ min: 5, max: 20 }), fc.constant(Number.POSITIVE_INFINITY)),
      latenessMs: fc.constantFrom(0, 10),
      ttlMs: fc.constantFrom(3, 15),
    },
    { requiredKeys: ["beforeMs", "afterMs"] },
  );
  const property = fc.property(steps(), fc.array(fc.nat(40)), options, (all, cuts, shape) => {
    const topology = () => {
      const { left, right } = sides();
      const combine = (a: Reading, b: Reading): string => `${a.id} ${b.id}`;
      return left
        .joinInterval("j", right, { ...shape, combine, unmatched: (a) => `${a.id} -` })
        .map((text, at) => `${text} at ${at.timeMs} of ${at.key}`)
        .to(testTarget());
    };
    const { beforeMs, afterMs, latenessMs = 0, ttlMs = Number.POSITIVE_INFINITY } = shape;
    const keepMs = (event: Reading): number =>
      Math.min(Math.max(isLeft(event) ? afterMs : beforeMs, 0) + latenessMs, ttlMs);
    let watermarkMs = Number.NEGATIVE_INFINITY;
    let kept: Reading[] = [];
    const expected: string[] = [];
    const late: string[] = [];
    const matched = new Set<number>();
    for (const step of all) {
      if (step.kind === "mark") {
        watermarkMs = step.timeMs;
        const gone = kept.filter((one) => one.timeMs + keepMs(one) < watermarkMs);
        kept = kept.filter((one) => !gone.includes(one));
        for (const one of gone)
          if (isLeft(one) && !matched.has(one.id)) expected.push(`${one.id} - at ${one.timeMs} of ${one.key}`);
        continue;
      }
      const { event } = step;
      if (event.timeMs + latenessMs < watermarkMs && keepMs(event) !== Number.POSITIVE_INFINITY) {
        late.push(String(event.id));
        continue;
      }
      for (const other of [...kept].sort((a, b) => a.timeMs - b.timeMs)) {
        const [a, b] = isLeft(event) ? [event, other] : [other, event];
        if (a === b || isLeft(b) || isRight(a) || a.key !== b.key) continue;
        if (b.timeMs < a.timeMs - beforeMs || b.timeMs > a.timeMs + afterMs) continue;
        matched.add(a.id);
        expected.push(`${a.id} ${b.id} at ${Math.max(a.timeMs, b.timeMs)} of ${a.key}`);
      }
      kept.push(event);
    }
    const whole = run(topology(), all);
    const isPair = (row: unknown): boolean => !String(row).includes(" - at");
    assert.deepEqual(whole.rows.filter(isPair), expected.filter(isPair), "partners by time, then as they came");
    assert.deepEqual([...whole.rows].sort(), expected.sort());
    assert.deepEqual(whole.late, late);
    const [metrics] = whole.kit.metrics();
    assert.ok(metrics?.name === "j" && metrics.bytes >= 48 * kept.length);
    assert.equal(metrics.keys, new Set(kept.map(({ key }) => key)).size);
    assert.deepEqual(run(topology(), all, cuts).rows, whole.rows);
    assert.equal(run(topology(), all, "always").state, whole.state);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 24, numRuns: 400 }));
});

t.test("interval without end: never late, never forgotten", async (t) => {
  const topology = () => {
    const { left, right } = sides();
    const endless = { beforeMs: Number.POSITIVE_INFINITY, afterMs: Number.POSITIVE_INFINITY };
    return left.joinInterval("j", right, { ...endless, combine: (a, b) => `${a.id} ${b.id}` }).to(testTarget());
  };
  const property = fc.property(steps(), (all) => {
    const events = eventsOf(all);
    const expected = events
      .filter(isLeft)
      .flatMap((a) => events.filter((b) => isRight(b) && b.key === a.key).map((b) => `${a.id} ${b.id}`));
    assert.deepEqual([...run(topology(), all).rows].sort(), expected.sort());
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 22, numRuns: 100 }));
});

t.test("window: every pair of one window and key, at its end, in order", async (t) => {
  const topology = () => {
    const { left, right } = sides();
    return left
      .joinWindow("j", right, { sizeMs: 10, combine: (a, b, { key, startMs }) => `${startMs} ${key} ${a.id} ${b.id}` })
      .to(testTarget());
  };
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const windowOf = ({ timeMs }: Reading): number => Math.floor(timeMs / 10) * 10;
    const whole = run(topology(), all);
    const { inTime, late } = judge(all, (event, watermarkMs) => windowOf(event) + 10 <= watermarkMs);
    const pairs = inTime
      .filter(isLeft)
      .flatMap((a) =>
        inTime.filter((b) => isRight(b) && b.key === a.key && windowOf(a) === windowOf(b)).map((b) => ({ a, b })),
      );
    pairs.sort(
      ({ a, b }, { a: c, b: d }) =>
        windowOf(a) - windowOf(c) ||
        (a.key < c.key ? -1 : a.key > c.key ? 1 : 0) ||
        a.timeMs - c.timeMs ||
        a.id - c.id ||
        b.timeMs - d.timeMs ||
        b.id - d.id,
    );
    assert.deepEqual(
      whole.rows,
      pairs.map(({ a, b }) => `${windowOf(a)} ${a.key} ${a.id} ${b.id}`),
    );
    assert.deepEqual(whole.late, late);
    assert.deepEqual(run(topology(), all, cuts).rows, whole.rows);
    assert.equal(run(topology(), all, "always").state, whole.state);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 23, numRuns: 200 }));
});

t.test("tables: the latest value as of the log, or the version as of event time", async (t) => {
  for (const keepVersionsMs of [0, 1_000]) {
    const topology = pipeline("test.lookup");
    const read = (body: unknown) => body as { key: string; value: number | undefined; fromMs: number };
    const rates = topology.table<number>("rates", { kind: "rate", read, keepVersionsMs });
    topology
      .from(testSource<Reading>())
      .map(readingOf)
      .lookup(
        rates,
        ({ key }) => key,
        ({ id }, rate) => [id, rate ?? null],
      )
      .to(testTarget());
    const kit = new TestKit<Reading>(topology);
    const ask = (id: number, timeMs: number) => kit.event(timeMs, { id, key: "a", timeMs, x: 0 });
    ask(1, 50);
    kit.control("rate", { key: "a", value: 10, fromMs: 0 }).control("rate", { key: "a", value: 20, fromMs: 100 });
    ask(2, 50);
    kit.cut();
    ask(3, 100);
    kit.control("rate", { key: "a", fromMs: 200 });
    ask(4, 150);
    ask(5, 200);
    const expected =
      keepVersionsMs > 0
        ? [
            [1, null],
            [2, 10],
            [3, 20],
            [4, 20],
            [5, null],
          ]
        : [
            [1, null],
            [2, 20],
            [3, 20],
            [4, null],
            [5, null],
          ];
    t.same(kit.rows(), expected);
    t.same(kit.dead(), []);
  }
});
