import t from "tap";
import type { LogMessage, Output } from "../../../../src/core/index.js";
import { count, pipeline, TestKit, testSource, testTarget, tumbling } from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Seen } from "../../../../src/operators/engine/time/seen.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const readings = (name: string) => pipeline(name).from(testSource<Reading>()).map(readingOf);
const keyed = (name: string) => readings(name).keyBy(({ key }) => key);
const event = (timeMs: number, x = 0, key = "a"): Reading => ({ id: timeMs, key, timeMs, x });
const CONTEXT = { task: "edges/2", partition: 2, partitions: 5, inference: { run: async () => new Float32Array() } };

t.test("process: the function knows the place of its event, and of its timer what a timer has", async (t) => {
  const topology = keyed("edges")
    .process<number, unknown>("p", {
      ttlMs: Number.POSITIVE_INFINITY,
      init: () => 0,
      onEvent(n, _value, at) {
        const { key, timeMs, watermarkMs, source, sequence, index, partition, partitions, ahead } = at;
        at.emit({ key, timeMs, watermarkMs, source, sequence, index, partition, partitions, ahead });
        at.setTimer(timeMs + 5);
        return n + 1;
      },
      onTimer(n, _timeMs, { key, timeMs, watermarkMs, source, partition, partitions, ahead, emit }) {
        emit({ key, timeMs, watermarkMs, source, partition, partitions, ahead });
        return n;
      },
    })
    .to(testTarget());
  const program = topology.create(CONTEXT);
  const said: unknown[] = [];
  const apply = (message: object, ahead?: unknown): void =>
    program.apply(
      { data: new Uint8Array(0), header: () => undefined, ...message } as unknown as LogMessage,
      ahead,
      ({ record }: Output) => said.push((record as unknown as { value: unknown }).value),
    );
  const tick = (at: number): void =>
    apply({
      sequence: 9,
      subject: "test.2._tick.pit",
      data: Buffer.from(JSON.stringify({ source: "pit", t: at, mark: at })),
    });
  tick(3);
  const sent = { timeMs: 7, value: event(7), source: "pit" };
  apply({ sequence: 41, subject: "test.2.event", sent }, { asked: 1 });
  tick(20);
  const place = { key: "a", partition: 2, partitions: 5 };
  t.same(said, [
    { ...place, timeMs: 7, watermarkMs: 3, source: "pit", sequence: 41, index: 0, ahead: { asked: 1 } },
    { ...place, timeMs: 12, watermarkMs: 12, source: "", ahead: undefined },
  ]);
});

t.test("process: an event extends the time to live, one that fails does not; a timer outlives it", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("edges")
      .process<number, number>("p", {
        ttlMs: 50,
        init: () => 0,
        onEvent(n, { x }, at) {
          if (x < 0) throw new Error("planted");
          if (x > 0) at.setTimer(at.timeMs + x);
          return n + 1;
        },
        onTimer: (n) => n,
      })
      .to(testTarget()),
  );
  const keys = (atMs: number): number | undefined => kit.watermark(atMs).metrics()[0]?.keys;
  kit.event(0, event(0)).event(30, event(30)).event(40, event(40, -1));
  t.equal(keys(51), 1, "as of the event at 30");
  t.equal(keys(79), 1);
  t.equal(keys(80), 0, "not of the one at 40, which failed");
  kit.event(100, event(100, 90));
  t.equal(keys(189), 1, "a timer is still to come");
  t.equal(keys(190), 0);
});

t.test("process: many keys, each forgotten by its own time", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("edges")
      .process<number, never>("p", { ttlMs: 50, init: () => 0, onEvent: (n) => n + 1 })
      .to(testTarget()),
  );
  for (let i = 0; i < 40; i++) kit.event(i, event(i, 0, `k${i}`));
  for (let i = 0; i < 40; i++) {
    if (i === 20) kit.cut();
    t.equal(kit.watermark(i + 50).metrics()[0]?.keys, 39 - i, `at ${i + 50}`);
  }
});

t.test("process: a key kept for its timer alone holds no state, and says so", async (t) => {
  const topology = keyed("edges")
    .process<number, number>("p", {
      ttlMs: 50,
      init: () => 7,
      onEvent(_n, { x }, at) {
        at.setTimer(at.timeMs + 20);
        return x > 0 ? x : undefined;
      },
      onTimer: (n, _timeMs, at) => {
        at.emit(n);
        return undefined;
      },
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.event(1, event(1)).event(2, event(2, 5, "b"));
  for (const round of ["as it is", "loaded"]) {
    const program = topology.create(CONTEXT);
    program.load(kit.save());
    t.same(program.held("a"), [{ operator: "p", value: { state: null, atMs: 1, timers: [21] } }], round);
    t.same(program.held("b"), [{ operator: "p", value: { state: 5, atMs: 2, timers: [22] } }], round);
    kit.cut();
  }
  kit.watermark(30);
  t.same(kit.rows(), [7, 5], "a forgotten state begins anew, a kept one goes on");
});

t.test("process: states that rest as bytes are in the bytes its metrics tell", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("edges")
      .process<string, never>("p", {
        ttlMs: 50,
        init: () => "",
        onEvent: (_before, { key }) => key.repeat(1_000),
      })
      .to(testTarget()),
  );
  for (const key of ["a", "b", "c"]) kit.event(1, event(1, 0, key));
  const before = kit.metrics()[0]?.bytes as number;
  kit.save();
  t.ok((kit.metrics()[0]?.bytes as number) >= before + 3_000);
});

