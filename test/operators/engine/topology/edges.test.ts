import t from "tap";
import type { LogMessage, Output, TaskContext } from "../../../../src/core/index.js";
import { pipeline, TestKit, type Topology, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Runtime } from "../../../../src/operators/engine/topology/runtime.js";
import { refusal } from "../support/refusal.js";

const CONTEXT: TaskContext = {
  task: "edges/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};

const numbers = (name = "test.edges") => {
  const topology = pipeline(name);
  return { topology, values: topology.from(testSource<number>()).map(({ value }) => value) };
};

const message = (sequence: number, subject: string, body: object): LogMessage => ({
  sequence,
  subject,
  data: Buffer.from(JSON.stringify(body)),
  header: () => undefined,
});

t.test("a topology's own words: one task or many, no tables, streams written", async (t) => {
  t.equal(pipeline("a").single, false);
  t.equal(pipeline("a", { single: true }).single, true);
  t.match(pipeline("a", { summary: "s", version: 3 }), { summary: "s", version: 3 });
  t.same(pipeline("a").tables, []);
  t.same(pipeline("a").writes, ["dead", "late"]);
  const { values } = numbers();
  t.same(values.to(testTarget("a")).writes, ["a", "dead", "late"]);
});

t.test("branch: each value goes one way, the first that holds, or the rest's", async (t) => {
  const { topology, values } = numbers();
  const { even, small, rest } = values.branch({ even: (n) => n % 2 === 0, small: (n) => n < 10 });
  even.to(testTarget("even"));
  small.to(testTarget("small"));
  rest.to(testTarget("rest"));
  const kit = new TestKit<number>(topology);
  for (const n of [1, 2, 11, 12, 3]) kit.event(1, n);
  t.same([kit.rows("even"), kit.rows("small"), kit.rows("rest")], [[2, 12], [1, 3], [11]]);
});

t.test("flatMap, filter and union, filed or not: what goes on, in order, from every input", async (t) => {
  const { topology, values } = numbers();
  const twice = values.flatMap<number>((n, emit, { sequence }) => {
    emit(n);
    if (n > 1) emit(n * 100 + sequence);
  });
  values
    .filter((n) => n > 2)
    .union(twice, twice)
    .to(testTarget("all"));
  const keyed = values.keyBy((n) => n % 2);
  keyed.filter((n, { key }) => n > 1 && key === 1).to(testTarget("odd"));
  keyed.flatMap<string>((n, emit, { key }) => emit(`${key}: ${n}`)).to(testTarget("flat"));
  keyed.map((n, { key }) => `${key} ${n}`).to(testTarget("mapped"));
  keyed
    .values()
    .map((n, { key }) => `${key} ${n}`)
    .to(testTarget("values"));
  const kit = new TestKit<number>(topology);
  for (const n of [1, 2, 3]) kit.event(1, n);
  t.same(kit.rows("all"), [1, 1, 2, 2, 202, 202, 3, 3, 303, 303, 3]);
  t.same(kit.rows("odd"), [3]);
  t.same(kit.rows("flat"), ["1: 1", "0: 2", "1: 3"]);
  t.same(kit.rows("mapped"), ["1 1", "0 2", "1 3"]);
  t.match(kit.counters(), { accepted: 3 });
});

t.test("a key holds behind its keyBy, and is given back to what stands beside it", async (t) => {
  const { topology, values } = numbers();
  values
    .keyBy((n) => `outer ${n}`)
    .map((_n, { key }) => key)
    .to(testTarget("first"));
  values.map((_n, { key }) => `${String(key)}.`).to(testTarget("beside"));
  values
    .keyBy((n) => `outer ${n}`)
    .map((n) => n)
    .values()
    .keyBy((n) => `inner ${n}`)
    .map((_n, { key }) => key)
    .to(testTarget("inner"));
  const failing = values
    .keyBy((n) => n)
    .map((n) => {
      if (n < 0) throw new Error("planted");
      return n;
    });
  failing.to(testTarget("none"));
  const kit = new TestKit<number>(topology).event(1, 1).event(1, -1).event(1, 2);
  t.same(kit.rows("first"), ["outer 1", "outer 2"]);
  t.same(kit.rows("beside"), [".", "."], "nor does the key of an event that failed stay");
  t.same(kit.rows("inner"), ["inner 1", "inner 2"]);
});

t.test("a target that has nothing to write for a row writes nothing", async (t) => {
  const { topology, values } = numbers();
  values.to({
    stream: "some",
    write: (n, at) =>
      n % 2 === 0 ? undefined : ({ stream: "some", subject: "some.0", record: { n, at: at.timeMs } } as never),
  });
  const kit = new TestKit<number>(topology).event(7, 1).event(8, 2).event(9, 3);
  t.match(kit.take(), [{ record: { n: 1, at: 7 } }, { record: { n: 3, at: 9 } }]);
  t.same(topology.steps.at(-1), { name: "to some", kind: "sink", detail: "some", to: ["some"] });
});

t.test(
  "control messages of one kind reach all who listen; a table that nobody reads keeps its state too",
  async (t) => {
    const { topology, values } = numbers();
    const read = (body: unknown) => body as { key: string; value: number };
    const [one, other] = ["one", "other"].map((name) => topology.table<number>(name, { kind: "k", read })) as [
      never,
      never,
    ];
    topology.table<number>("unread", { kind: "k", read });
    values
      .lookup(
        one,
        () => "a",
        (_n, found) => found ?? "none",
      )
      .to(testTarget("one"));
    values
      .lookup(
        other,
        () => "a",
        (_n, found) => found ?? "none",
      )
      .to(testTarget("other"));
    const kit = new TestKit<number>(topology).event(1, 1).control("k", { key: "a", value: 5 });
    kit.cut();
    kit.event(2, 2);
    t.same(
      [kit.rows("one"), kit.rows("other")],
      [
        ["none", 5],
        ["none", 5],
      ],
    );
    t.same(
      kit.metrics().map(({ name, keys }) => [name, keys]),
      [
        ["one", 1],
        ["other", 1],
        ["unread", 1],
      ],
    );
  },
);

t.test("many results at once: all of them come out, in one go or in steps of 256", async (t) => {
  const topology = (): Topology => {
    const { topology, values } = numbers();
    values.inOrder("held", { order: String }).to(testTarget());
    return topology;
  };
  const said: Output[][] = [[], []];
  const steps: number[] = [];
  for (const [way, out] of said.entries()) {
    const program = topology().create(CONTEXT);
    for (let n = 0; n < 600; n++)
      program.apply(
        { ...message(n, "test.0.event", {}), sent: { timeMs: 5, value: n } } as LogMessage,
        undefined,
        (output) => out.push(output),
      );
    const tick = message(600, "test.0._tick.live", { source: "live", t: 600, mark: 600 });
    if (way === 0) {
      program.apply(tick, undefined, (output) => out.push(output));
      continue;
    }
    const rest = program.applyInSteps(tick, undefined, (output) => out.push(output));
    steps.push(out.length);
    while (rest?.next().done === false) steps.push(out.length);
    steps.push(out.length);
  }
  t.equal(said[0]?.length, 600);
  t.same(said[1], said[0]);
  t.same(steps, [0, 0, 0, 256, 512, 600], "two of sorting, then what was fired");
  const program = topology().create(CONTEXT);
  t.equal(
    program.applyInSteps(message(1, "test.0._tick.live", { source: "live", t: 1 }), undefined, () => undefined),
    undefined,
  );
});

t.test("units of work: 256 a step, however they are counted", async (t) => {
  const runtime = new Runtime({ onLate: () => undefined, onDead: () => undefined });
  t.equal(runtime.unitsLeft, 256);
  for (let i = 1; i <= 255; i++) if (runtime.isStepOver()) t.fail(`over after ${i}`);
  t.equal(runtime.unitsLeft, 1);
  t.ok(runtime.isStepOver());
  t.equal(runtime.unitsLeft, 256);
  t.notOk(runtime.isStepOver(100));
  t.notOk(runtime.isStepOver(155));
  t.ok(runtime.isStepOver(1));
  t.ok(runtime.isStepOver(1_000));
  t.equal(runtime.unitsLeft, 256, "what was too much is not carried over");
});

t.test("only subjects with a token of control behind the partition are control messages", async (t) => {
  const { topology, values } = numbers();
  values.to(testTarget());
  topology.control("go", () => 1).to(testTarget("went"));
  const outputs: Output[] = [];
  const send = (subject: string): void => {
    const sent = { timeMs: 1, value: 5 };
    const program = topology.create(CONTEXT);
    program.apply({ ...message(1, subject, { x: 1 }), sent } as LogMessage, undefined, (output) =>
      outputs.push(output),
    );
  };
  const streamsOf = (...subjects: string[]): string[] => {
    outputs.length = 0;
    for (const subject of subjects) send(subject);
    return outputs.map(({ stream }) => stream);
  };
  t.same(
    streamsOf("test.0.event", "test.0", "test", "_tick", "_ctl.0.go", "test._ctl.go", "test.0.e._ctl.go"),
    Array(7).fill("out"),
  );
  t.same(streamsOf("test.0._ctl.go", "test.0._ctl.deep.er.go"), ["went", "went"]);
  t.same(
    streamsOf("test.0._ctl", "test.0._other.go", "test.0._mark", "test.0._tick"),
    ["dead"],
    "a tick without a source",
  );
});

t.test("a tick needs a name and a whole number of ms", async (t) => {
  const kit = new TestKit(numbers().values.to(testTarget()));
  const wrong = [{ t: 5 }, { source: 7, t: 5 }, { source: "a" }, { source: "a", t: "5" }, { source: "a", t: 2 ** 53 }];
  const before = kit.save();
  for (const tick of wrong) kit.message(JSON.stringify(tick), {}, "_tick.a");
  t.same(
    kit.dead().map(({ reason }) => reason),
    wrong.map(() => "control message test.0._tick.a: a tick needs source and integer t"),
  );
  t.equal(kit.save().length, before.length, "no source came of it");
});

t.test("marks of tasks: those that are waited for, with a whole number of ms", async (t) => {
  const topology = pipeline("test.next");
  topology.from({ ...testSource<number>(), producers: () => ["up/0", "up/1"] }).to(testTarget());
  const program = topology.create(CONTEXT);
  const mark = (body: object): number | undefined => {
    program.apply(message(1, "test.0._mark.x", body), undefined, (output) => t.fail(JSON.stringify(output)));
    return program.watermarkMs();
  };
  t.equal(mark({ task: "up/0", watermarkMs: 50 }), undefined);
  t.equal(mark({ task: "up/1", watermarkMs: 40 }), 40);
  t.equal(mark({ task: "up/2", watermarkMs: 10 }), 40, "nobody waits for it");
  t.equal(mark({ task: "up/1", watermarkMs: 45.5 }), 40);
  t.equal(mark({ task: 7, watermarkMs: 60 }), 40);
  t.equal(mark({ task: "up/1", watermarkMs: 60 }), 50);
  t.equal(mark({ task: "up/0", watermarkMs: 55 }), 55);
  const whoever = new TestKit(numbers().values.to(testTarget()));
  const open = numbers().values.to(testTarget()).create(CONTEXT);
  for (const body of [{ task: 7, watermarkMs: 60 }, { task: "up/0" }, { task: "up/0", watermarkMs: "60" }])
    open.apply(message(1, "test.0._mark.x", body), undefined, (output) => t.fail(JSON.stringify(output)));
  t.equal(open.watermarkMs(), undefined, "what is no mark says nothing");
  t.same(Buffer.from(open.save()), Buffer.from(whoever.save()), "and leaves no source behind");
  const producers = (names: string[]): number | undefined => {
    program.apply(message(2, "test.0._ctl.producers", { producers: names }), undefined, () => undefined);
    return program.watermarkMs();
  };
  t.equal(producers(["up/1"]), 60, "up/0 holds nothing any more");
  t.equal(producers(["up/1", "up/0"]), 60);
});

t.test("an operator's saved part that is longer or shorter than it reads is refused by its name", async (t) => {
  const embedded = (load: (saved: unknown) => void, saved: unknown = { n: 1 }): Topology => {
    const { topology, values } = numbers();
    values
      .embed<number>("own", () => ({ take: () => undefined, advance: () => undefined, save: () => saved, load }))
      .to(testTarget());
    return topology;
  };
  const bytes = new TestKit(embedded(() => undefined)).save();
  const refused = (topology: Topology, state: Uint8Array) => refusal(t, topology, CONTEXT, state);
  /** The last operator's part with other bytes. */
  const withPart = (change: (part: Uint8Array) => Uint8Array): Uint8Array => {
    const nameAt = Buffer.from(bytes).lastIndexOf("own");
    const reader = new ByteReader(bytes.subarray(nameAt + 3));
    const writer = new ByteWriter();
    writer.raw(bytes.subarray(0, nameAt + 3));
    writer.bytes(change(reader.bytes()));
    return writer.finish();
  };
  t.equal(
    refused(
      embedded(() => undefined),
      withPart((part) => part),
    ),
    "accepted",
  );
  t.equal(
    refused(
      embedded(() => undefined),
      withPart((part) => Buffer.concat([part, Buffer.of(1, 2, 3)])),
    ),
    "state of operator own incompatible: 3 bytes too many",
  );
  t.match(
    refused(
      embedded(() => undefined),
      withPart((part) => part.subarray(0, -1)),
    ),
    /^state of operator own incompatible: reading state: 1 bytes wanted at \d+, 0 left$/,
  );
  const unhappy = embedded(() => {
    throw new Error("not mine");
  });
  t.equal(refused(unhappy, bytes), "state of operator own incompatible: not mine");
});

t.test("a save in steps: an operator at a time, by name, whatever the order of their declaration", async (t) => {
  const { topology, values } = numbers();
  const keyed = values.keyBy((n) => n);
  for (const name of ["c", "a", "b"]) keyed.lag(name, { ttlMs: 100 }).to(testTarget(name));
  const program = topology.create(CONTEXT);
  const send = (n: number): void =>
    program.apply(
      { ...message(n, "test.0.e", {}), sent: { timeMs: 1, value: n } } as LogMessage,
      undefined,
      () => undefined,
    );
  for (let n = 0; n < 5; n++) send(n);
  const expected = program.save();
  const save = program.beginSave();
  let steps = 0;
  for (; !save.step(); steps++) {
    t.ok(steps < 20);
    send(100 + steps);
  }
  t.ok(steps >= 2, `${steps} pauses for three operators`);
  t.ok(save.step(), "over is over");
  const bytes = Buffer.concat(save.parts as Uint8Array[]);
  t.same(bytes, Buffer.from(expected));
  const places = ["a", "b", "c"].map((name) => bytes.indexOf(Buffer.of(2, name.charCodeAt(0))));
  t.ok(
    places.every((place, i) => place > 0 && (i === 0 || place > (places[i - 1] as number))),
    places.join(", "),
  );
  t.same([...new Set(program.heldKeys())].length, 5 + steps);
  t.same(
    program.held(3).map(({ operator }) => operator),
    ["c", "a", "b"],
  );
});

t.test("what is late, and fails behind that, is not counted late", async (t) => {
  const { topology, values } = numbers();
  values.inOrder("held", { order: String }).to(testTarget());
  values
    .map((n) => {
      if (n < 0) throw new Error("planted");
    })
    .to(testTarget("none"));
  const kit = new TestKit<number>(topology).watermark(10).event(5, 1).event(5, -1).event(9, -2).event(9, 2);
  t.match(kit.counters(), { received: 4, late: 2, deadLettered: 2, accepted: 2 });
  t.match(kit.late(), [{ lateByMs: 5 }, { lateByMs: 1 }]);
  kit.cut();
  t.match(kit.counters(), { received: 4, late: 2, deadLettered: 2, accepted: 2 });
});

t.test("operators hear of time when it moves, and only then", async (t) => {
  const { topology, values } = numbers();
  const heard: number[] = [];
  values
    .embed<number>("clock", () => ({
      take: () => undefined,
      advance: (watermarkMs) => void heard.push(watermarkMs),
      save: () => 0,
      load: () => undefined,
    }))
    .to(testTarget());
  const kit = new TestKit<number>(topology)
    .tick(100_000)
    .tick(100_000)
    .tick(0, { source: "behind" })
    .watermark(100_001);
  t.same(heard, [40_000]);
  kit.tick(50_000, { source: "behind", mark: 45_000 });
  t.same(heard, [40_000, 45_000]);
  kit.control("producers", { producers: [] }).tick(50_000, { source: "behind" });
  t.same(heard, [40_000, 45_000]);
});

t.test("after something fired for a key, the next event is nobody's", async (t) => {
  const { topology, values } = numbers();
  values
    .keyBy((n) => `key ${n}`)
    .process<number, string>("timers", {
      ttlMs: 1_000,
      init: () => 0,
      onEvent: (n, _value, at) => {
        at.setTimer(50);
        return n;
      },
      onTimer: (n, _timeMs, at) => {
        at.emit(`${at.key}`);
        return n;
      },
    })
    .map((text, at) => `${text} ${at.key} ${at.source} ${at.watermarkMs}`)
    .to(testTarget("fired"));
  topology
    .control("go", () => 0)
    .map((_n, { key }) => key)
    .to(testTarget("told"));
  values.map((_n, { key, index, source }) => [key, index, source]).to(testTarget());
  const kit = new TestKit<number>(topology);
  kit.event(1, 7, { source: "pit" }).watermark(60).control("go", {}).event(61, 8, { source: "pit" });
  t.same(kit.rows("fired"), ["key 7 key 7  50"]);
  t.same(kit.rows("told"), [""]);
  t.same(kit.rows(), [
    ["", 0, "pit"],
    ["", 0, "pit"],
  ]);
});
