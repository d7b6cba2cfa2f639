import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { inKeyOrder } from "../../../../src/operators/engine/state/key-order.js";
import { compareKeys, type Key } from "../../../../src/operators/engine/state/keys.js";
import { Resting } from "../../../../src/operators/engine/state/resting.js";
import { TimerHeap } from "../../../../src/operators/engine/state/timers.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";
import { writeValue } from "../../../../src/operators/engine/state/values.js";

t.test("undo: whatever a unit of work did to rows, fields and lists is taken back, and only that unit", async (t) => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant("row" as const), row: fc.nat(9) }),
    fc.record({ kind: fc.constant("field" as const), row: fc.nat(9) }),
    fc.record({ kind: fc.constant("object" as const), row: fc.nat(9) }),
  );
  const unit = fc.record({ changes: fc.array(change, { maxLength: 150 }), fails: fc.boolean() });
  const STRIDE = 7;
  const property = fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
    const undo = new Undo();
    const rows = new Float64Array(10 * STRIDE);
    const fields = Array.from({ length: 10 }, () => 0);
    const objects: unknown[] = Array.from({ length: 10 }, () => ({}));
    const rowsTarget = {
      undo: (row: number, at: number) => rows.set(undo.doubles.subarray(at, at + STRIDE), row * STRIDE),
    };
    const fieldsTarget = { undo: (row: number, before: number) => void fields.splice(row, 1, before) };
    const objectsTarget = { undo: (row: number, kept: number) => void objects.splice(row, 1, undo.kept(kept)) };
    let turn = 0;
    for (const { changes, fails } of units) {
      undo.begin();
      const before = [rows.slice(), [...fields], [...objects]];
      for (const { kind, row } of changes) {
        turn++;
        if (kind === "row") {
          undo.row(rowsTarget, row, rows, row * STRIDE, STRIDE);
          for (let i = 0; i < STRIDE; i++) rows[row * STRIDE + i] = turn * 10 + i;
        } else if (kind === "field") {
          undo.note(fieldsTarget, row, fields[row] as number);
          fields[row] = turn;
        } else {
          undo.note(objectsTarget, row, undo.keep(objects[row]));
          objects[row] = { turn };
        }
      }
      const after = [rows.slice(), [...fields], [...objects]];
      if (fails) undo.rollback();
      else undo.commit();
      const expected = fails ? before : after;
      assert.deepEqual([rows, fields], expected.slice(0, 2));
      objects.forEach((object, i) => assert.equal(object, (expected[2] as unknown[])[i]));
      if (fails) undo.rollback();
      assert.deepEqual([rows, fields], expected.slice(0, 2), "once");
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 71, numRuns: 100 }));
});

t.test("undo: effects wait for success, run once and in order, and are dropped with a failure", async (t) => {
  const undo = new Undo();
  undo.commit();
  undo.rollback(); // nothing was begun, so nothing happens
  const ran: string[] = [];
  const effects = (...names: string[]): void => {
    for (const name of names) undo.afterwards(() => void ran.push(name));
  };
  undo.begin();
  effects("a", "b");
  t.same(ran, []);
  undo.commit();
  undo.commit();
  t.same(ran, ["a", "b"]);
  undo.begin();
  effects("c");
  undo.rollback();
  undo.commit();
  t.same(ran, ["a", "b"]);
  undo.begin();
  effects("d");
  undo.begin();
  undo.commit();
  t.same(ran, ["a", "b"], "a unit that was given up leaves no effect to the next");
  effects("e");
  undo.commit();
  t.same(ran, ["a", "b", "e"]);
});

t.test("undo: references of a large unit of work are let go", async (t) => {
  const undo = new Undo();
  undo.begin();
  for (let i = 0; i < 65; i++) t.equal(undo.keep({ i }), i);
  t.same(undo.kept(64), { i: 64 });
  undo.begin();
  t.equal(undo.kept(0), undefined);
  t.equal(undo.keep("next"), 0);
  t.equal(undo.kept(0), "next");
});

t.test("undo: room for rows doubles, or is what one row needs; none is given away again", async (t) => {
  const undo = new Undo();
  const target = { undo: () => undefined };
  const noted = (count: number): number => {
    undo.row(target, 0, new Float64Array(count).fill(7), 0, count);
    return undo.doubles.length;
  };
  undo.begin();
  t.same(
    [undo.doubles.length, noted(200), noted(56), noted(1), noted(255), noted(1)],
    [256, 256, 256, 512, 512, 1_024],
  );
  undo.begin();
  t.same([noted(1_024), noted(2_000)], [1_024, 3_024]);
  t.ok(undo.doubles.every((value) => value === 7));
  undo.begin();
  for (let i = 0; i < 64; i++) undo.keep(i);
  undo.begin();
  t.equal(undo.kept(63), 63, "the references of a small unit of work may stay, to be written over");
  t.equal(undo.keep("next"), 0);
});

