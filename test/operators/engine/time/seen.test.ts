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
