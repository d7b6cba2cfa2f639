import t from "tap";
import { planAggregates } from "../../../../src/operators/engine/aggregates/plan.js";
import { collect, count, max, sum } from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Frame } from "../../../../src/operators/engine/state/frame.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";

interface Reading {
  readonly x: number;
}

const x = (reading: Reading): number => reading.x;
const folded = { n: count(), total: sum(x), high: max(x) };

t.test("a frame doubles while it is small, and grows by an eighth from a megabyte on", async (t) => {
  const plan = planAggregates<Reading>(folded, 1_024);
  const { stride } = plan;
  const frame = new Frame(plan, new Undo());
  const rooms = [frame.rows.length];
  for (let key = 0; key < 300; key++) {
    const slot = frame.open(key);
    frame.add(slot, { x: key }, key);
    if (frame.rows.length !== rooms.at(-1)) rooms.push(frame.rows.length);
    if (key === 15) t.same(rooms, [16 * stride], "no sooner than there is no room");
  }
  const expected = [16 * stride];
  while ((expected.at(-1) as number) < 300 * stride) {
    const room = expected.at(-1) as number;
    expected.push(Math.ceil((room * (room < 2 ** 17 ? 2 : 1.125)) / stride) * stride);
  }
  t.same(rooms, expected);
  t.ok(rooms.length > 6, "of both kinds");
  for (let key = 0; key < 300; key++)
    t.match(frame.result(frame.table.find(key), key, 0, 1, "final", 0), { n: 1, total: key, high: key });
  t.equal(frame.bytes, frame.rows.byteLength + frame.table.bytes);
});

t.test("a slot that is used again begins with nothing, in rows, extras and cells", async (t) => {
  const plan = planAggregates<Reading>({ ...folded, all: collect(x, { limit: 3 }) }, 2);
  const frame = new Frame(plan, new Undo(), 1);
  frame.add(frame.open("beside"), { x: 1 }, 1);
  const slot = frame.open("a");
  t.equal(slot, 1);
  frame.add(slot, { x: 5 }, 1);
  frame.rows.fill(9, slot * plan.stride + plan.extraAt, (slot + 1) * plan.stride);
  t.match(frame.held("a", 0, 10), [
    { startMs: 0, endMs: 10, value: { n: 1, total: 5, high: 5, all: { items: [5], dropped: 0 } } },
  ]);
  t.same(frame.held("b", 0, 10), []);
  frame.remove(slot);
  t.equal(frame.cells[0]?.[slot], undefined, "let go");
  t.equal(frame.open("b"), slot);
  t.same([...frame.rows.subarray(slot * plan.stride + plan.extraAt, (slot + 1) * plan.stride)], [0, 0]);
  t.match(frame.held("b", 0, 10), [{ value: { n: 0, total: 0, all: { items: [] } } }]);
  frame.add(slot, { x: 6 }, 1);
  frame.rows.fill(8, slot * plan.stride + plan.extraAt, (slot + 1) * plan.stride);
  frame.reset(slot);
  t.match(frame.held("b", 0, 10), [{ value: { n: 0, total: 0, all: { items: [] } } }], "started over");
  t.same(
    [...frame.rows.subarray(slot * plan.stride + plan.extraAt, (slot + 1) * plan.stride)],
    [8, 8],
    "but for extras",
  );
  t.match(frame.held("beside", 0, 10), [{ value: { n: 1, total: 1 } }]);
});

t.test(
  "emptied to be used again: nothing of the former keys, the same room, and not while a save reads it",
  async (t) => {
    const plan = planAggregates<Reading>({ ...folded, all: collect(x, { limit: 3 }) }, 1);
    const frame = new Frame(plan, new Undo());
    for (let key = 0; key < 100; key++) frame.add(frame.open(key), { x: key }, 1);
    const { bytes } = frame;
    const saved = new ByteWriter();
    const saving = frame.saveInSteps(saved);
    saving.next();
    t.notOk(frame.reuse(), "a save has begun");
    for (const _ of saving);
    t.ok(frame.reuse());
    t.equal(frame.bytes, bytes);
    t.equal(frame.table.size, 0);
    t.same(frame.cells, [[]], "let go");
    const slot = frame.open(0);
    t.ok(frame.table.fresh, "the slot opened last is forgotten with its key");
    t.same([slot, frame.rows[slot * plan.stride + plan.extraAt]], [0, 0]);
    frame.add(slot, { x: 7 }, 1);
    t.match(frame.held(0, 0, 1), [{ value: { n: 1, total: 7, high: 7, all: { items: [7] } } }]);
  },
);

t.test("what a unit of work did to a frame is taken back: rows, keys, the slot opened last", async (t) => {
  const undo = new Undo();
  const plan = planAggregates<Reading>(folded, 1);
  const frame = new Frame(plan, undo);
  const other = new Frame(plan, undo);
  const add = (key: string | number, x: number): void => {
    const slot = frame.open(key);
    frame.add(slot, { x }, 1);
    frame.rows[slot * plan.stride + plan.extraAt] = x;
  };
  const saved = (): string => {
    const writer = new ByteWriter();
    frame.save(writer);
    return Buffer.from(writer.finish()).toString("hex");
  };
  undo.begin();
  for (const key of [1, "a", 2]) add(key, 3);
  undo.commit();
  const before = saved();
  undo.begin();
  for (const key of [2, 2, 1, "a", "new", 4, 4, 5, 1]) add(key, 10);
  other.open(77);
  frame.openOther(other, other.table.find(77));
  t.equal(frame.table.fresh, true);
  frame.openOther(other, other.table.find(77));
  t.equal(frame.table.size, 7);
  undo.rollback();
  t.equal(saved(), before);
  t.equal(other.table.size, 0);
  undo.begin();
  add(4, 1); // opened last by what was taken back
  undo.commit();
  t.match(frame.held(4, 0, 1), [{ value: { n: 1, total: 1 } }]);
  const loaded = new Frame(plan, new Undo());
  loaded.load(new ByteReader(Buffer.from(saved(), "hex")));
  t.same(loaded.held(4, 0, 1), frame.held(4, 0, 1));
  t.equal(loaded.table.size, 4);
});