t.test("timer heap: in any mix of pushes and pops the earliest comes first, with its own number", async (t) => {
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: -30, max: 30 }) },
    { weight: 2, arbitrary: fc.constant(undefined) },
  );
  const property = fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
    const heap = new TimerHeap();
    const times = new Map<number, number>();
    for (const [id, timeMs] of actions.entries()) {
      if (timeMs !== undefined) {
        heap.push(timeMs, id);
        times.set(id, timeMs);
      } else {
        const nextMs = heap.nextMs;
        const popped = heap.pop();
        assert.equal(nextMs, Math.min(Number.POSITIVE_INFINITY, ...times.values()));
        assert.equal(popped === -1 ? Number.POSITIVE_INFINITY : times.get(popped), nextMs);
        times.delete(popped);
      }
      assert.equal(heap.size, times.size);
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 72, numRuns: 100 }));
  const heap = new TimerHeap();
  for (let i = 0; i < 64; i++) heap.push(i, i);
  heap.clear();
  heap.push(99, 5);
  t.equal(heap.nextMs, 99);
  t.equal(heap.pop(), 5);
});

t.test("key order: every slot in use once, in the order of its key, a bounded number of them a step", async (t) => {
  const keyOf = (i: number): Key => {
    const mixed = (i * 7_919) % 10_007;
    return i % 3 === 0 ? mixed - 5_000 : i % 3 === 1 ? `k${mixed}` : mixed + 0.5;
  };
  for (const length of [0, 1, 2, 511, 512, 513, 1_024, 1_025, 1_700, 5_000]) {
    for (const isFree of [() => false, (i: number) => i % 7 === 2, (i: number) => i < 600, (i: number) => i >= 600]) {
      const all = Array.from({ length }, (_, slot) => (isFree(slot) ? undefined : keyOf(slot)));
      const size = all.filter((key) => key !== undefined).length;
      const slots = { length, size, keyAt: (slot: number) => all[slot] };
      const seen: Key[] = [];
      let most = 0;
      let before = 0;
      const visits = inKeyOrder(slots, (slot, key) => {
        assert.equal(all[slot], key);
        seen.push(key);
      });
      for (const _step of visits) {
        most = Math.max(most, seen.length - before);
        before = seen.length;
      }
      const expected = all.filter((key) => key !== undefined).sort(compareKeys);
      assert.deepEqual(seen, expected, `${length} slots`);
      assert.ok(Math.max(most, seen.length - before) <= 512, `${length} slots: ${most} visited in one step`);
    }
  }
  t.ok(compareKeys(1, "1") < 0 && compareKeys("1", 1) > 0, "numbers before text");
  t.same([compareKeys(2, 10), compareKeys("2", "10"), compareKeys("a", "a"), compareKeys(3, 3)], [-1, 1, 0, 0]);
});

t.test("entries at rest: copied from save to save, read and replaced, they stay what they were", async (t) => {
  const slots = 12;
  const round = fc.record({
    /** Slots whose value is new: written out instead of copied. */
    changed: fc.array(fc.nat(slots - 1), { maxLength: 5 }),
    /** Slots that are gone. */
    gone: fc.array(fc.nat(slots - 1), { maxLength: 3 }),
    /** Where the order begins: mostly as before. */
    rotate: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(slots - 1) }),
    text: fc.string({ maxLength: 60 }),
    /** Whether entries begin in a piece of their own where one is nearly full. */
    cuts: fc.boolean(),
  });
  const rounds = fc.array(round, { minLength: 1, maxLength: 8 });
  const property = fc.property(rounds, fc.constantFrom(16, 40, 80, 200, 5_000), (rounds, pieceBytes) => {
    let resting = new Resting();
    const values = new Map<number, unknown>();
    for (const [n, { changed, gone, rotate, text, cuts }] of rounds.entries()) {
      for (let slot = 0; n === 0 && slot < slots; slot++) values.set(slot, { slot, text });
      for (const slot of changed) values.set(slot, { slot, text, n });
      for (const slot of gone) values.delete(slot);
      for (const slot of [...changed, ...gone]) resting.forget(slot);
      const writer = new ByteWriter(pieceBytes, pieceBytes);
      const next = new Resting(slots);
      const copier = resting.copier(writer, next);
      const order = Array.from({ length: slots }, (_, i) => (i + rotate) % slots).filter((slot) => values.has(slot));
      const expected = new ByteWriter();
      expected.selfContained = true;
      for (const slot of order) {
        expected.u8(slot);
        writeValue(expected, values.get(slot));
        const rests = resting.has(slot);
        assert.equal(copier.take(slot), rests);
        if (rests) continue;
        copier.flush();
        if (cuts) writer.cut();
        const entry = { piece: writer.piece, from: writer.place };
        writer.u8(slot);
        const value = writer.place;
        writer.selfContained = true;
        writeValue(writer, values.get(slot));
        next.put(slot, writer, entry, value);
      }
      copier.flush();
      copier.flush();
      const pieces = writer.finishPieces();
      next.keep(pieces);
      assert.deepEqual(Buffer.concat(pieces), Buffer.from(expected.finish()));
      const kept = next.pieces.filter((piece, i) => piece === pieces[i] || piece.length > 0);
      if (!order.some((slot) => next.has(slot))) assert.deepEqual(kept, [], "nothing rests: nothing is kept");
      for (let slot = 0; slot < slots; slot++) {
        if (!values.has(slot)) assert.equal(next.has(slot), false);
        if (!next.has(slot)) {
          assert.equal(next.bytesOf(slot), undefined);
          continue;
        }
        assert.deepEqual(next.read(slot), values.get(slot));
        const own = new ByteWriter();
        own.selfContained = true;
        writeValue(own, values.get(slot));
        assert.deepEqual(Buffer.from(next.bytesOf(slot) as Uint8Array), Buffer.from(own.finish()));
      }
      const keptBytes = kept.reduce((sum, { length }) => sum + length, 0);
      assert.equal(next.bytes, slots * 16 + keptBytes, "what is held: 16 bytes a slot, and the bytes it rests in");
      resting = next;
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 74, numRuns: 150 }));
  const twoPieces = new ByteWriter(16, 16);
  const twins = new Resting(4);
  for (let slot = 0; slot < 4; slot++) {
    const entry = { piece: twoPieces.piece, from: twoPieces.place };
    const value = twoPieces.place;
    twoPieces.f64(slot);
    twins.put(slot, twoPieces, entry, value);
  }
  twins.keep(twoPieces.finishPieces());
  assert.equal(twins.pieces.length, 2);
  const copied = new ByteWriter();
  const copies = twins.copier(copied, new Resting(4));
  for (const slot of [0, 3]) assert.ok(copies.take(slot)); // one ends where the other begins, in another piece
  copies.flush();
  const doubles = new Float64Array(2);
  new ByteReader(copied.finish()).doubles(doubles, 0, 2);
  t.same([...doubles], [0, 3]);
  const none = new Resting(2);
  none.forget(5);
  t.same([none.has(0), none.has(1), none.has(2), none.bytes], [false, false, false, 32]);
});

