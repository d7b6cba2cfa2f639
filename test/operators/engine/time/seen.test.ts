import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { DAY_MS } from "../../../../src/core/index.js";
import {
  type Decoder,
  jsonLines,
  pipeline,
  source,
  TestKit,
  type TimeOptions,
  testTarget,
} from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { Seen } from "../../../../src/operators/engine/time/seen.js";

interface Event {
  readonly id: string;
  readonly at?: number;
  readonly fails?: boolean;
}

const lines = jsonLines((value) => value as Event);

function kitOf(options: { decode?: Decoder<Event>; timing?: TimeOptions } = {}): TestKit {
  const from = source<Event>({
    stream: "test",
    decode: options.decode ?? lines,
    time: ({ at }) => at,
    id: ({ id }) => id,
    unique: { ttlMs: 7 * DAY_MS, by: ({ id }) => id },
    ...(options.timing && { timing: options.timing }),
  });
  const topology = pipeline("test.unique")
    .from(from)
    .map((event, at) => {
      if (event.fails) throw new Error("bad luck");
      return `${event.id} ${at.timeMs}`;
    })
    .to(testTarget());
  return new TestKit(topology);
}

t.test("each event once, garbage too: received = accepted + duplicates + dead", async (t) => {
  const kit = kitOf();
  const pack = ['{"id":"a","at":1}', "{garbage", '{"id":"b","at":2}', '{"id":"a","at":3}'].join("\n");
  kit.tick(10).message(pack);
  t.same(kit.rows(), ["a 1", "b 2"]);
  t.match(kit.dead(), [{ eventId: "", origin: { index: 1 }, bytesTotal: 8 }]);
  t.same(kit.counters(), { received: 4, duplicates: 1, deadLettered: 1, late: 0, accepted: 2 });
  kit.cut();
  kit.message(pack);
  t.same(kit.counters(), { received: 8, duplicates: 5, deadLettered: 1, late: 0, accepted: 2 }, "delivered again");
});

t.test("what is refused does not shadow a good event of its id, and what failed may be sent again", async (t) => {
  const kit = kitOf({ timing: { maxAheadMs: 100 } });
  kit.tick(1_000).message('{"id":"a","at":5000}').message('{"id":"a","at":5000}').message('{"id":"a","at":1000}');
  t.same(kit.rows(), ["a 1000"]);
  t.match(kit.dead(), [{ eventId: "a", reason: "beyond source time" }]);
  kit.message('{"id":"b","at":1,"fails":true}').message('{"id":"b","at":1}');
  t.same(kit.rows(), ["a 1000", "b 1"]);
  t.same(kit.counters(), { received: 5, duplicates: 1, deadLettered: 2, late: 0, accepted: 2 });
});

t.test("an event without a time, or with an impossible one, may take its source's", async (t) => {
  const kit = kitOf({ timing: { maxAheadMs: 100, idleAfterMs: 50, ahead: "sourceTime" } });
  kit.message('{"id":"first"}').tick(1_000).message('{"id":"a"}').message('{"id":"b","at":5000}');
  kit.message('{"id":"c","at":1100}');
  t.same(kit.rows(), ["first 0", "a 1000", "b 1000", "c 1100"]);
});

t.test("a decoder may know the id and the bytes of what it cannot decode", async (t) => {
  const kit = kitOf({
    decode: ({ data }, found) => found.malformed("no", 0, data.length, { id: "x", bytes: data.subarray(0, 2) }),
  });
  kit.message("abcd", { "Millrace-Source": "sample" });
  t.match(kit.dead(), [{ eventId: "x", reason: "no", source: "sample", bytesTotal: 2 }]);
});

t.test("kept for the time by the source's clock, forgotten by the watermark", async (t) => {
  const seen = new Seen(0, "s", 7 * DAY_MS);
  const at = (day: number): number => day * DAY_MS;
  t.ok(seen.isNew("a", at(0)));
  t.ok(seen.isNew("b", at(1)));
  seen.advance(at(7.9));
  t.notOk(seen.isNew("a", at(7)));
  seen.advance(at(8));
  t.ok(seen.isNew("a", at(8)), "forgotten");
  t.notOk(seen.isNew("b", at(8)));
  t.equal(seen.metrics().keys, 2);
  t.throws(() => new Seen(0, "s", 0), { code: "MR_OPTION_INVALID" });
});

