import t from "tap";
import {
  count,
  type LintOptions,
  lint,
  pipeline,
  seconds,
  session,
  type Topology,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";

const readings = (name: string, disorderMs = 0) =>
  pipeline(name)
    .from(testSource<Reading>({ stream: "readings", timing: { disorderMs, idleAfterMs: seconds(60) } }))
    .map(({ value }) => value);
const keyed = (name: string, disorderMs = 0) => readings(name, disorderMs).keyBy(({ key }) => key, { local: true });
const said = (topology: Topology, options?: LintOptions): string[] =>
  lint(topology, options).map(({ level, step, message }) => `${level} ${step}: ${message}`);

t.test("a topology with nothing wrong with it: nothing to say", async (t) => {
  const sound = keyed("sound", seconds(5))
    .window("w", tumbling({ sizeMs: seconds(10), latenessMs: seconds(5) }))
    .aggregate({ n: count() })
    .to(testTarget());
  t.same(said(sound, { streams: ["readings", "out", "dead", "late"], partitionedBy: "key" }), []);
});

t.test("steps whose state ends by itself have nothing to answer for", async (t) => {
  const stream = keyed("ends");
  stream.joinWindow("j", stream, { sizeMs: 1, combine: () => 1 }).to(testTarget());
  stream.pattern("p", { first: () => true, second: () => true, withinMs: 1 }).to(testTarget());
  stream
    .request("r", {
      id: ({ key }) => key,
      ask: testTarget(),
      answers: { kind: "k", read: () => ({ id: "", answer: 1 }) },
      timeoutMs: 1,
      answered: () => 1,
    })
    .to(testTarget());
  stream.joinInterval("i", stream, { beforeMs: 1, afterMs: 1, combine: () => 1 }).to(testTarget());
  t.same(said(stream.topology, { partitionedBy: "key" }), []);
});

t.test("no source: nothing else can be said", async (t) => {
  t.same(said(pipeline("empty")), ["error : has no source: begin with .from(source)"]);
});

t.test("unknown streams: what is read, written, or told of, each once", async (t) => {
  const values = keyed("unknown").values();
  values.to(testTarget("out"));
  const topology = values.to(testTarget("out"));
  t.same(said(topology, { streams: ["dead", "late"] }), [
    "error : stream readings does not exist; known are dead, late",
    "error : stream out does not exist; known are dead, late",
  ]);
  t.same(said(topology), [], "not checked where the streams are not known");
  const marked = pipeline("marked", { marks: { stream: "next", everyMs: 1 } })
    .from(testSource<Reading>({ stream: "readings" }))
    .to(testTarget());
  t.same(said(marked, { streams: ["readings", "out", "dead", "late"] }), [
    "error : stream next does not exist; known are readings, out, dead, late",
  ]);
});

t.test("a key that needs a repartition: every keyBy that is not said to be local", async (t) => {
  const topology = readings("spread")
    .keyBy(({ key }) => key)
    .lag("before", { ttlMs: 1 })
    .to(testTarget());
  const message =
    "each partition keeps its own part of a key unless the key follows from site; say { local: true } if it does";
  t.same(said(topology, { partitionedBy: "site" }), [`warning keyBy: ${message}`]);
  t.same(said(topology), [], "not checked where nothing is known of the partitions");
});

t.test("lateness shorter than the sources' disorder", async (t) => {
  const withLateness = (latenessMs: number) =>
    keyed("hasty", seconds(5))
      .window("visits", session({ gapMs: seconds(30), latenessMs }))
      .aggregate({ n: count() })
      .to(testTarget());
  t.same(said(withLateness(4_999)), [
    "warning visits: lateness of 4999 ms is shorter than the source's disorder of 5000 ms: it hardly ever helps",
  ]);
  t.same(said(withLateness(5_000)), []);
  t.same(said(withLateness(0)), [], "none is none: what is late is late");
});

t.test("state that is never forgotten, in every step that takes a ttlMs", async (t) => {
  const ttlMs = Number.POSITIVE_INFINITY;
  const stream = keyed("leaky");
  const endless = { beforeMs: 0, afterMs: Number.POSITIVE_INFINITY, combine: (a: Reading) => a };
  stream.lag("lag", { ttlMs }).to(testTarget());
  stream.hadChanged("changed", { of: ({ x }) => x, ttlMs }).to(testTarget());
  stream
    .values()
    .dedupe("dedupe", { id: ({ id }) => id, ttlMs })
    .to(testTarget());
  stream.process<number, number>("process", { ttlMs, init: () => 0, onEvent: (n) => n + 1 }).to(testTarget());
  stream.joinInterval("after", stream, endless).to(testTarget());
  stream
    .joinInterval("before", stream, { ...endless, beforeMs: Number.POSITIVE_INFINITY, afterMs: 0 })
    .to(testTarget());
  stream.joinInterval("bounded", stream, { ...endless, ttlMs: 1_000 }).to(testTarget());
  stream
    .process<number, number>("few keys", { ttlMs, maxKeys: 9, init: () => 0, onEvent: (n) => n + 1 })
    .to(testTarget());
  t.same(said(stream.topology), [
    "warning lag: lag: state is never forgotten (ttlMs is Infinity)",
    "warning changed: changed: state is never forgotten (ttlMs is Infinity)",
    "warning dedupe: dedupe: state is never forgotten (ttlMs is Infinity)",
    "warning process: process: state is never forgotten (ttlMs is Infinity)",
    "warning after: after: state is never forgotten (an endless interval without ttlMs)",
    "warning before: before: state is never forgotten (an endless interval without ttlMs)",
  ]);
});

t.test("a sink without ids: what is not written to the log gets none", async (t) => {
  t.same(said(readings("out").to({ stream: "", write: () => undefined })), [
    "error to nowhere: its rows leave without an id, which only the log gives: name the stream they are written to",
  ]);
});

t.test("steps that lead nowhere; a table is read, not followed", async (t) => {
  const topology = pipeline("nowhere");
  const table = topology.table<number>("table", { kind: "k", read: (body) => body as never });
  topology
    .from(testSource<Reading>())
    .map(({ value }) => value)
    .lookup(
      table,
      ({ key }) => key,
      (a) => a,
    );
  t.same(said(topology), [
    "error : writes nothing: end a branch with .to(target)",
    "warning lookup table: its values go nowhere",
  ]);
});
