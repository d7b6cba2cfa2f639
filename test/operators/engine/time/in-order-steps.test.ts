import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { InOrder } from "../../../../src/operators/engine/time/in-order.js";
import { Runtime } from "../../../../src/operators/engine/topology/runtime.js";
import { drive } from "../support/drive.js";

function held() {
  const runtime = new Runtime({ onLate: () => undefined, onDead: (error) => t.fail(String(error)) });
  const said: [value: number, timeMs: number][] = [];
  const make = () =>
    new InOrder<number>(0, "o", runtime, String, (value) => void said.push([value, runtime.now.timeMs]));
  const operator = make();
  const push = (timeMs: number, value = timeMs): void => {
    runtime.now.timeMs = timeMs;
    operator.push(value);
  };
  return { runtime, said, operator, push, make };
}

const mixed = (count: number, i: number): number => (i * 7_919) % count;

t.test("in order: sorted, merged and handed on in steps; so is a save, of the moment it began", async (t) => {
  for (const [count, sorting, firing] of [
    [1, 0, 0],
    [255, 0, 0],
    [256, 0, 1],
    [511, 0, 1],
    [512, 0, 2],
    [513, 1 + 1, 2],
    [1_024, 1 + 2, 4],
    [1_500, 2 + 2 + 2, 5],
  ] as const) {
    const { operator, push, said, make } = held();
    for (let i = 0; i < count; i++) push(mixed(count, i));
    const writer = new ByteWriter();
    const save = operator.saveInSteps(writer);
    save.next();
    t.equal(1 + drive(save).pauses, 1 + sorting + Math.floor(count / 512), `a save of ${count}`);
    const bytes = writer.finish();
    const loaded = make();
    loaded.load(new ByteReader(bytes));
    const again = new ByteWriter();
    t.equal(drive(loaded.saveInSteps(again)).pauses, 1 + Math.floor(count / 512), "what was loaded is in order");
    t.same(Buffer.from(again.finish()), Buffer.from(bytes));
    t.same([loaded.nextMs(), loaded.metrics().keys], [1, count]);
    t.equal(drive(operator.advanceInSteps(count)).pauses, sorting + firing, `${count} values`);
    t.equal(said.length, count);
    t.ok(said.every(([value, timeMs], i) => value === i && timeMs === i));
  }
});

t.test("in order: what stays is not sorted again, and what comes is merged with it", async (t) => {
  const { operator, push, said } = held();
  t.equal(operator.nextMs(), Number.POSITIVE_INFINITY);
  for (let i = 0; i < 400; i++) push(1_000 + mixed(400, i));
  push(5);
  t.equal(operator.nextMs(), 6);
  push(7);
  t.equal(operator.nextMs(), 6);
  t.same(operator.metrics(), { name: "o", keys: 402, bytes: 402 * 64 });
  operator.advance(5);
  t.same(said, []);
  operator.advance(6);
  t.same(said, [[5, 5]]);
  t.equal(operator.nextMs(), 8);
  operator.advance(8);
  for (let i = 0; i < 300; i++) push(1_000 + mixed(300, i) + 0.5);
  t.equal(drive(operator.advanceInSteps(1_002)).pauses, 1, "two lists of 700 in all merged");
  t.same(
    said.slice(2).map(([value]) => value),
    [1_000, 1_000.5, 1_001, 1_001.5],
  );
  operator.advance(2_000);
  const values = said.map(([value]) => value);
  t.same(
    values,
    [...values].sort((a, b) => a - b),
  );
  t.equal(values.length, 702);
  t.equal(operator.nextMs(), Number.POSITIVE_INFINITY);
});

t.test("in order: of those equal in time and order the first to come is first, sorted before or not", async (t) => {
  const runtime = new Runtime({ onLate: () => undefined, onDead: (error) => t.fail(String(error)) });
  const said: number[] = [];
  const operator = new InOrder<number>(
    0,
    "o",
    runtime,
    () => "",
    (value) => void said.push(value),
  );
  const push = (timeMs: number, value: number): void => {
    runtime.now.timeMs = timeMs;
    operator.push(value);
  };
  push(1, -1);
  for (let i = 0; i < 10; i++) push(100, i);
  operator.advance(50); // sorts them
  for (let i = 10; i < 1_200; i++) push(100, i);
  operator.advance(101);
  t.same(
    said,
    Array.from({ length: 1_201 }, (_, i) => i - 1),
  );
});

t.test("in order: an event that fails in another branch is not held", async (t) => {
  const topology = pipeline("test.branches");
  const values = topology.from(testSource<number>()).map(({ value }) => value);
  values.inOrder("held", { order: String }).to(testTarget());
  values
    .map((value) => {
      if (value < 0) throw new Error("negative");
    })
    .to(testTarget("other"));
  const kit = new TestKit<number>(topology).event(3, 1).event(2, -1).event(1, 2);
  t.equal(kit.metrics()[0]?.keys, 2);
  kit.watermark(10);
  t.same(kit.rows(), [2, 1]);
  t.equal(kit.dead().length, 1);
});
