import t from "tap";
import { popInKeyOrder } from "../../../../src/operators/engine/state/due.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import type { Key } from "../../../../src/operators/engine/state/keys.js";
import { TimerHeap } from "../../../../src/operators/engine/state/timers.js";
import { drive } from "../support/drive.js";

/** Pops what is due at 10 of timers set for these slots; the keys, in the order in which they come. */
function due(table: KeyTable, slots: readonly number[]): { keys: (Key | undefined)[]; pauses: number; left: number } {
  const heap = new TimerHeap();
  for (const slot of slots) heap.push(10, slot);
  heap.push(11, 0);
  const { result, pauses } = drive(popInKeyOrder(heap, table, 10, heap.pop()));
  return { keys: Array.from(result, table.keyOf), pauses, left: heap.size };
}

t.test("due: those in use, each once, in key order; what is due later stays", async (t) => {
  const table = new KeyTable();
  for (const key of ["d", "b", 7, "c", "a"]) table.slotOf(key);
  const only = (...slots: number[]): (Key | undefined)[] => {
    const { keys, left } = due(table, slots);
    t.equal(left, 1);
    return keys;
  };
  t.same(only(0), ["d"]);
  t.same(only(0, 1), ["b", "d"]);
  t.same(only(1, 0, 4, 2, 3), [7, "a", "b", "c", "d"]);
  t.same(only(0, 0, 1, 0, 1), ["b", "d"], "set twice for one time");
  t.same(only(3, 3), ["c"]);
  table.remove(1);
  t.same(only(1), []);
  t.same(only(1, 0), ["d"]);
  t.same(only(0, 1), ["d"]);
  t.same(only(0, 1, 4), ["a", "d"]);
});

t.test("due: 2 048 timers a step", async (t) => {
  const table = new KeyTable();
  for (let i = 0; i < 5_000; i++) table.slotOf((i * 7_919) % 5_000);
  for (const [count, pauses] of [
    [2, 0],
    [2_048, 0],
    [2_049, 1],
    [4_097, 2],
    [5_000, 2],
  ] as const) {
    const found = due(
      table,
      Array.from({ length: count }, (_, i) => i),
    );
    t.equal(found.pauses, pauses, `${count} timers`);
    t.ok(
      found.keys.length === count && found.keys.every((key, i) => i === 0 || (found.keys[i - 1] as Key) < (key as Key)),
    );
  }
});