t.test("a save in steps copies a page before the first change in it, or a slot where there are cells", async (t) => {
  for (const [aggregates, page] of [
    [folded, 512],
    [{ ...folded, all: collect(x, { limit: 3 }) }, 1],
  ] as const) {
    const frame = new Frame(planAggregates<Reading>(aggregates), new Undo());
    const length = 2_000;
    for (let key = 0; key < length; key++) frame.add(frame.open(key), { x: key }, 1);
    frame.remove(frame.table.find(1_024)); // a free slot
    const expected = new ByteWriter();
    frame.save(expected);
    const copied: string[] = [];
    const { rows, table } = frame;
    const { stride } = frame.plan;
    const has = table.has.bind(table);
    table.has = (slot) => {
      copied.push(`${slot}-${slot + 1}`);
      return has(slot);
    };
    rows.slice = (from = 0, to = 0) => {
      copied.push(`${from / stride}-${to / stride}`);
      return Float64Array.prototype.slice.call(rows, from, to);
    };
    const writer = new ByteWriter();
    const steps = frame.saveInSteps(writer);
    steps.next();
    const change = (key: number): void => frame.add(frame.open(key), { x: 1 }, 1);
    const copies = (): string[] => copied.splice(0);
    change(2);
    change(3);
    change(2);
    t.same(copies(), page === 1 ? ["2-3", "3-4"] : ["0-512"], "once");
    t.equal(frame.open(-5), 1_024, "a new key in the free slot");
    t.same(copies(), [], "of which there is nothing to keep");
    frame.remove(frame.table.find(1_025));
    change(-6);
    change(-7);
    t.equal(frame.table.length, length + 1, "a slot that was not there at the time");
    t.same(copies(), page === 1 ? ["1025-1026"] : ["1024-1536"]);
    for (let i = 0; i < 1_000; i++) change(500 + i);
    if (page === 1) t.equal(copies().length, 998);
    else t.same(copies(), ["512-1024"]);
    steps.next();
    change(1); // written by now
    change(1_999);
    t.same(copies(), page === 1 ? ["1999-2000"] : ["1536-2000"]);
    for (const _step of steps);
    t.same(Buffer.from(writer.finish()), Buffer.from(expected.finish()));
    change(4);
    t.same(copies(), [], "nothing is copied once the save is over");
  }
});

t.test("a save in steps writes the keys of its moment, whatever texts come and go", async (t) => {
  const frame = new Frame(planAggregates<Reading>(folded), new Undo());
  for (let i = 0; i < 2_000; i++) frame.add(frame.open(`key ${i}`), { x: i }, 1);
  const expected = new ByteWriter();
  frame.save(expected);
  const writer = new ByteWriter();
  const steps = frame.saveInSteps(writer);
  steps.next();
  for (const i of [1_500, 3]) {
    frame.remove(frame.table.find(`key ${i}`));
    frame.add(frame.open(`new ${i}`), { x: 1 }, 1); // as long: it would be put in the same place
  }
  for (const _step of steps);
  t.same(Buffer.from(writer.finish()), Buffer.from(expected.finish()));
  const after = new ByteWriter();
  frame.save(after);
  const loaded = new Frame(planAggregates<Reading>(folded), new Undo());
  loaded.load(new ByteReader(after.finish()));
  t.same([loaded.table.size, loaded.table.find("key 3"), loaded.table.find("new 3") >= 0], [2_000, -1, true]);
});

t.test("after a save the room of texts that go is given to those that come", async (t) => {
  const frame = new Frame(planAggregates<Reading>(folded), new Undo());
  const key = (i: number): string => `key ${String(i).padStart(6, "0")}`;
  for (let i = 0; i < 600; i++) frame.open(key(i));
  for (const _ of frame.saveInSteps(new ByteWriter()));
  const { bytes } = frame.table;
  for (let i = 600; i < 20_000; i++) {
    frame.remove(frame.table.find(key(i - 600)));
    frame.open(key(i));
  }
  t.equal(frame.table.bytes, bytes);
});

t.test("a slot of one frame is added to a slot of another, rows and cells, and to no other", async (t) => {
  const plan = planAggregates<Reading>({ ...folded, all: collect(x, { limit: 9 }) }, 1);
  const undo = new Undo();
  const [into, from] = [new Frame(plan, undo, 2), new Frame(plan, undo, 3)];
  for (const [frame, keys] of [
    [into, 2],
    [from, 3],
  ] as const)
    for (let key = 0; key < keys; key++) frame.add(frame.open(`k${key}`), { x: 10 * keys + key }, 1);
  const before = [into, from].map((frame) => [0, 1, 2].map((key) => frame.held(`k${key}`, 0, 1)));
  into.mergeFrom(1, from, 2);
  t.match(into.held("k1", 0, 1), [{ value: { n: 2, total: 53, high: 32, all: { items: [21, 32] } } }]);
  t.same(into.held("k0", 0, 1), before[0]?.[0]);
  t.same(
    [0, 1, 2].map((key) => from.held(`k${key}`, 0, 1)),
    before[1],
  );
});
