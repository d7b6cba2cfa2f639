import t from "tap";
import {
  count,
  pipeline,
  sum,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";
import { everything, feed } from "../support/everything.js";
import { readingOf } from "../support/run.js";

const inference = { run: async () => new Float32Array() };
const CONTEXT = { task: "test/0", partition: 0, partitions: 1, inference };

t.test("what is held for a key is found after a restart, in every operator that files by key", async (t) => {
  const topology = everything();
  const kit = new TestKit<Reading>(topology);
  for (let id = 1; id <= 12; id++) {
    const event = { id, key: "a", timeMs: 100 + id, x: id % 2 === 0 ? id * 3 : -id };
    feed(kit, { kind: "event", event });
  }
  kit.watermark(105);
  const program = topology.create(CONTEXT);
  program.load(kit.save());
  const held = program.held?.("a") ?? [];
  const operators = [...new Set(held.map(({ operator }) => operator))].sort();
  for (const name of ["hopping", "interval", "lag", "process", "rates", "score", "session", "tumbling", "windowed"])
    t.ok(operators.includes(name), name);
  t.same(program.held?.("nobody"), []);
  t.ok([...(program.heldKeys?.() ?? [])].includes("a"));
  t.same(Buffer.from(program.save()), Buffer.from(kit.save()), "looking changes nothing");
});

t.test("windows say their time and their aggregates so far", async (t) => {
  const topology = pipeline("test.held");
  topology
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .window("tens", tumbling({ sizeMs: 10 }))
    .aggregate({ n: count(), total: sum(({ x }) => x) })
    .to(testTarget("tens"));
  const kit = new TestKit<Reading>(topology);
  for (const [id, timeMs, x] of [
    [1, 3, 5],
    [2, 4, 6],
    [3, 12, 1],
  ] as const)
    kit.event(timeMs, { id, key: "k", timeMs, x }, { id: String(id) });
  const program = topology.create(CONTEXT);
  program.load(kit.save());
  t.same(program.held?.("k"), [
    { operator: "tens", startMs: 0, endMs: 10, value: { n: 2, total: 11 } },
    { operator: "tens", startMs: 10, endMs: 20, value: { n: 1, total: 1 } },
  ]);
});
