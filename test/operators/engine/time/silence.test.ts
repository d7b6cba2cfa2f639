import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";

function kitOf(): TestKit {
  const topology = pipeline("test.silence");
  topology.from(testSource<unknown>()).to(testTarget("events"));
  topology
    .silence("quiet", { afterMs: 10 })
    .map(({ source, kind, atMs }, at) => `${source} ${kind} ${atMs} ${at.timeMs}`)
    .to(testTarget());
  return new TestKit(topology);
}

t.test("silence: told once when the time is up, and once when events come again; cuts do not show", async (t) => {
  for (const cutAlways of [false, true]) {
    const kit = kitOf();
    kit.cutAlways = cutAlways;
    kit.tick(0, { source: "b" }).tick(0, { source: "a" }).tick(9, { source: "a" });
    t.same(kit.rows(), []);
    t.equal(kit.metrics()[0]?.keys, 0);
    kit.tick(10, { source: "a" });
    t.same(kit.rows(), ["a silent 10 10"]);
    kit.tick(11, { source: "a" }).tick(12, { source: "b" }).tick(13, { source: "b" });
    t.same(kit.rows(), ["a silent 10 10", "b silent 12 12"]);
    t.same(kit.metrics(), [{ name: "quiet", keys: 2, bytes: 0 }]);
    kit.event(1, 0, { source: "a" }).tick(20, { source: "a" }).tick(20, { source: "b" });
    t.same(kit.take().filter(({ stream }) => stream === "out").length, 3);
    t.equal(kit.metrics()[0]?.keys, 1);
    kit.tick(30, { source: "a" });
    t.same(kit.rows(), ["a silent 30 30"], "again");
    kit.tick(40, { source: "a", retire: true });
    t.same(kit.rows().at(-1), "a back 40 40", "what is gone is not silent");
  }
});
