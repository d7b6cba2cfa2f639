import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { planAggregates } from "../../../../src/operators/engine/aggregates/plan.js";
import {
  argmax,
  count,
  distinctExact,
  max,
  sumIntegers,
  type WindowRow,
} from "../../../../src/operators/engine/index.js";
import { Frame } from "../../../../src/operators/engine/state/frame.js";
import { STEP_SLOTS } from "../../../../src/operators/engine/state/steps.js";
import { Undo } from "../../../../src/operators/engine/state/undo.js";
import type { HopPane, Slide } from "../../../../src/operators/engine/windows/hop.js";
import { firstFrom } from "../../../../src/operators/engine/windows/hop.js";
import { BlockSlide } from "../../../../src/operators/engine/windows/slide-blocks.js";
import { SubtractSlide } from "../../../../src/operators/engine/windows/slide-subtract.js";

interface Sample {
  readonly key: string;
  readonly x: number;
}

const x = (sample: Sample): number => sample.x;
const MERGED = { n: count(), best: max(x), word: argmax(x, ({ key, x }: Sample) => `${key} ${x}`) };
const SUBTRACTED = { n: count(), total: sumIntegers(x), kinds: distinctExact(x) };
const undo = new Undo();

/** A pane of samples; keys that begin with `-` came and were taken back: their places are free. */
function paneOf(startMs: number, samples: readonly Sample[], aggregates: typeof MERGED | typeof SUBTRACTED) {
  const frame = new Frame<Sample>(planAggregates<Sample>(aggregates), undo);
  for (const [i, sample] of samples.entries()) {
    undo.begin();
    frame.add(frame.open(sample.key), sample, startMs + i);
    if (sample.key.startsWith("-")) undo.rollback();
  }
  return { startMs, frame };
}

type Rows = Readonly<Record<string, readonly unknown[]>>;

function rowsOf(slide: Slide<Sample>, aggregates: typeof MERGED | typeof SUBTRACTED): Rows {
  const plan = planAggregates<Sample>(aggregates);
  const { rows, stride, cells, keyOf } = slide.held();
  const all = [...slide.slots()].map((slot) => {
    const row = plan.result(rows, slot * stride, cells, slot, keyOf(slot) ?? "none", 0, 1, "final", 0);
    const { key, startMs, endMs, kind, revision, ...results } = row as WindowRow<string, Record<string, unknown>>;
    return [key, Object.values(results)] as const;
  });
  assert.equal(new Set(all.map(([key]) => key)).size, all.length);
  assert.equal(slide.keys, all.length);
  assert.deepEqual(
    all.map(([key]) => key),
    all.map(([key]) => key).sort(),
  );
  return Object.fromEntries(all);
}

function plainly(samples: readonly Sample[], isMerged: boolean): Rows {
  const byKey = new Map<string, Sample[]>();
  for (const one of samples) byKey.set(one.key, [...(byKey.get(one.key) ?? []), one]);
  return Object.fromEntries(
    [...byKey].map(([key, own]) => {
      const xs = own.map(x);
      const high = Math.max(...xs);
      const total = xs.reduce((a, b) => a + b, 0);
      return [key, isMerged ? [xs.length, high, `${key} ${high}`] : [xs.length, total, new Set(xs).size]];
    }),
  );
}

function turnsOf(slide: Slide<Sample>, startMs: number, endMs: number, panes: readonly HopPane<Sample>[]): number {
  const steps = slide.moveTo(startMs, endMs, panes);
  for (let turns = 0; ; turns++) if (steps.next().done === true) return turns;
}

const sample = fc.record({
  key: fc.constantFrom("a", "b", "c", "d", "-e", "-f"),
  x: fc.integer({ min: -5, max: 5 }),
});