t.test("saved: as they came, the same bytes after loading and in steps while it goes on", async (t) => {
  const step = fc.tuple(fc.string({ maxLength: 3 }), fc.nat(3), fc.boolean());
  const property = fc.property(fc.array(step), fc.array(step), (before, after) => {
    const apply = (seen: Seen, steps: typeof before): void => {
      for (const [id, day, fails] of steps) if (seen.isNew(id, day * DAY_MS) && fails) seen.takeBack(id);
    };
    const bytes = (seen: Seen): string => {
      const writer = new ByteWriter();
      seen.save(writer);
      return Buffer.from(writer.finish()).toString("hex");
    };
    const seen = new Seen(0, "s", DAY_MS);
    apply(seen, before);
    const saved = bytes(seen);
    const writer = new ByteWriter();
    const steps = seen.saveInSteps(writer);
    steps.next();
    apply(seen, after);
    for (const _step of steps);
    assert.equal(Buffer.from(writer.finish()).toString("hex"), saved);
    const loaded = new Seen(0, "s", DAY_MS);
    loaded.load(new ByteReader(Buffer.from(saved, "hex")));
    assert.equal(bytes(loaded), saved);
    apply(loaded, after);
    assert.equal(bytes(loaded), bytes(seen));
    const forgotten = before.length + after.length;
    loaded.advance(99 * DAY_MS);
    assert.equal(loaded.metrics().keys, 0, `all ${forgotten} of them`);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 7, numRuns: 200 }));
});

t.test("a day is forgotten at once, and its identities leave bit by bit: those that come again are new", async (t) => {
  const seen = new Seen(0, "s", DAY_MS);
  const many = 10_000;
  for (let i = 0; i < many; i++) seen.isNew(`id ${i}`, 0);
  const steps = seen.saveInSteps(new ByteWriter());
  steps.next();
  seen.advance(3 * DAY_MS);
  t.equal(seen.metrics().keys, 0);
  t.ok(seen.isNew("id 9999", 3 * DAY_MS), "the last, which has not left yet");
  t.notOk(seen.isNew("id 9999", 3 * DAY_MS));
  seen.takeBack("id 9999");
  t.ok(seen.isNew("id 9999", 3 * DAY_MS), "taken back");
  t.ok(seen.isNew("id 1", 0), "by a clock that is behind: the same day, begun anew");
  t.ok(seen.isNew("id 2", 0), "what it held before is forgotten all the same");
  for (let i = 0; i < 100; i++) seen.advance(3 * DAY_MS + i);
  t.notOk(seen.isNew("id 9999", 3 * DAY_MS), "it did not leave with the others");
  t.ok(seen.isNew("id 5000", 3 * DAY_MS));
  t.equal(seen.metrics().keys, 4);
  for (const _step of steps); // the save that began before gives what it would have given
});

t.test("a save writes what came since the last one, in short steps, and shares the rest", async (t) => {
  const seen = new Seen(0, "s", DAY_MS);
  const piece = 0x4_0000;
  const save = (): { readonly pieces: readonly Uint8Array[]; readonly longest: number; readonly steps: number } => {
    const writer = new ByteWriter(1_024, piece);
    let [longest, steps, before] = [0, 0, 0];
    for (const _step of seen.saveInSteps(writer)) {
      longest = Math.max(longest, writer.length - before);
      before = writer.length;
      steps++;
    }
    return { pieces: writer.finishPieces(), longest, steps };
  };
  const id = (i: number): string => `identity ${String(i).padStart(16, "0")}`;
  for (let i = 0; i < 50_000; i++) seen.isNew(id(i), 0);
  const first = save();
  for (let i = 50_000; i < 51_000; i++) seen.isNew(id(i), 0);
  const second = save();
  t.ok(first.steps >= 50_000 / 512, `${first.steps} steps`);
  t.ok(second.steps <= 8, `${second.steps} steps for a thousand more`);
  const known = new Set(first.pieces.map(({ buffer }) => buffer));
  const shared = second.pieces.filter(({ buffer }) => known.has(buffer)).length;
  t.ok(shared >= 4, `${shared} of ${second.pieces.length} pieces are shared`);
  const bytes = Buffer.concat(second.pieces as Uint8Array[]);
  const loaded = new Seen(0, "s", DAY_MS);
  loaded.load(new ByteReader(bytes));
  const writer = new ByteWriter();
  loaded.save(writer);
  t.ok(Buffer.from(writer.finish()).equals(bytes), "the same whether or not it was loaded in between");
  t.notOk(loaded.isNew(id(50_999), 0));
});

/** How many keys leave the table while `work` runs. */
function removedBy(work: () => void): number {
  const { remove } = KeyTable.prototype;
  let removed = 0;
  KeyTable.prototype.remove = function (slot) {
    removed++;
    remove.call(this, slot);
  };
  try {
    work();
  } finally {
    KeyTable.prototype.remove = remove;
  }
  return removed;
}

