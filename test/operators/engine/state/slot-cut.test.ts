import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  collect,
  count,
  countOf,
  type KeyedStream,
  pipeline,
  session,
  sum,
  TestKit,
  type Topology,
  testSource,
  testTarget,
} from "../../../../src/operators/engine/index.js";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import { readKey } from "../../../../src/operators/engine/state/keys.js";
import { SlotCut } from "../../../../src/operators/engine/state/slot-cut.js";
import { type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

type Keyed = KeyedStream<string, Reading>;

class Highest {
  #highest = Number.NEGATIVE_INFINITY;
  scoreOne = ({ x }: Reading) => x - this.#highest;
  learnOne = ({ x }: Reading) => {
    this.#highest = Math.max(this.#highest, x);
  };
  save = () => ({ highest: this.#highest });
  load = (saved: unknown) => {
    this.#highest = (saved as { highest: number }).highest;
  };
}

const aggregates = { n: count(), total: sum("x" as const), ids: collect(({ id }: Reading) => id, { limit: 5 }) };

/** Every operator that keeps something by key beside the aligned windows, each in a topology of its own. */
const OPERATORS: Readonly<Record<string, (keyed: Keyed, topology: Topology) => unknown>> = {
  process: (keyed) =>
    keyed.process<{ n: number; seen: readonly { id: number; x: number }[] }, number>("p", {
      ttlMs: 40,
      init: () => ({ n: 0, seen: [] }),
      onEvent({ n, seen }, { id, x }, at) {
        if (x % 7 === 0) at.setTimer(at.timeMs + 15);
        if (x % 11 === 0) at.cancelTimer(at.timeMs + 15);
        if (x % 5 === 0) return undefined;
        return x % 3 === 0 ? { n, seen } : { n: n + 1, seen: [...seen, { id, x }].slice(-3) };
      },
      onTimer: ({ n, seen }, timeMs) => (timeMs % 2 === 0 ? undefined : { n: n + 1, seen }),
    }),
  "process, bounded": (keyed) =>
    keyed.process<number, number>("p", { ttlMs: 40, maxKeys: 3, init: () => 0, onEvent: (n, { x }) => n + x }),
  pattern: (keyed) =>
    keyed.pattern("p", {
      first: ({ x }) => x > 0,
      second: ({ x }) => x < 0,
      withinMs: 20,
      absent: ({ id }) => id,
    }),
  "windows per key": (keyed) =>
    keyed.windowPerKey("w", { sizeMs: 10, disorderMs: 3, maxDelayMs: 40 }, { n: count(), total: sum("x" as const) }),
  dedupe: (keyed) => keyed.values().dedupe("d", { id: ({ x }) => x, ttlMs: 50 }),
  lag: (keyed) => keyed.lag("l", { ttlMs: 50 }),
  hadChanged: (keyed) => keyed.hadChanged("h", { of: ({ x }) => x > 0, ttlMs: 50 }),
  session: (keyed) => keyed.window("w", session({ gapMs: 12, latenessMs: 10 })).aggregate(aggregates),
  count: (keyed) => keyed.window("w", countOf(3)).aggregate(aggregates),
  interval: (keyed) =>
    keyed.joinInterval(
      "j",
      keyed.filter(({ x }) => x > 10),
      { beforeMs: 8, afterMs: 8, combine: (a, b) => [a.id, b.id], unmatched: ({ id }) => [id] },
    ),
  "window join": (keyed) =>
    keyed.joinWindow(
      "j",
      keyed.filter(({ x }) => x > 10),
      { sizeMs: 20, combine: (a, b) => [a.id, b.id] },
    ),
  score: (keyed) =>
    keyed.score("s", {
      model: () => new Highest(),
      maxKeys: 4,
      combine: (value, score) => ({ value, score: score ?? null }),
    }),
  table: (keyed, topology) => {
    const table = topology.table<number>("t", {
      kind: "t",
      keepVersionsMs: 30,
      read: (body) => body as { key: string; value: number; fromMs: number },
    });
    return keyed.lookup(
      table,
      ({ key }) => key,
      (value, found) => [value.id, found ?? null],
    );
  },
};

function topologyOf(name: string): Topology {
  const topology = pipeline("test.slots");
  const keyed = topology
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key, x }) => `${key}${x % 4}`);
  const build = OPERATORS[name] as (typeof OPERATORS)[string];
  (build(keyed, topology) as Keyed)
    .map((value) => {
      if (planted) throw new Error("planted");
      return value;
    })
    .to(testTarget());
  return topology;
}