t.test(
  "entries at rest: a piece in which nothing changed is the same piece in the next save, not a copy",
  async (t) => {
    const slots = 400;
    const save = (from: Resting, changed: number): Resting => {
      const writer = new ByteWriter(1_000, 1_000);
      const into = new Resting(slots);
      const copier = from.copier(writer, into);
      for (let slot = 0; slot < slots; slot++) {
        if (slot !== changed && copier.take(slot)) continue;
        copier.flush();
        writer.cut();
        const entry = { piece: writer.piece, from: writer.place };
        const value = writer.place;
        writeValue(writer, slot === changed ? `entry ${slot}!` : `entry ${slot}.`);
        into.put(slot, writer, entry, value);
      }
      copier.flush();
      into.keep(writer.finishPieces());
      return into;
    };
    const first = save(new Resting(), -1);
    t.ok(first.pieces.length >= 4 && first.pieces.every(({ length }) => length <= 1_000));
    t.ok(
      first.pieces.slice(0, -1).every(({ length }) => length >= 750),
      "filled to three quarters at least",
    );
    for (const changed of [-1, 0, 170, 399]) {
      const next = save(first, changed);
      const copied = next.pieces.filter((piece) => !first.pieces.includes(piece));
      const copiedBytes = copied.reduce((sum, { length }) => sum + length, 0);
      t.ok(copiedBytes <= (changed < 0 ? 500 : 1_500), `${copiedBytes} bytes copied for ${changed}`);
      for (let slot = 0; slot < slots; slot++)
        assert.equal(next.read(slot), slot === changed ? `entry ${slot}!` : `entry ${slot}.`);
      assert.equal(
        Buffer.concat(next.pieces as Uint8Array[]).length,
        Buffer.concat(first.pieces as Uint8Array[]).length,
      );
    }
  },
);

t.test("entries at rest: neighbours are copied together, and most of them in one go", async (t) => {
  const first = new ByteWriter(1_000_000, 1_000_000);
  const resting = new Resting(100);
  for (let slot = 0; slot < 100; slot++) {
    const entry = { piece: first.piece, from: first.place };
    const value = first.place;
    writeValue(first, `value ${slot}`);
    resting.put(slot, first, entry, value);
  }
  resting.pieces = first.finishPieces();
  const writer = new ByteWriter(1_000_000, 1_000_000);
  let copies = 0;
  const raw = writer.raw.bind(writer);
  writer.raw = (bytes) => {
    copies++;
    raw(bytes);
  };
  const next = new Resting(100);
  const copier = resting.copier(writer, next);
  for (let slot = 0; slot < 100; slot++) if (slot !== 50) copier.take(slot);
  t.equal(copies, 1, "a gap ends a run");
  copier.flush();
  t.equal(copies, 2);
  next.keep(writer.finishPieces());
  t.equal(next.has(50), false);
  t.same([next.read(0), next.read(49), next.read(51), next.read(99)], ["value 0", "value 49", "value 51", "value 99"]);
});
