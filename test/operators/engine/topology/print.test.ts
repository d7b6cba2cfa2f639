import t from "tap";
import {
  count,
  countOf,
  hopping,
  pipeline,
  session,
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
  t.equal(
    topologyMermaid(diamond()),
    [
      "flowchart LR",
      '  n0[("#quot;names#quot;<br/><small>table of _ctl.name</small>")]',
      '  n1(["from test<br/><small>test</small>"])',
      "  n1 --> n2",
      '  n2["map<br/><small>function</small>"]',
      "  n2 --> n3",
      "  n2 --> n4",
      '  n3["filter<br/><small>high</small>"]',
      "  n3 --> n5",
      '  n4["filter<br/><small>rest</small>"]',
      "  n4 --> n5",
      '  n5["union<br/><small>2 streams</small>"]',
      "  n5 --> n6",
      '  n6["lookup #quot;names#quot;<br/><small>latest</small>"]',
      "  n6 --> n7",
      '  n7[/"to nowhere"/]',
      "",
    ].join("\n"),
  );
  const named = pipeline("named");
  named.declare({ name: "same", kind: "operator", detail: "same", make: () => [] });
  t.equal(topologyMermaid(named), 'flowchart LR\n  n0["same"]\n');
  t.equal(topologyText(named), "named: named\n  same\n");
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

t.test("every step says what it does, with its numbers", async (t) => {
  const topology = pipeline("test.details");
  const table = topology.table<number>("table", { kind: "rate", read: (body) => body as never, keepVersionsMs: 7 });
  const stream = topology.from(testSource<Reading>()).map(({ value }) => value);
  const keyed = stream.keyBy(({ key }) => key);
  const x = ({ x }: Reading): number => x;
  stream.dedupe("dedupe", { id: x, ttlMs: 9 });
  stream.inOrder("in order", { order: ({ key }) => key });
  stream.embed("embedded", () => ({
    take: () => undefined,
    advance: () => undefined,
    save: () => 0,
    load: () => undefined,
  }));
  keyed.lookup(table, x, (reading) => reading);
  keyed.lag("lag", { ttlMs: 1 });
  keyed.hadChanged("changed", { of: x, ttlMs: 1 });
  keyed.process("process", { ttlMs: 1, init: () => 0, onEvent: (n: number) => n });
  keyed.score("score", { model: () => model, combine: x });
  keyed.score("one for all", { model: () => model, combine: x, per: "all" });
  keyed.joinInterval("interval", keyed, { beforeMs: 3, afterMs: 4, combine: x });
  keyed.joinWindow("windowed", keyed, { sizeMs: 6, combine: x });
  keyed.window("hopping", hopping({ sizeMs: 8, slideMs: 2 })).aggregate({ count: count() });
  keyed.window("session", session({ gapMs: 5 })).aggregate({ n: count() });
  keyed.window("events", countOf(11)).aggregate({ n: count() });
  topology.control("command", (body) => body);
  topology.silence("silence", { afterMs: 12 });
  const said = Object.fromEntries(topology.steps.map(({ name, kind, detail }) => [name, [kind, detail]]));
  t.match(said, {
    table: ["operator", "table of _ctl.rate"],
    dedupe: ["operator", "by id within 9 ms"],
    "in order": ["operator", "event-time order"],
    embedded: ["operator", "embedded"],
    "lookup table": ["operator", "as of event time"],
    lag: ["operator", "value before"],
    changed: ["operator", "changes only"],
    process: ["operator", "process function"],
    score: ["score", "one model per key"],
    "one for all": ["score", "one model per all"],
    interval: ["operator", "interval join, 3 ms before to 4 ms after"],
    windowed: ["operator", "window join of 6 ms"],
    hopping: ["window", "hopping 8 ms every 2 ms: count"],
    session: ["window", "session, gap 5 ms: n = count"],
    events: ["window", "every 11 events: n = count"],
    "control command": ["source", "_ctl.command"],
    silence: ["source", "sources silent for 12 ms"],
  });
  t.match(diamond().steps[5], { name: "union", kind: "operator", detail: "2 streams" });
  t.same(
    [...new Set(diamond().steps.map(({ kind }) => kind))].sort(),
    ["operator", "sink", "source"],
    "and of no other kind",
  );
  const unkeyed = ["from test", "map", "dedupe", "in order", "embedded", "table", "control command", "silence"];
  t.same(
    topology.nodes.filter(({ keyed }) => !keyed).map(({ name }) => name),
    topology.steps.map(({ name }) => name).filter((name) => unkeyed.includes(name)),
    "all others are filed by key",
  );
  const flags = (node: { readonly name: string; readonly keyed: boolean }) => [node.name, node.keyed];
  stream.filter(() => true).flatMap(() => undefined);
  keyed
    .filter(() => true)
    .flatMap<Reading>(() => undefined)
    .map(x)
    .to(testTarget());
  t.same(topology.nodes.slice(-6).map(flags), [
    ["filter", false],
    ["flatMap", false],
    ["filter", true],
    ["flatMap", true],
    ["map", true],
    ["to out", false],
  ]);
  topology.nodes.splice(-6);
  const named = pipeline("test.names")
    .from(testSource<Reading>())
    .filter(function kept() {
      return true;
    })
    .flatMap<Reading>(function split() {})
    .map(function made(value) {
      return value;
    })
    .keyBy(function filed({ key }) {
      return key;
    });
  t.same(
    named.topology.steps.map(({ name, detail }) => `${name} ${detail}`),
    ["from test test", "filter kept", "flatMap split", "map made", "keyBy filed"],
    "a function by its name",
  );
  const stateful = topology.nodes.filter(({ stateful }) => stateful).map(({ name }) => name);
  const stateless = ["from test", "map", "keyBy", "lookup table", "control command"];
  t.same(
    stateful,
    topology.steps.map(({ name }) => name).filter((name) => !stateless.includes(name)),
  );
});

const model = { scoreOne: () => 0, learnOne: () => undefined, save: () => 0, load: () => undefined };