/** What follows the operator throws: its changes are taken back. */
let planted = false;

function apply(kit: TestKit<Reading>, step: Step): void {
  if (step.kind === "mark") {
    kit.watermark(step.timeMs);
    return;
  }
  const { event } = step;
  planted = event.id % 5 === 3;
  kit.event(event.timeMs, event);
  planted = false;
  if (event.id % 3 === 0)
    kit.control("t", {
      key: event.key,
      ...(event.x > 0 && { value: event.x }),
      fromMs: event.timeMs,
    });
}

t.setTimeout(120_000);
for (const name of Object.keys(OPERATORS)) {
  t.test(`${name}: saves in steps, one after another, give the bytes of the moments they began`, async (t) => {
    const property = fc.property(
      steps({ maxEvents: 100 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }),
      (all, paces) => {
        const kit = new TestKit<Reading>(topologyOf(name));
        const twin = new TestKit<Reading>(topologyOf(name));
        let save: ReturnType<typeof kit.beginSave> | undefined;
        let expected = Buffer.alloc(0);
        const step = (): void => {
          if (save === undefined || !save.step()) return;
          assert.equal(Buffer.concat(save.parts as Uint8Array[]).toString("hex"), expected.toString("hex"));
          save = undefined;
        };
        all.forEach((one, i) => {
          const pace = paces[i % paces.length] as number;
          if (save === undefined && pace === 0) {
            expected = Buffer.from(twin.save());
            save = kit.beginSave();
          }
          for (let n = 0; n < pace; n++) step();
          apply(kit, one);
          apply(twin, one);
        });
        while (save !== undefined) step();
        assert.ok(Buffer.from(kit.save()).equals(twin.save()), "the saves left no trace");
      },
    );
    t.doesNotThrow(() => fc.assert(property, { seed: 92, numRuns: 200 }));
  });
}

t.test("many keys: states that rest as bytes, in pieces, are copied, read and replaced", async (t) => {
  const topology = () =>
    pipeline("test.rest")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .process<{ readonly text: string; readonly n: number }, never>("p", {
        ttlMs: 1_000_000,
        init: () => ({ text: "", n: 0 }),
        onEvent: ({ n }, { key, x }) => ({ text: `${key} ${"ä".repeat(x % 300)}`, n: n + 1 }),
      })
      .to(testTarget());
  const kit = new TestKit<Reading>(topology());
  const twin = new TestKit<Reading>(topology());
  const send = (i: number): void => {
    for (const one of [kit, twin]) one.event(1, { id: i, key: `k${(i * 7_919) % 9_011}`, timeMs: 1, x: i });
  };
  for (let i = 0; i < 6_000; i++) send(i);
  for (let round = 0; round < 4; round++) {
    const expected = Buffer.from(twin.save());
    const save = kit.beginSave();
    for (let i = 0; !save.step(); i++) for (let j = 0; j < 300; j++) send(round * 10_000 + i * 300 + j * 13);
    t.ok(Buffer.concat(save.parts as Uint8Array[]).equals(expected), `round ${round}`);
    t.ok(save.parts.length > 2, "in pieces");
  }
  kit.cut();
  t.ok(Buffer.from(kit.save()).equals(twin.save()), "and are read back");
});

