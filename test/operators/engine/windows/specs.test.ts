import t, { type Test } from "tap";
import {
  count,
  countOf,
  custom,
  days,
  hopping,
  hours,
  milliseconds,
  minutes,
  pipeline,
  seconds,
  session,
  TestKit,
  testSource,
  testTarget,
  tumbling,
  type WindowSpec,
} from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const refused = (t: Test, call: () => unknown, message: string): void => {
  t.throws(call, { code: "MR_OPTION_INVALID", message });
};

t.test("units", async (t) => {
  t.same([milliseconds(2), seconds(2), minutes(2), hours(2), days(2)], [2, 2_000, 120_000, 7_200_000, 172_800_000]);
});

t.test("tumbling: sizes and triggers are positive integers, lateness may be none", async (t) => {
  for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refused(t, () => tumbling({ sizeMs: bad }), `tumbling sizeMs must be a positive integer, got ${bad}`);
    refused(
      t,
      () => tumbling({ sizeMs: 1, earlyEveryMs: bad }),
      `tumbling earlyEveryMs must be a positive integer, got ${bad}`,
    );
    refused(
      t,
      () => tumbling({ sizeMs: 1, earlyEveryCount: bad }),
      `tumbling earlyEveryCount must be a positive integer, got ${bad}`,
    );
    refused(t, () => countOf(bad), `countOf size must be a positive integer, got ${bad}`);
    refused(t, () => hopping({ sizeMs: bad, slideMs: 1 }), `hopping sizeMs must be a positive integer, got ${bad}`);
    refused(t, () => hopping({ sizeMs: 9, slideMs: bad }), `hopping slideMs must be a positive integer, got ${bad}`);
    refused(t, () => session({ gapMs: bad }), `session gapMs must be a positive integer, got ${bad}`);
  }
  for (const latenessMs of [-1, 0.5, Number.NaN]) {
    const message = `latenessMs must be a non-negative integer, got ${latenessMs}`;
    refused(t, () => tumbling({ sizeMs: 1, latenessMs }), message);
    refused(t, () => hopping({ sizeMs: 1, slideMs: 1, latenessMs }), message);
    refused(t, () => session({ gapMs: 1, latenessMs }), message);
  }
  t.same(tumbling({ sizeMs: 1, latenessMs: 0 }), {
    kind: "tumbling",
    sizeMs: 1,
    latenessMs: 0,
    offsetMs: 0,
    retract: false,
  });
});

t.test("hopping: a slide no longer than the window", async (t) => {
  refused(t, () => hopping({ sizeMs: 5, slideMs: 6 }), "hopping slideMs must not exceed sizeMs, got 6 > 5");
  t.same(hopping({ sizeMs: 5, slideMs: 5 }), { kind: "hopping", sizeMs: 5, slideMs: 5, offsetMs: 0 });
});

t.test("session: a length no shorter than the gap; a day unless the gap is longer", async (t) => {
  refused(t, () => session({ gapMs: 5, maxLengthMs: 4 }), "session maxLengthMs must be at least gapMs, got 4");
  t.equal(session({ gapMs: 5, maxLengthMs: 5 }).maxLengthMs, 5);
  t.equal(session({ gapMs: 5 }).maxLengthMs, days(1));
  t.equal(session({ gapMs: days(2) }).maxLengthMs, days(2));
});

t.test("early rows are for tumbling windows: elsewhere they are refused, with what to do instead", async (t) => {
  refused(
    t,
    () => hopping({ sizeMs: 5, slideMs: 5, earlyEveryMs: 1 } as never),
    "hopping windows have no earlyEveryMs: a shorter slideMs says as much; tumbling() has it",
  );
  refused(
    t,
    () => session({ gapMs: 5, earlyEveryCount: 1 } as never),
    "session windows have no earlyEveryCount: a session has no end to be early for; process() says what it likes as it goes; tumbling() has it",
  );
});

const keyed = () =>
  pipeline("test.specs")
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
const unmergeable = custom<Reading, number, number>({
  name: "own",
  init: () => 0,
  add: (n) => n + 1,
  result: (n) => n,
});

t.test("an aggregate without merge: refused by windows that merge, taken by those that do not", async (t) => {
  const start = (spec: WindowSpec) =>
    new TestKit<Reading>(keyed().window("w", spec).aggregate({ n: count(), own: unmergeable }).to(testTarget()));
  for (const spec of [hopping({ sizeMs: 2, slideMs: 1 }), session({ gapMs: 1 })])
    refused(t, () => start(spec), "w: aggregate own has no merge, which this window needs");
  for (const spec of [tumbling({ sizeMs: 2 }), countOf(2)]) t.ok(start(spec));
});

t.test("names that every row has cannot be an aggregate's", async (t) => {
  for (const name of ["key", "startMs", "endMs", "kind", "revision"]) {
    refused(
      t,
      () =>
        keyed()
          .window("w", tumbling({ sizeMs: 1 }))
          .aggregate({ [name]: count() }),
      `an aggregate cannot be called ${name}: every result has that field`,
    );
  }
});

t.test("windows per key: numbers only, and a delay no shorter than the disorder", async (t) => {
  const perKey = (options: { sizeMs: number; disorderMs: number; maxDelayMs: number }, aggregates = {}) =>
    keyed().windowPerKey("w", options, aggregates);
  const wanted = "w: needs sizeMs > 0 and 0 <= disorderMs <= maxDelayMs";
  refused(t, () => perKey({ sizeMs: 0, disorderMs: 0, maxDelayMs: 0 }), wanted);
  refused(t, () => perKey({ sizeMs: 1, disorderMs: -1, maxDelayMs: 0 }), wanted);
  refused(t, () => perKey({ sizeMs: 1, disorderMs: 2, maxDelayMs: 1 }), wanted);
  refused(
    t,
    () => perKey({ sizeMs: 1, disorderMs: 0, maxDelayMs: 0 }, { own: unmergeable }),
    "w: windows per key take aggregates of numbers only",
  );
  t.ok(perKey({ sizeMs: 1, disorderMs: 0, maxDelayMs: 0 }));
});

t.test("a window says what it is in the printed topology", async (t) => {
  const details = (spec: WindowSpec): string =>
    keyed().window("w", spec).aggregate({ count: count(), n: count() }).to(testTarget()).steps[3]?.detail ?? "";
  t.equal(details(tumbling({ sizeMs: 5 })), "tumbling 5 ms: count, n = count");
  t.equal(details(hopping({ sizeMs: 5, slideMs: 2 })), "hopping 5 ms every 2 ms: count, n = count");
  t.equal(details(session({ gapMs: 5 })), "session, gap 5 ms: count, n = count");
  t.equal(details(countOf(5)), "every 5 events: count, n = count");
});

t.test("offset: windows are aligned to the epoch and shifted by it", async (t) => {
  for (const [spec, starts] of [
    [tumbling({ sizeMs: 10, offsetMs: 3 }), [3]],
    [tumbling({ sizeMs: 10, offsetMs: 13 }), [3]],
    [hopping({ sizeMs: 10, slideMs: 5, offsetMs: 1 }), [1, 6]],
  ] as const) {
    const kit = new TestKit<Reading>(keyed().window("w", spec).aggregate({ n: count() }).to(testTarget()));
    kit.event(7, { id: 1, key: "a", timeMs: 7, x: 0 }).watermark(100);
    t.same(
      kit.rows<{ startMs: number }>().map(({ startMs }) => startMs),
      starts,
    );
  }
});
