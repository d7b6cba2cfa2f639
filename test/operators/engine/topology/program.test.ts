import t from "tap";
import type { LogMessage, Output, TaskContext } from "../../../../src/core/index.js";
import {
  count,
  jsonLines,
  pipeline,
  source,
  TestKit,
  type Topology,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";

interface Reading {
  readonly key: string;
  readonly at: number;
}

import { refusal } from "../support/refusal.js";

const CONTEXT: TaskContext = {
  task: "sample/1",
  partition: 1,
  partitions: 3,
  inference: { run: () => Promise.reject(new Error("none")) },
};

const readings = (options: object = {}) =>
  source<Reading>({
    stream: "readings",
    decode: jsonLines((body) => {
      const { key, at } = body as Reading;
      if (typeof key !== "string") throw new TypeError("a reading needs a key");
      return { key, at };
    }),
    time: ({ at }) => at,
    ...options,
  });

/** Where a message was, of which source, and the key that nobody has given: `keyBy` comes later. */
function where(options: object = {}): Topology {
  return pipeline("where")
    .from(readings(options))
    .map(({ key }, { sequence, index, source: from, timeMs, key: filed, ahead }) => ({
      key,
      sequence,
      index,
      from,
      timeMs,
      filed,
      ahead,
    }))
    .to(testTarget());
}

const text = (...lines: unknown[]): string =>
  lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");

t.test("each event knows its place: message, number in it, source, time; nothing is filed before keyBy", async (t) => {
  const kit = new TestKit(where());
  kit.message(text({ key: "a", at: 5 }, "{", { key: "b", at: 6 }), { "Millrace-Source": "pit" });
  kit.message(text({ key: "c", at: 7 }));
  t.same(kit.rows(), [
    { key: "a", sequence: 1, index: 0, from: "pit", timeMs: 5, filed: "", ahead: undefined },
    { key: "b", sequence: 1, index: 2, from: "pit", timeMs: 6, filed: "", ahead: undefined },
    { key: "c", sequence: 2, index: 0, from: "live", timeMs: 7, filed: "", ahead: undefined },
  ]);
  t.match(kit.counters(), { received: 4, deadLettered: 1, accepted: 3, late: 0, duplicates: 0 });
});

t.test("a dead letter: why, where, the bytes of the event alone, and who sent it", async (t) => {
  const kit = new TestKit(where());
  kit.message(text({ key: "a", at: 5 }, '{"at":1}'), { "Millrace-Source": "pit", "Millrace-Door": "mqtt" });
  const [output] = kit.take().filter(({ stream }) => stream === "dead");
  t.same(output, {
    stream: "dead",
    subject: "dead.telemetry",
    record: {
      kind: "dead",
      domain: "telemetry",
      eventId: "",
      reason: "a reading needs a key",
      source: "pit",
      door: "mqtt",
      subject: "readings.0.event",
      origin: { stream: "readings", sequence: 1, index: 1 },
      bytesBase64: Buffer.from('{"at":1}').toString("base64"),
      bytesTotal: 8,
    },
  });
});

t.test("domain: github for the stream of that name, else as the source says", async (t) => {
  for (const [options, domain, recordDomain] of [
    [{ stream: "github" }, "github", "github"],
    [{ domain: "github" }, "github", "github"],
    [{}, "telemetry", "sensor"],
  ] as const) {
    const topology = pipeline("domain")
      .from(readings(options))
      .keyBy(({ key }) => key)
      .window("w", tumbling({ sizeMs: 10 }))
      .aggregate({ n: count() })
      .to(testTarget());
    const kit = new TestKit(topology).message("{}");
    t.match(kit.dead(), [{ domain }]);
    kit.watermark(100).message(text({ key: "k 1", at: 5 }));
    t.match(
      kit.take().filter(({ stream }) => stream === "late"),
      [
        {
          subject: "late.domain",
          record: {
            kind: "late",
            pipeline: "domain",
            domain: recordDomain,
            key: "k 1",
            eventId: "3/0",
            tsMs: 5,
            lateByMs: 90,
          },
        },
      ],
    );
  }
});

t.test("a decoder that throws: the whole message is one dead letter, and the next is read", async (t) => {
  const kit = new TestKit(
    where({
      decode: ({ data }: LogMessage, found: { event: (value: Reading, from: number, to: number) => void }) => {
        if (data.length < 3) throw new RangeError("too short");
        found.event({ key: "a", at: 1 }, 0, data.length);
      },
    }),
  );
  kit.message("xx").message("long enough");
  t.match(kit.dead(), [{ reason: "cannot be decoded: too short", bytesTotal: 2 }]);
  t.equal(kit.rows().length, 1);
  t.match(kit.counters(), { received: 2, deadLettered: 1, accepted: 1 });
});

t.test("maxAheadMs: an event too far ahead of its source's clock is set aside and moves nothing", async (t) => {
  const kit = new TestKit(where({ timing: { maxAheadMs: 10 } }));
  kit.tick(100).message(text({ key: "a", at: 110 }, { key: "b", at: 111 }));
  t.same(
    kit.rows<{ key: string }>().map(({ key }) => key),
    ["a"],
  );
  t.match(kit.dead(), [{ reason: "beyond source time" }]);
});

t.test("a stage's marks: one for each partition of the next stage, as far as the interval reaches", async (t) => {
  const topology = pipeline("sample", { marks: { stream: "next", everyMs: 10 } })
    .from(readings())
    .to(testTarget());
  const program = topology.create(CONTEXT);
  t.equal(program.watermarkMs(), undefined);
  const said: Output[] = [];
  const tick = (at: number): void =>
    program.apply(
      {
        sequence: 1,
        subject: "readings.1._tick.live",
        data: Buffer.from(JSON.stringify({ source: "live", t: at, mark: at })),
        header: () => undefined,
      },
      undefined,
      (output) => said.push(output),
    );
  tick(9);
  tick(10);
  tick(19);
  t.equal(program.watermarkMs(), 19);
  t.same(
    said,
    [0, 10].flatMap((watermarkMs) =>
      [0, 1, 2].map((partition) => ({
        stream: "next",
        subject: `next.${partition}._mark.sample%2F1`,
        record: { kind: "mark", task: "sample/1", watermarkMs },
      })),
    ),
  );
  t.same(topology.writes, ["dead", "late", "next", "out"]);
});

t.test("the batch function sees the slice and its task; each message gets its own item", async (t) => {
  const topology = pipeline("ahead", {
    lookAhead: async (messages, { partition }) => messages.map(({ sequence }) => `${partition}: ${sequence}`),
  })
    .from(readings())
    .map((_reading, { ahead }) => ahead)
    .to(testTarget());
  const program = topology.create(CONTEXT);
  const messages = [3, 4].map(
    (sequence): LogMessage => ({
      sequence,
      subject: "readings.1.event",
      data: Buffer.from('{"key":"a","at":1}'),
      header: () => undefined,
    }),
  );
  const items = await program.lookAhead?.(messages);
  const said: unknown[] = [];
  messages.forEach((message, i) => {
    program.apply(message, items?.[i], ({ record }) => said.push((record as unknown as { value: unknown }).value));
  });
  t.same(said, ["1: 3", "1: 4"]);
  t.equal(where().create(CONTEXT).lookAhead, undefined);
});

t.test(
  "saved state of another kind, version, format or name is refused by name, and so is more or less of it",
  async (t) => {
    const one = (version: number, name = "saved", step = "before") =>
      pipeline(name, { version })
        .from(testSource<Reading>())
        .map(({ value }) => value)
        .keyBy(({ key }) => key)
        .lag(step, { ttlMs: 1 })
        .to(testTarget());
    const bytes = new TestKit<Reading>(one(1)).event(1, { key: "a", at: 1 }).save();
    const refused = (topology: Topology, state: Uint8Array) => refusal(t, topology, CONTEXT, state);
    t.equal(refused(one(1), bytes), "accepted");
    t.equal(refused(one(2), bytes), "state of saved incompatible: saved by saved version 1, this is version 2");
    t.equal(
      refused(one(1, "other"), bytes),
      "state of other incompatible: saved by saved version 1, this is version 1",
    );
    t.match(
      refused(one(1, "saved", "after"), bytes),
      "state of operator before incompatible: there is none of that name",
    );
    t.equal(refused(one(1), Buffer.from("nonsense")), "state of saved incompatible: it is not saved state");
    t.equal(refused(one(1), Buffer.concat([bytes, Buffer.of(0, 0)])), "state of saved incompatible: 2 bytes too many");
    const format = Buffer.from(bytes);
    const formatAt = 4; // behind the magic number of four bytes
    format[formatAt] = 9;
    t.equal(refused(one(1), format), "state of saved incompatible: it has format 9, this program reads 1");
    const without = pipeline("saved").from(testSource<Reading>()).to(testTarget());
    t.match(refused(without, bytes), "state of operator before incompatible: there is none of that name");
    const empty = new TestKit<Reading>(without).save();
    t.equal(refused(one(1), empty), "state of operator before incompatible: it was not saved");
  },
);

t.test("what a program counts and knows of time is saved with it", async (t) => {
  const kit = new TestKit(where({ unique: { ttlMs: 1_000, by: ({ key }: Reading) => key } }));
  kit
    .tick(50)
    .message(text({ key: "a", at: 5 }, { key: "a", at: 5 }, "{", { key: "b", at: 6 }))
    .watermark(70);
  const before = kit.counters();
  t.match(before, { received: 4, duplicates: 1, deadLettered: 1, accepted: 2 });
  kit.cut();
  t.same(kit.counters(), before);
  kit.message(text({ key: "b", at: 6 }));
  t.equal(kit.counters().duplicates, 2);
});

t.test("a topology says what it is", async (t) => {
  const topology = pipeline("named");
  t.match(topology, { name: "named", summary: "named", version: 1 });
  t.throws(() => topology.source, { code: "MR_OPTION_INVALID", message: "named has no source" });
  t.throws(() => topology.create(CONTEXT), { code: "MR_OPTION_INVALID" });
  const other = pipeline("other").from(readings());
  const values = topology.from(readings());
  t.throws(() => values.union(other), { message: "union: its inputs belong to different topologies" });
  t.throws(() => topology.from(readings({ stream: "second" })), {
    code: "MR_OPTION_INVALID",
    message: "named reads readings; a second source (second) must enter that log as control messages",
  });
  values.keyBy(({ key }) => key).lag("step", { ttlMs: 1 });
  t.throws(() => values.keyBy(({ key }) => key).hadChanged("step", { ttlMs: 1, of: () => 1 }), {
    message: "named: two steps are called step; state is matched by name",
  });
});

t.test("decodeWith brings values that were decoded before", async (t) => {
  const topology = where().decodeWith((_message, found) => found.event({ key: "z", at: 9 }, 0, 0));
  t.match(new TestKit(topology).message("anything").rows(), [{ key: "z", timeMs: 9 }]);
});

t.test("a key must be text or a number", async (t) => {
  const topology = (key: unknown) =>
    pipeline("keys")
      .from(readings())
      .keyBy(() => key as string)
      .map((_reading, at) => at.key)
      .to(testTarget());
  for (const key of [undefined, null, Number.NaN, {}, true]) {
    const kit = new TestKit(topology(key)).message(text({ key: "a", at: 1 }));
    t.match(kit.dead(), [{ reason: `keyBy threw: key must be text or a number, got ${String(key)}` }]);
  }
  for (const key of ["", 0, -1.5, Number.POSITIVE_INFINITY])
    t.same(new TestKit(topology(key)).message(text({ key: "a", at: 1 })).rows(), [key]);
});

t.test("policy of a step: fail stops the task, dead sets the event aside, in every step that takes one", async (t) => {
  const explode = (): never => {
    throw new Error("planted");
  };
  const onError = "fail" as const;
  const stream = () => pipeline("policy").from(readings());
  const keyed = () => stream().keyBy(({ key }) => key);
  const steps: Readonly<Record<string, (options: { onError?: "fail" }) => Topology>> = {
    map: (options) => stream().map(explode, options).to(testTarget()),
    filter: (options) => stream().filter(explode, options).to(testTarget()),
    flatMap: (options) => stream().flatMap(explode, options).to(testTarget()),
    keyBy: (options) => stream().keyBy(explode, options).to(testTarget()),
    "keyed map": (options) => keyed().map(explode, options).to(testTarget()),
    "keyed filter": (options) => keyed().filter(explode, options).to(testTarget()),
    "keyed flatMap": (options) => keyed().flatMap(explode, options).to(testTarget()),
  };
  for (const [name, build] of Object.entries(steps)) {
    const send = (topology: Topology) => new TestKit(topology).message(text({ key: "a", at: 1 }));
    t.match(send(build({})).dead(), [{ reason: `${name.split(" ").at(-1)} threw: planted` }], name);
    t.throws(() => send(build({ onError })), { message: "planted" }, name);
  }
});

t.test("a program without stateful steps saves its time, at once and in steps alike", async (t) => {
  const topology = pipeline("test.stateless");
  topology
    .from(testSource<number>())
    .map(({ value }) => value + 1)
    .to(testTarget("out"));
  const create = () =>
    topology.create({ task: "t/0", partition: 0, partitions: 1, inference: { run: async () => new Float32Array() } });
  const program = create();
  const save = program.beginSave?.();
  t.equal(save?.step(), true);
  const bytes = Buffer.concat(save?.parts ?? []);
  t.same(bytes, Buffer.from(program.save()));
  const next = create();
  next.load(bytes);
  t.same(Buffer.from(next.save()), bytes);
});