t.test("a day that is over leaves 4 096 identities a tick and 4 an event, and makes room for the next", async (t) => {
  const seen = new Seen(0, "s", DAY_MS);
  const fill = (many: number, day: number): void => {
    for (let i = 0; i < many; i++) seen.isNew(`${day} ${String(i).padStart(6, "0")}`, day * DAY_MS);
  };
  fill(9_000, 0);
  const { bytes } = seen.metrics();
  const tick = (day: number): number => removedBy(() => seen.advance(day * DAY_MS));
  t.equal(tick(1.5), 0, "kept for its time");
  t.equal(tick(2), 0, "forgotten, but still there");
  t.equal(
    removedBy(() => fill(10, 2)),
    40,
  );
  t.same([tick(2), tick(2), tick(2), tick(2)], [4_096, 4_096, 9_000 - 40 - 2 * 4_096, 0]);
  fill(8_990, 3);
  t.equal(seen.metrics().keys, 9_000);
  t.ok(seen.metrics().bytes <= bytes + 64 + 3_000, "in the room of those that left");
  t.equal(tick(4), 0);
  t.same([tick(4), tick(4)], [10, 0]);
  t.equal(tick(9), 0);
  t.same([tick(9), tick(9), tick(9)], [4_096, 4_096, 798]);
  t.equal(seen.metrics().keys, 0);
});

t.test("each of many is known, whatever their number", async (t) => {
  const seen = new Seen(0, "s", DAY_MS);
  for (let i = 0; i < 70; i++) {
    t.ok(seen.isNew(`id ${i}`, (i % 3) * DAY_MS));
    for (let j = 0; j <= i; j++) if (seen.isNew(`id ${j}`, 0)) t.fail(`id ${j} of ${i}`);
  }
  t.equal(seen.metrics().keys, 70);
});

t.test("taken back: only what is there, and a day with nothing left is not saved", async (t) => {
  const seen = new Seen(0, "s", DAY_MS);
  const saved = (): string => {
    const writer = new ByteWriter();
    seen.save(writer);
    return Buffer.from(writer.finish()).toString("hex");
  };
  const empty = saved();
  seen.takeBack("never there");
  seen.isNew("a", 0);
  const one = saved();
  seen.takeBack("never there");
  seen.isNew("b", 0);
  seen.takeBack("b");
  t.equal(saved(), one);
  seen.isNew("c", DAY_MS);
  seen.takeBack("c");
  t.equal(saved(), one, "no day without identities");
  t.match(seen.metrics(), { name: "s", keys: 1 });
  const second = new Seen(0, "s", DAY_MS);
  second.isNew("c", DAY_MS);
  second.takeBack("c");
  const writer = new ByteWriter();
  second.save(writer);
  t.equal(Buffer.from(writer.finish()).toString("hex"), empty);
});

t.test("saved bytes do not show which day came first", async (t) => {
  const saved = (days: readonly number[]): string => {
    const seen = new Seen(0, "s", DAY_MS);
    for (const day of days) seen.isNew(`of ${day}`, day * DAY_MS);
    const writer = new ByteWriter();
    seen.save(writer);
    return Buffer.from(writer.finish()).toString("hex");
  };
  t.equal(saved([12, 3, 7]), saved([3, 7, 12]));
});

t.test("loaded into one that was in use, it holds what was saved and nothing else", async (t) => {
  const used = new Seen(0, "s", DAY_MS);
  for (let i = 0; i < 5_000; i++) used.isNew(`old ${i}`, 0);
  used.isNew("other", DAY_MS * 4);
  used.advance(5 * DAY_MS);
  used.advance(5 * DAY_MS);
  const from = new Seen(0, "s", DAY_MS);
  for (let i = 0; i < 5_000; i++) from.isNew(`new ${i}`, 0);
  const writer = new ByteWriter();
  from.save(writer);
  used.load(new ByteReader(writer.finish()));
  t.equal(used.metrics().keys, 5_000);
  t.notOk(used.isNew("new 1", 0));
  t.ok(used.isNew("other", 0));
  const again = new ByteWriter();
  used.takeBack("other");
  used.save(again);
  t.same(Buffer.from(again.finish()), Buffer.from(writer.finish()));
  t.equal(
    removedBy(() => used.advance(3 * DAY_MS)),
    0,
  );
  t.equal(used.metrics().keys, 0, "forgotten, although a later time was forgotten before");
  t.same(
    [1, 2, 3].map(() => removedBy(() => used.advance(3 * DAY_MS))),
    [4_096, 904, 0],
  );
});
