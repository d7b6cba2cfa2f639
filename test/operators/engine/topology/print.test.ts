import t from "tap";
import {
  count,
  pipeline,
  sum,
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
  return pipeline("test.sample", { summary: "readings per key", version: 3 })
    .from(testSource<Reading>())
    .map(function unwrap({ value }) {
      return value;
    })
    .keyBy(({ key }) => key)
    .window("hours", tumbling({ sizeMs: 3_600_000, latenessMs: 1_000 }))
    .aggregate({ n: count(), sum: sum("x") })
    .to(testTarget());
}

/** Two branches that meet again, a table, and a quotation mark. */
function diamond() {
  const topology = pipeline("test.diamond");
  const names = topology.table<string>('"names"', { kind: "name", read: (body) => body as never });
  const readings = topology.from(testSource<Reading>()).map(({ value }) => value);
  const { high, rest } = readings.branch({ high: ({ x }) => x > 0 });
  high
    .union(rest)
    .lookup(
      names,
      ({ key }) => key,
      (reading) => reading,
    )
    .to({ stream: "", write: () => undefined });
  return topology;
}

t.test("text: each step under the one that feeds it, a step of two inputs under the first", async (t) => {
  t.equal(
    topologyText(sample()),
    [
      "test.sample: readings per key",
      "  from test  test",
      "    map  unwrap",
      "      keyBy  function",
      "        hours  tumbling 3600000 ms: n = count, sum",
      "          to out  out",
      "",
    ].join("\n"),
  );
  t.equal(
    topologyText(diamond()),
    [
      "test.diamond: test.diamond",
      '  "names"  table of _ctl.name',
      "  from test  test",
      "    map  function",
      "      filter  high",
      "        union  2 streams",
      '          lookup "names"  latest',
      "            to nowhere",
      "      filter  rest",
      "        union  2 streams  (above)",
      "",
    ].join("\n"),
  );
});

t.test("Mermaid: every step with its shape, every edge", async (t) => {
  t.equal(
    topologyMermaid(sample()),
    [
      "flowchart LR",
      '  n0(["from test<br/><small>test</small>"])',
      "  n0 --> n1",
      '  n1["map<br/><small>unwrap</small>"]',
      "  n1 --> n2",
      '  n2["keyBy<br/><small>function</small>"]',
      "  n2 --> n3",
      '  n3[("hours<br/><small>tumbling 3600000 ms: n = count, sum</small>")]',
      "  n3 --> n4",
      '  n4[/"to out<br/><small>out</small>"/]',
      "",
    ].join("\n"),
  );
  t.match(topologyMermaid(diamond()), /n0\[\("#quot;names#quot;<br\/>/);
});

t.test("JSON: what the text says, for a program", async (t) => {
  t.same(topologyJson(sample()), {
    name: "test.sample",
    summary: "readings per key",
    version: 3,
    source: "test",
    writes: ["dead", "late", "out"],
    steps: [
      { id: 0, name: "from test", kind: "source", detail: "test", stateful: false, next: [1] },
      { id: 1, name: "map", kind: "operator", detail: "unwrap", stateful: false, next: [2] },
      { id: 2, name: "keyBy", kind: "operator", detail: "function", stateful: false, next: [3] },
      {
        id: 3,
        name: "hours",
        kind: "window",
        detail: "tumbling 3600000 ms: n = count, sum",
        stateful: true,
        next: [4],
      },
      { id: 4, name: "to out", kind: "sink", detail: "out", stateful: false, to: ["out"], next: [] },
    ],
  });
  t.same(
    sample().steps.map(({ kind, to }) => ({ kind, to })),
    [
      { kind: "source", to: undefined },
      { kind: "operator", to: undefined },
      { kind: "operator", to: undefined },
      { kind: "window", to: undefined },
      { kind: "sink", to: ["out"] },
    ],
  );
});

t.test("a source whose events are unique keeps what it has seen: it is stateful, and says so", async (t) => {
  const from = (unique: boolean) =>
    pipeline("test.unique").from({
      ...testSource<Reading>(),
      ...(unique && { unique: { ttlMs: 5, by: () => "one" } }),
    }).topology;
  t.match(topologyJson(from(true)), { steps: [{ detail: "test, each event once within 5 ms", stateful: true }] });
  t.match(topologyJson(from(false)), { steps: [{ detail: "test", stateful: false }] });
});