t.test("process: numbers rest that do not change, and where few do; what nothing rests in is not kept", async (t) => {
  for (const state of ["number", "text"] as const) {
    const kit = new TestKit<Reading>(
      keyed("edges")
        .process<number | string, never>("p", {
          ttlMs: 50,
          init: () => 0,
          onEvent: (before) => (state === "text" ? `${Number(before) + 1}` : Number(before) + 1),
        })
        .to(testTarget()),
    );
    const change = (from: number, to: number, timeMs: number): void => {
      for (let i = from; i < to; i++) kit.event(timeMs, event(timeMs, 0, `key ${i}`));
    };
    const bytes = (): number => kit.metrics()[0]?.bytes as number;
    /** By how much what is held changes with a save. */
    const savedBytes = (inSteps: boolean): number => {
      const before = bytes();
      if (inSteps) for (const save = kit.beginSave(); !save.step(); );
      else kit.save();
      return bytes() - before;
    };
    change(0, 1_000, 1);
    t.ok(savedBytes(false) > 10_000, "new ones rest");
    for (const inSteps of [false, true]) {
      change(0, 1_000, 2);
      if (state === "text") {
        t.ok(Math.abs(savedBytes(inSteps)) < 2_000, "texts would take heap: they rest all the same");
        continue;
      }
      t.ok(savedBytes(inSteps) < -10_000, "all have changed");
      t.ok(savedBytes(inSteps) > 10_000, "none has");
      change(0, 499, 3);
      t.equal(savedBytes(inSteps), 0, "fewer than half have");
    }
    if (state === "text") continue;
    change(0, 900, 60);
    kit.watermark(100); // a hundred are forgotten
    t.ok(savedBytes(true) < -10_000);
    kit.watermark(105);
    change(0, 100, 106);
    kit.watermark(120); // eight hundred that had changed are, and count no more
    t.equal(kit.metrics()[0]?.keys, 100);
    savedBytes(true);
    t.ok(savedBytes(true) > 1_000);
    change(0, 40, 121);
    t.equal(savedBytes(true), 0, "forty of a hundred");
  }
});

t.test("latest values: many keys, each forgotten by its own time; a failed event extends nothing", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("edges")
      .lag("l", { ttlMs: 50 })
      .map(({ value }) => {
        if (value.x < 0) throw new Error("planted");
        return value.id;
      })
      .to(testTarget()),
  );
  const keys = (): number | undefined => kit.metrics()[0]?.keys;
  for (let i = 0; i < 40; i++) kit.event(i, event(i, 0, `k${i}`));
  for (let i = 0; i < 40; i++) kit.event(i + 30, event(i + 30, -1, `k${i}`));
  t.equal(kit.dead().length, 40);
  for (const cut of [false, true]) {
    if (cut) kit.cut();
    const from = cut ? 20 : 0;
    for (let i = from; i < from + 20; i++) t.equal(kit.watermark(i + 50).metrics()[0]?.keys, 39 - i, `at ${i + 50}`);
  }
  t.equal(keys(), 0);
});