t.test("a cut keeps an image of what changes before its turn, once, and none of what was not there", async (t) => {
  const table = new KeyTable();
  for (const key of ["a", "b", "c", "d", "e", "f"]) table.slotOf(key);
  table.remove(5);
  table.remove(3);
  let version = 0;
  const images: [slot: number, keep: boolean][] = [];
  const cut = new SlotCut(table, (slot, keep) => {
    images.push([slot, keep]);
    return version;
  });
  cut.preserve(2, false);
  version = 1;
  cut.preserve(2, false);
  table.slotOf("new");
  cut.preserve(3, true);
  cut.preserve(5, false); // free then, and free now
  table.slotOf("in its place");
  cut.preserve(table.slotOf("beyond"), true);
  cut.preserve(6, false);
  cut.preserve(4, false);
  table.remove(4);
  t.same(images, [
    [2, true],
    [4, true],
  ]);
  const written: unknown[][] = [];
  const writer = new ByteWriter();
  const write = (image: number, slot: number, changed: boolean, entry: object): void =>
    void written.push([slot, image, changed, entry]);
  const copied: [number, boolean][] = [];
  for (const _step of cut.steps(writer, write, (slot, changed) => copied.push([slot, changed]) > 0 && slot === 0));
  t.same(copied, [
    [0, false],
    [1, false],
    [2, true],
    [4, true],
  ]);
  t.same(written, [
    [1, 1, false, { piece: 0, from: 1 }],
    [2, 0, true, { piece: 0, from: 4 }],
    [4, 1, true, { piece: 0, from: 7 }],
  ]);
  t.same(images.slice(2), [[1, false]], "what did not change is looked at when its turn comes");
  const reader = new ByteReader(writer.finish());
  t.same([reader.uint(), readKey(reader), readKey(reader), readKey(reader), reader.left], [4, "b", "c", "e", 0]);
});

t.test("a slot's image is taken once, before its first change, or when its turn comes", async (t) => {
  const table = new KeyTable();
  const values: number[] = [];
  for (let i = 0; i < 1_200; i++) values[table.slotOf(`key ${String(i).padStart(4, "0")}`)] = i;
  table.remove(7);
  const expected = Array.from({ length: 1_200 }, (_, i) => [`key ${String(i).padStart(4, "0")}`, i]).filter(
    ([, i]) => i !== 7,
  );
  const kept: number[] = [];
  const cut = new SlotCut(table, (slot, keep) => {
    if (keep) kept.push(slot);
    return values[slot] as number;
  });
  const change = (slot: number, isNew = false): void => {
    cut.preserve(slot, isNew);
    values[slot] = -1;
  };
  for (const slot of [3, 3, 1_199, 3]) change(slot);
  t.same(kept, [3, 1_199], "once");
  const again = table.slotOf("again");
  t.equal(again, 7);
  change(again, true);
  change(again);
  change(table.slotOf("one more"), true);
  change(1_200);
  change(5_000);
  t.same(kept, [3, 1_199], "nothing was there");
  change(9);
  table.remove(9); // its key is still to be written
  t.equal(table.slotOf("other 009"), 9);

  const writer = new ByteWriter();
  const changed: number[] = [];
  let most = 0;
  let written = 0;
  let steps = 0;
  const write = (image: number, slot: number, isChanged: boolean): void => {
    writer.f64(image);
    written++;
    if (isChanged) changed.push(slot);
  };
  const saving = cut.steps(writer, write);
  for (let before = 0; !saving.next().done; before = written) {
    most = Math.max(most, written - before);
    if (written > 0 && steps++ === 0) change(0); // written by now
  }
  t.ok(most <= 512 && steps >= 2, `${most} written in one of ${steps} steps`);
  t.same(changed, [3, 9, 1_199]);
  t.same(kept, [3, 1_199, 9], "what is written is kept no more");
  const reader = new ByteReader(writer.finish());
  t.same(
    Array.from({ length: reader.uint() }, () => [readKey(reader), reader.f64()]),
    expected,
  );
  const { bytes } = table;
  for (let i = 0; i < 100_000; i++) table.remove(table.slotOf(`key ${i % 2}!`));
  t.equal(table.bytes, bytes, "texts make room for others again");
});