for (const isMerged of [true, false]) {
  const aggregates = isMerged ? MERGED : SUBTRACTED;
  const create = (sizeMs: number, offsetMs: number): Slide<Sample> =>
    isMerged
      ? new BlockSlide<Sample>(aggregates, { sizeMs, offsetMs })
      : new SubtractSlide<Sample>(aggregates as typeof SUBTRACTED);
  const name = isMerged ? "stacks" : "subtract";

  t.test(`${name}: each window holds what its panes hold, spoiled between or not`, async (t) => {
    const property = fc.property(
      fc.array(fc.array(sample, { maxLength: 8 }), { maxLength: 16 }),
      fc.constantFrom([4, 1], [4, 3], [3, 2], [1, 1], [5, 5]),
      fc.integer({ min: -3, max: 3 }),
      fc.array(fc.nat(16), { maxLength: 3 }),
      (lists, [size, slide], offset, spoiled) => {
        const held = create((size as number) * 10, offset * 10);
        const panes = lists.flatMap((list, i) =>
          list.length === 0 ? [] : [paneOf((i + offset) * 10, list, aggregates)],
        );
        for (let from = -(size as number); from <= lists.length; from += slide as number) {
          const [startMs, endMs] = [(from + offset) * 10, (from + offset + (size as number)) * 10];
          if (spoiled.includes(from)) held.spoil();
          // Panes before the window have been dropped, as their owner does it; later ones are there already.
          const there = panes.filter((pane) => pane.startMs >= startMs);
          turnsOf(held, startMs, endMs, there);
          const within = lists.slice(Math.max(0, from), Math.max(0, from + (size as number))).flat();
          assert.deepEqual(
            rowsOf(held, aggregates),
            plainly(
              within.filter(({ key }) => !key.startsWith("-")),
              isMerged,
            ),
            `window from ${startMs}`,
          );
        }
      },
    );
    t.doesNotThrow(() => fc.assert(property, { seed: 18, numRuns: 300 }));
  });

  t.test(`${name}: many keys are moved in turns of ${STEP_SLOTS}, and no more turns than that takes`, async (t) => {
    const KEYS = 2 * STEP_SLOTS + 10;
    const keys = Array.from({ length: KEYS }, (_, i) => ({ key: `key ${i}`, x: i % 7 }));
    const panes = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => paneOf(i * 10, keys, aggregates));
    const slide = create(40, 0);
    turnsOf(slide, 0, 40, panes); // sorts the keys as well
    const all = [0, 1, 2, 3].map((i) => {
      const before = slide.bytes;
      const turns = turnsOf(slide, 10 + i * 10, 50 + i * 10, panes.slice(1 + i));
      return { turns: turns / 2, grown: slide.bytes - before };
    });
    if (isMerged) {
      const front = KEYS * (planAggregates<Sample>(aggregates).stride * 8 + 3 * 4);
      // First the old block is stacked: the three panes left of it, each with its places, and all keys once; then as each later one:
      // a pane goes, a pane comes, and the rows are put together.
      t.same(all, [
        { turns: 3 * 2 + 1 + 2, grown: 3 * front },
        { turns: 3, grown: -front },
        { turns: 3, grown: -front },
        { turns: 3, grown: -front },
      ]);
    } else {
      t.same(
        all,
        all.map(() => ({ turns: 2, grown: 0 })),
      );
      t.ok(slide.bytes >= KEYS * planAggregates<Sample>(aggregates, 1).stride * 8);
    }
    t.equal(Object.keys(rowsOf(slide, aggregates)).length, KEYS);
    slide.spoil();
    t.same([slide.keys, slide.slots().length], [0, 0]);
  });
}

t.test("new panes are looked for from the end", async (t) => {
  const panes = [0, 10, 20, 30].map((startMs) => paneOf(startMs, [], MERGED));
  const found = (startMs: number, reachedMs: number): number => firstFrom(panes, startMs, reachedMs);
  t.same(
    [found(0, -1), found(0, 0), found(10, -1), found(10, 10), found(11, 15), found(0, 30), found(31, 0), found(-9, -9)],
    [0, 1, 1, 2, 2, 4, 4, 0],
  );
  t.equal(firstFrom([], 0, 0), 0);
});
