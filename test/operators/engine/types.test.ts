import t from "tap";
import { fieldReader, num, str } from "../../../src/core/index.js";
import {
  type Aggregate,
  argmax,
  collect,
  count,
  hopping,
  jsonSource,
  type KeyedStream,
  last,
  pipeline,
  quantiles,
  type Stream,
  session,
  sum,
  TestKit,
  testSource,
  testTarget,
  top,
  tumbling,
  type WindowRow,
} from "../../../src/operators/engine/index.js";

interface Reading {
  readonly key: string;
  readonly x: number;
  readonly note?: string;
}

/** What types flow: `Same<A, B>` is `true` only for the same type both ways. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_T extends true>(): void => undefined;

const topology = () => pipeline("test.types");
const readings = (all = topology()): Stream<Reading> => all.from(testSource<Reading>()).map(({ value }) => value);
const keyed = (): KeyedStream<string, Reading> => readings().keyBy(({ key }) => key);

/** Each case would not compile without its `@ts-expect-error`, and would not compile with it if it were allowed. */
const REFUSED: Readonly<Record<string, () => unknown>> = {
  "a field that is not there": () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      // @ts-expect-error there is no field y
      .aggregate({ total: sum("y") }),
  "a sum of text": () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      // @ts-expect-error key is text
      .aggregate({ total: sum("key") }),
  "a function of another event": () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      // @ts-expect-error the events of this stream have no price
      .aggregate({ total: sum(({ price }: { price: number }) => price) }),
  "a result that no aggregate gives": () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      .aggregate({ n: count() })
      // @ts-expect-error there is no mean among the aggregates
      .map(({ mean }) => mean),
  "a key that is an object": () =>
    // @ts-expect-error a key is text or a number
    readings().keyBy((reading) => reading),
  "a key that may be missing": () =>
    // @ts-expect-error note may be undefined
    readings().keyBy(({ note }) => note),
  "a window without a key": () =>
    // @ts-expect-error keyBy comes first
    readings().window("w", tumbling({ sizeMs: 1 })),
  "state without a key": () =>
    // @ts-expect-error keyBy comes first
    readings().lag("l", { ttlMs: 1 }),
  "state without a time to live": () =>
    // @ts-expect-error ttlMs must be said, Infinity too
    keyed().lag("l", {}),
  "a window that never fires anything": () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      // @ts-expect-error aggregate says what to compute
      .map((row) => row),
  "a join of different keys": () =>
    keyed().joinWindow(
      "j",
      // @ts-expect-error one side has text for a key, the other a number
      readings().keyBy(({ x }) => x),
      { sizeMs: 1, combine: () => 1 },
    ),
  "a join that reads the other side wrongly": () =>
    keyed().joinInterval("j", keyed(), {
      beforeMs: 0,
      afterMs: 0,
      // @ts-expect-error the right side has no y
      combine: (_left, { y }) => y,
    }),
  "a union of different values": () =>
    // @ts-expect-error a stream of numbers is no stream of readings
    readings().union(readings().map(({ x }) => x)),
  "a branch that is not there": () =>
    // @ts-expect-error there is no branch low
    readings().branch({ high: ({ x }) => x > 0 }).low,
  "a target of other rows": () =>
    // @ts-expect-error the target writes numbers
    readings().to(testTarget<number>()),
  "a lookup in a table of other values": () => {
    const all = topology();
    const table = all.table<number>("t", { kind: "k", read: (body) => body as never });
    return readings(all).lookup(
      table,
      ({ key }) => key,
      // @ts-expect-error the table holds numbers
      (_reading, found) => found?.length,
    );
  },
  "a request whose answer is read wrongly": () =>
    keyed().request("r", {
      id: ({ key }) => key,
      ask: testTarget(),
      answers: { kind: "k", read: () => ({ id: "", answer: 1 }) },
      timeoutMs: 1,
      // @ts-expect-error the answer is a number
      answered: (_reading, answer) => answer.length,
    }),
  "a process function with another state": () =>
    keyed().process<number, number>("p", {
      ttlMs: 1,
      // @ts-expect-error the state is a number
      init: () => "",
      onEvent: (n) => n,
    }),
  "an emitted value of another type": () =>
    keyed().process<number, number>("p", {
      ttlMs: 1,
      init: () => 0,
      onEvent: (n, _reading, at) => {
        // @ts-expect-error the output is a number
        at.emit("text");
        return n;
      },
    }),
  "early rows where there are none": () =>
    // @ts-expect-error hopping windows say what they know at every slide
    hopping({ sizeMs: 10, slideMs: 5, earlyEveryMs: 1 }),
  "early rows of a session": () =>
    // @ts-expect-error a session has no end to be early for
    session({ gapMs: 1, earlyEveryCount: 3 }),
  "a time that the decoder does not read": () =>
    jsonSource({
      stream: "s",
      fields: fieldReader({ a: num, b: str }),
      // @ts-expect-error at is not among the fields
      time: ({ at }) => at,
    }),
  "an aggregate of other events": () => {
    const own: Aggregate<{ readonly price: number }, number> = sum("price");
    return (
      keyed()
        .window("w", tumbling({ sizeMs: 1 }))
        // @ts-expect-error readings have no price
        .aggregate({ own })
    );
  },
};

t.test("types flow: keys, values, results and state are what the code says, not any", async () => {
  holds<Same<ReturnType<typeof keyed>, KeyedStream<string, Reading>>>();
  const rows = () =>
    keyed()
      .window("w", tumbling({ sizeMs: 1 }))
      .aggregate({
        n: count(),
        q: quantiles("x", [0.5]),
        newest: last(({ note }: Reading) => note ?? ""),
        best: argmax(
          ({ x }: Reading) => x,
          ({ key }) => key,
        ),
        keys: top("key", { k: 1 }),
        all: collect(({ x }: Reading) => x, { limit: 3 }),
      });
  type Row = ReturnType<typeof rows> extends KeyedStream<infer K, infer V> ? { key: K; value: V } : never;
  holds<Same<Row["key"], string>>();
  holds<Same<Row["value"]["n"], number>>();
  holds<Same<Row["value"]["q"], readonly number[]>>();
  holds<Same<Row["value"]["newest"], string>>();
  holds<Same<Row["value"]["best"], string | undefined>>();
  holds<Same<Row["value"]["key"], string>>();
  holds<Same<Row["value"]["kind"], WindowRow<string, object>["kind"]>>();
  const byNumber = () =>
    readings()
      .keyBy(({ x }) => x)
      .lag("l", { ttlMs: 1 });
  holds<
    Same<
      ReturnType<typeof byNumber>,
      KeyedStream<number, { readonly value: Reading; readonly before: Reading | undefined }>
    >
  >();
  const high = () => readings().filter((reading): reading is Reading & { note: string } => reading.note !== undefined);
  holds<Same<ReturnType<typeof high>, Stream<Reading & { note: string }>>>();
});

t.test("what does not fit does not compile; what it would do is another matter", async (t) => {
  const names = Object.keys(REFUSED);
  t.equal(new Set(names).size, names.length);
  t.ok(names.length >= 20, `${names.length} mismatches are compile errors`);
});

t.test("a row has exactly the fields that its type names", async (t) => {
  const kit = new TestKit<Reading>(
    keyed()
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({ n: count(), total: sum("x") })
      .to(testTarget()),
  );
  kit.event(1, { key: "a", x: 2 }).watermark(10);
  t.strictSame(kit.rows(), [{ key: "a", startMs: 0, endMs: 10, kind: "final", revision: 0, n: 1, total: 2 }]);
});
