import assert from "node:assert/strict";
import t from "tap";
import { DistinctSketch } from "../../../../src/operators/engine/aggregates/distinct.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";

type Key = string | number;

const EXACT_UP_TO = 128;
const names = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `name ${from + i}`);

function sketchOf(keys: readonly Key[], precision = 12): DistinctSketch {
  const sketch = new DistinctSketch(precision);
  for (const key of keys) sketch.add(key, undefined);
  return sketch;
}

function saved(sketch: DistinctSketch): Buffer {
  const writer = new ByteWriter();
  sketch.save(writer);
  return Buffer.from(writer.finish());
}

function loaded(bytes: Uint8Array, precision = 12): DistinctSketch {
  const sketch = new DistinctSketch(precision);
  sketch.load(new ByteReader(bytes));
  return sketch;
}

/** Hashes of keys, as a sketch of few saves them: ascending. */
function hashesOf(keys: readonly Key[]): number[] {
  const reader = new ByteReader(saved(sketchOf(keys)));
  assert.equal(reader.u8(), 0, "few are kept as hashes");
  return Array.from({ length: reader.uint() }, () => reader.uint());
}

function withRegisters(registers: Uint8Array, precision: number): DistinctSketch {
  const writer = new ByteWriter();
  writer.u8(1);
  writer.bytes(registers);
  return loaded(writer.finish(), precision);
}

t.test("hashes are what they were: a sketch that an earlier program saved goes on", async (t) => {
  const wanted: readonly (readonly [Key, number])[] = [
    ["", 5_511_714_351_087_616],
    ["a", 5_061_109_203_701_029],
    ["b", 8_850_631_669_854_162],
    ["truck 17", 8_795_041_949_421_593],
    ["ä🚀", 5_567_232_021_587_557],
    ["a longer name, with a comma", 1_288_186_196_654_897],
    [0, 0],
    [1, 6_236_156_438_915_255],
    [-1, 8_502_499_827_871_545],
    [17, 4_579_469_567_237_864],
    [2 ** 31, 4_680_405_308_228_955],
    [1.5, 2_538_325_489_512_908],
    [-0.1, 8_707_182_919_200_272],
    [Number.MAX_SAFE_INTEGER, 6_074_315_348_712_887],
  ];
  t.same(
    wanted.map(([key]) => [key, ...hashesOf([key])]),
    wanted,
  );
  const all = wanted.map(([key]) => key);
  t.same(
    hashesOf(all),
    wanted.map(([, hash]) => hash).sort((a, b) => a - b),
  );
});

t.test("above 128: the longest run of zeros a register, of the hashes it kept before", async (t) => {
  for (const precision of [4, 12, 18]) {
    const few = sketchOf(names(EXACT_UP_TO), precision);
    t.equal(few.estimate(), EXACT_UP_TO);
    few.add("name 5", undefined);
    t.equal(saved(few)[0], 0, "one it has already changes nothing");
    few.add("one more", undefined);
    const registers = new Uint8Array(2 ** precision);
    for (const key of [...names(EXACT_UP_TO), "one more"]) {
      const [hash] = hashesOf([key]) as [number];
      const rest = Math.floor(hash / registers.length).toString(2);
      const rank = 53 - precision - rest.length + 1;
      const slot = hash % registers.length;
      registers[slot] = Math.max(registers[slot] as number, rank);
    }
    t.ok(saved(few).equals(saved(withRegisters(registers, precision))), `${registers.length} registers`);
  }
});

t.test("the estimate follows the formula of Ertl, with empty and with full registers", async (t) => {
  for (const precision of [4, 10]) {
    const m = 2 ** precision;
    const bits = 53 - precision;
    for (const [empty, full, rankOf] of [
      [0, 0, (i: number) => 1 + (i % 5)],
      [3, 0, (i: number) => 1 + (i % 9)],
      [m / 2, 0, () => 1],
      [0, 3, (i: number) => bits - (i % 3)],
      [2, m / 2, () => bits],
      [m, 0, () => 0],
    ] as const) {
      const registers = Uint8Array.from({ length: m }, (_, i) =>
        i < empty ? 0 : i < empty + full ? bits + 1 : rankOf(i),
      );
      const share = (rank: number): number => registers.filter((one) => one === rank).length / m;
      let sigma = share(0);
      let tau = full === 0 ? 0 : full / m;
      for (let k = 1; k < 200; k++) {
        sigma += share(0) ** (2 ** k) * 2 ** (k - 1);
        if (full > 0) tau -= (1 - (1 - full / m) ** (2 ** -k)) ** 2 * 2 ** -k;
      }
      let harmonic = sigma + (tau / 3) * 2 ** -bits;
      for (let k = 1; k <= bits; k++) harmonic += share(k) * 2 ** -k;
      const wanted = empty === m ? 0 : Math.round(m / (2 * Math.LN2) / harmonic);
      const found = withRegisters(registers, precision).estimate();
      t.ok(Math.abs(found - wanted) <= wanted * 1e-12, `${found} of ${wanted}: ${empty} empty, ${full} full of ${m}`);
    }
  }
});

t.test("merged: the sketch of all keys, of which the other keeps its own", async (t) => {
  const all = names(700);
  for (const [ours, theirs] of [
    [5, 60],
    [100, 100],
    [100, 300],
    [300, 100],
    [300, 300],
    [0, 300],
    [128, 1],
    [128, 0],
  ] as const) {
    const [into, from] = [sketchOf(all.slice(0, ours)), sketchOf(all.slice(ours / 2, ours / 2 + theirs))];
    const before = saved(from);
    into.merge(from);
    t.ok(saved(into).equals(saved(sketchOf(all.slice(0, Math.max(ours, ours / 2 + theirs))))), `${ours} and ${theirs}`);
    t.ok(saved(from).equals(before));
    into.merge(into);
    t.ok(saved(from).equals(before));
    const bytes = saved(into);
    const again = loaded(bytes);
    t.equal(again.estimate(), into.estimate());
    for (const one of [again, into]) for (const key of names(20, 1_000)) one.add(key, undefined);
    t.ok(saved(again).equals(saved(into)), "loaded, it goes on");
    t.notOk(saved(again).equals(bytes));
    t.ok(saved(loaded(bytes)).equals(bytes), "and the bytes stay as they were");
  }
});

t.test("what a unit of work has added is taken back: hashes, the change to registers, ranks", async (t) => {
  const undo = new Undo();
  for (const before of [0, 10, 126, 127, 128, 129, 500]) {
    const kept = names(before);
    const sketch = sketchOf(kept, 5);
    for (const round of ["once", "again"]) {
      undo.begin();
      for (const key of [...names(3), ...names(40, before)]) sketch.add(key, undo);
      t.ok(saved(sketch).equals(saved(sketchOf([...kept, ...names(3), ...names(40, before)], 5))), "added");
      undo.rollback();
      t.ok(saved(sketch).equals(saved(sketchOf(kept, 5))), `${before} keys, ${round}`);
    }
    undo.begin();
    undo.keep("something else");
    sketch.add("just one", undo);
    undo.rollback();
    t.ok(saved(sketch).equals(saved(sketchOf(kept, 5))), `${before} keys, one more`);
    undo.begin();
    sketch.add("stays", undo);
    undo.commit();
    undo.begin();
    undo.rollback();
    t.ok(saved(sketch).equals(saved(sketchOf([...kept, "stays"], 5))), "what has succeeded stays");
  }
});