t.test("dedupe: duplicates of an event that fails in the end are not counted", async (t) => {
  const topology = readings("edges")
    .flatMap<Reading>((reading, emit) => {
      emit(reading);
      emit(reading);
      emit({ ...reading, x: reading.x + 1 });
    })
    .dedupe("d", { id: ({ x }) => x, ttlMs: 50 })
    .map(({ x }) => {
      if (x === 3) throw new Error("planted");
      return x;
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.event(1, event(1, 0));
  t.equal(kit.counters().duplicates, 1);
  kit.event(2, event(2, 2));
  t.same([kit.counters().duplicates, kit.dead().length, kit.rows()], [1, 1, [0, 1]]);
});

t.test("request: what has timed out is not answered, what waits on under the same name is", async (t) => {
  const topology = keyed("edges")
    .request<number, string>("r", {
      id: () => "one",
      ask: testTarget("questions"),
      answers: { kind: "answer", read: (body) => body as { id: string; answer: number } },
      timeoutMs: 10,
      answered: ({ id }, answer) => `${id}: ${answer}`,
      timedOut: ({ id }) => `${id}: none`,
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  for (const atMs of [1, 1, 5, 9]) kit.event(atMs, event(atMs));
  kit.watermark(15).control("answer", { id: "one", answer: 7 }).watermark(100);
  t.same(kit.rows(), ["1: none", "1: none", "5: none", "9: 7"]);
  t.equal(kit.rows("questions").length, 1);
});

t.test("score: what is held of a key is its model, and the time of its latest event", async (t) => {
  const topology = keyed("edges")
    .score("s", {
      model: () => {
        let n = 0;
        return {
          scoreOne: () => n,
          learnOne: () => void n++,
          save: () => ({ n }),
          load: (saved) => (n = (saved as { n: number }).n),
        };
      },
      combine: (_value, score) => score,
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  for (const atMs of [5, 9, 7]) kit.event(atMs, event(atMs));
  const program = topology.create(CONTEXT);
  program.load(kit.save());
  t.same(program.held("a"), [{ operator: "s", value: { model: { n: 3 }, atMs: 9 } }]);
});

t.test("a target that makes nothing of a value writes nothing", async (t) => {
  const some = {
    stream: "out",
    write: ({ x }: Reading, at: object) => (x > 0 ? testTarget().write(x, at as never) : undefined),
  };
  const kit = new TestKit<Reading>(readings("edges").to(some));
  kit.event(1, event(1, 0)).event(2, event(2, 5));
  t.equal(kit.take().length, 1);
});

t.test("at one time operators speak in the order they were declared, whichever input they hang on", async (t) => {
  const topology = pipeline("edges");
  topology
    .control("alarm", (body) => body as { at: number })
    .keyBy(() => "alarm")
    .process<number, string>("alarms", {
      ttlMs: 100,
      init: () => 0,
      onEvent(n, { at: atMs }, at) {
        at.setTimer(atMs);
        return n + 1;
      },
      onTimer(n, timeMs, { emit }) {
        emit(`alarm at ${timeMs}`);
        return n;
      },
    })
    .to(testTarget());
  topology
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("w", tumbling({ sizeMs: 10 }))
    .aggregate({ n: count() })
    .map(({ endMs }) => `window to ${endMs}`)
    .to(testTarget());
  for (const cut of [false, true]) {
    const kit = new TestKit<Reading>(topology);
    kit.watermark(0).event(3, event(3)).control("alarm", { at: 10 });
    if (cut) kit.cut();
    kit.watermark(50);
    t.same(kit.rows(), ["alarm at 10", "window to 10"]);
  }
});

t.test("a table that nothing looks into keeps what it was told all the same", async (t) => {
  const topology = pipeline("edges");
  topology.table<number>("t", { kind: "t", read: (body) => body as { key: string; value: number; fromMs: number } });
  topology.from(testSource<Reading>()).to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.control("t", { key: "a", value: 1, fromMs: 0 }).cut();
  t.match(kit.metrics(), [{ name: "t", keys: 1 }]);
});

t.test("unique: saved in one order of days, whatever came first; a time to keep must be positive", async (t) => {
  const DAY_MS = 86_400_000;
  const saved = (days: readonly number[]): string => {
    const seen = new Seen(0, "seen", DAY_MS);
    for (const day of days) seen.isNew(`on day ${day}`, day * DAY_MS);
    const writer = new ByteWriter();
    seen.save(writer);
    const bytes = writer.finish();
    const other = new Seen(0, "seen", DAY_MS);
    other.load(new ByteReader(bytes));
    t.same(
      days.map((day) => other.isNew(`on day ${day}`, 0)),
      days.map(() => false),
    );
    return Buffer.from(bytes).toString("hex");
  };
  t.equal(saved([3, 1, 2, -1]), saved([-1, 1, 2, 3]));
  for (const ttlMs of [0, -1, Number.NaN])
    t.throws(() => new Seen(0, "seen", ttlMs), { code: "MR_OPTION_INVALID", message: `positive ttlMs, got ${ttlMs}` });
});

t.test("in order: a value whose event fails is not handed on later", async (t) => {
  const stream = readings("edges");
  stream.inOrder("o", { order: ({ id }) => String(id) }).to(testTarget());
  stream
    .map(({ x }) => {
      if (x < 0) throw new Error("planted");
    })
    .to({ stream: "", write: () => undefined });
  const kit = new TestKit<Reading>(stream.topology);
  for (const [timeMs, x] of [
    [5, 1],
    [3, -1],
    [4, 1],
    [9, -1],
  ] as const)
    kit.event(timeMs, event(timeMs, x));
  kit.watermark(100);
  t.same(
    kit.rows<Reading>().map(({ timeMs }) => timeMs),
    [4, 5],
  );
  t.equal(kit.dead().length, 2);
});

t.test("state of a step that has become another kind of step is refused by its name", async (t) => {
  const lagged = keyed("edges").lag("step", { ttlMs: 50 }).to(testTarget());
  const windowed = keyed("edges")
    .window("step", tumbling({ sizeMs: 10 }))
    .aggregate({ n: count() })
    .to(testTarget());
  for (const [from, to] of [
    [lagged, windowed],
    [windowed, lagged],
  ] as const) {
    const kit = new TestKit<Reading>(from);
    for (const key of ["a", "b", "c"]) kit.event(1, event(1, 1, key));
    t.throws(() => to.create(CONTEXT).load(kit.save()), {
      code: "MR_STATE_INCOMPATIBLE",
      message: "state of operator step incompatible: ",
    });
  }
});
