import t from "tap";
import {
  count,
  lint,
  pipeline,
  session,
  source,
  sum,
  TestKit,
  testSource,
  testTarget,
  topologyJson,
  topologyMermaid,
  topologyText,
  tumbling,
} from "../../../../src/operators/engine/index.js";

interface Reading {
  readonly key: string;
  readonly x: number;
}

function sample() {
  return pipeline("test.sample", { summary: "readings per key" })
    .from(testSource<Reading>({ timing: { disorderMs: 5_000, idleAfterMs: 60_000 } }))
    .map(({ value }) => value)
    .keyBy(({ key }) => key)
    .window("hours", tumbling({ sizeMs: 3_600_000, latenessMs: 1_000 }))
    .aggregate({ n: count(), total: sum("x") })
    .to(testTarget());
}

t.test("types: what does not fit does not compile", async () => {
  const readings = pipeline("test.types")
    .from(testSource<Reading>())
    .map(({ value }) => value);
  const keyed = readings.keyBy(({ key }) => key);
  // @ts-expect-error there is no field y
  keyed.window("a", tumbling({ sizeMs: 1 })).aggregate({ total: sum("y") });
  // @ts-expect-error key is text, not a number
  keyed.window("b", tumbling({ sizeMs: 1 })).aggregate({ total: sum("key") });
  // @ts-expect-error a key is text or a number
  readings.keyBy((reading) => reading);
  // @ts-expect-error windows need a key
  readings.window;
  const rows = keyed.window("c", session({ gapMs: 1 })).aggregate({ n: count(), total: sum(({ x }: Reading) => x) });
  const typed = rows.map(({ key, startMs, n, total, kind }): [string, number, number, number, string] => [
    key,
    startMs,
    n,
    total,
    kind,
  ]);
  // @ts-expect-error there is no such result
  rows.map(({ mean }) => mean);
  const byNumber = readings.keyBy(({ x }) => x);
  // @ts-expect-error keys of both sides must agree
  keyed.joinWindow("d", byNumber, { sizeMs: 1, combine: () => 1 });
  typed.filter((row) => row[1] > 0);
});

t.test("printing: text, Mermaid and JSON name every step and edge", async (t) => {
  t.equal(
    topologyText(sample()),
    [
      "test.sample: readings per key",
      "  from test  test",
      "    map  function",
      "      keyBy  function",
      "        hours  tumbling 3600000 ms: n = count, total = sum",
      "          to out  out",
      "",
    ].join("\n"),
  );
  t.match(topologyMermaid(sample()), /flowchart LR\n {2}n0\(\["from test.*\n {2}n0 --> n1\n/);
  const json = topologyJson(sample()) as { steps: { next: number[]; stateful: boolean }[]; writes: string[] };
  t.same(
    json.steps.map(({ next }) => next),
    [[1], [2], [3], [4], []],
  );
  t.same(json.writes, ["dead", "late", "out"]);
  t.same(
    sample().steps.map(({ kind }) => kind),
    ["source", "operator", "operator", "window", "sink"],
  );
});

t.test("lint: says what would go wrong before it does", async (t) => {
  const said = (topology: Parameters<typeof lint>[0], options?: Parameters<typeof lint>[1]) =>
    lint(topology, options).map(({ level, step, message }) => `${level} ${step}: ${message}`);
  t.same(said(pipeline("empty")), ["error : has no source: begin with .from(source)"]);
  t.match(said(sample(), { streams: ["test", "dead", "late"], partitionedBy: "site" }), [
    /^error : stream out does not exist/,
    /^warning keyBy: each partition keeps its own part/,
    /^warning hours: lateness of 1000 ms is shorter than the source's disorder of 5000 ms/,
  ]);
  const leaky = pipeline("leaky");
  leaky
    .from(testSource<Reading>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key, { local: true })
    .lag("forever", { ttlMs: Number.POSITIVE_INFINITY });
  t.match(said(leaky, { partitionedBy: "site" }), [
    /^error : writes nothing/,
    /^warning forever: its values go nowhere/,
    /^warning forever: .*never forgotten/,
  ]);
});

t.test(
  "state is matched by name: a second step of one name, another program or damaged bytes are refused",
  async (t) => {
    const keyed = pipeline("twice")
      .from(testSource<Reading>())
      .map(({ value }) => value)
      .keyBy(({ key }) => key);
    keyed.lag("same", { ttlMs: 1 });
    t.throws(() => keyed.lag("same", { ttlMs: 1 }), { code: "MR_OPTION_INVALID" });
    t.throws(() => keyed.topology.from(source({ stream: "other", decode: () => undefined, time: () => 0 })), {
      code: "MR_OPTION_INVALID",
    });
    const kit = new TestKit<Reading>(sample());
    kit.event(1, { key: "a", x: 1 });
    const bytes = kit.save();
    const program = () =>
      sample().create({
        task: "t/0",
        partition: 0,
        partitions: 1,
        inference: { run: () => Promise.reject(new Error("none")) },
      });
    program().load(bytes);
    const renamed = pipeline("test.sample")
      .from(testSource<Reading>())
      .map(({ value }) => value)
      .keyBy(({ key }) => key)
      .lag("hours2", { ttlMs: 1 })
      .to(testTarget());
    const other = renamed.create({
      task: "t/0",
      partition: 0,
      partitions: 1,
      inference: { run: () => Promise.reject(new Error("none")) },
    });
    t.throws(() => other.load(bytes), { code: "MR_STATE_INCOMPATIBLE", message: /operator hours/ });
    for (const damaged of [
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.from("nonsense"),
    ]) {
      t.throws(() => program().load(damaged), { code: "MR_STATE_INCOMPATIBLE" });
    }
  },
);

t.test(
  "malformed: what cannot be decoded, has no time or lies ahead of its source is set aside with its bytes",
  async (t) => {
    const topology = sample();
    const kit = new TestKit<Reading>(topology);
    kit.event(0.5, { key: "a", x: 1 });
    kit.tick(0).control("unknown", {});
    t.match(kit.dead(), [{ reason: "event time must be an integer of ms, got 0.5" }]);
    t.match(kit.counters(), { received: 1, deadLettered: 1, accepted: 0 });
  },
);
