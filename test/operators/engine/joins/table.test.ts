import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { pipeline, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { Table } from "../../../../src/operators/engine/joins/table.js";
import { KeyTable } from "../../../../src/operators/engine/state/key-table.js";
import type { Operator } from "../../../../src/operators/engine/topology/runtime.js";
import { Driven } from "../support/driven.js";

interface Question {
  readonly key: string;
}

const KEEP_MS = 20;
const KEYS = ["a", "b", "ä"];

const change = fc.record({
  key: fc.constantFrom(...KEYS),
  fromMs: fc.integer({ min: 0, max: 60 }),
  /** None takes the key out from then on. */
  value: fc.option(fc.nat(99), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 4, arbitrary: change },
  { weight: 1, arbitrary: fc.record({ byMs: fc.integer({ min: 1, max: 15 }) }) },
);

for (const keepVersionsMs of [0, KEEP_MS]) {
  t.test(
    `table: changes in any order, ${keepVersionsMs === 0 ? "the latest" : "a version for each time"}`,
    async (t) => {
      const topology = pipeline("test.table");
      const read = (body: unknown) => body as { key: string; value: number | undefined; fromMs: number };
      const table = topology.table<number>("table", { kind: "t", read, keepVersionsMs });
      topology
        .from(testSource<Question>())
        .map(({ value }) => value)
        .lookup(
          table,
          ({ key }) => key,
          (_question, found) => found ?? null,
        )
        .to(testTarget());
      const property = fc.property(fc.array(step, { maxLength: 30 }), fc.array(fc.nat(30)), (all, cuts) => {
        const kit = new TestKit<Question>(topology);
        let watermarkMs = 0;
        kit.watermark(watermarkMs);
        const changes: { key: string; fromMs: number; value: number | undefined }[] = [];
        const forgottenMs = new Map<string, number>();
        all.forEach((one, i) => {
          if (cuts.includes(i)) kit.cut();
          if ("byMs" in one) {
            watermarkMs += one.byMs;
            kit.watermark(watermarkMs);
            return;
          }
          const { key, fromMs, value } = one;
          changes.push(one);
          kit.control("t", { key, fromMs, ...(value !== undefined && { value }) });
          // What a change finds superseded for long enough goes.
          const own = changes.filter((other) => other.key === key).map((other) => other.fromMs);
          const superseding = own.filter(
            (atMs) =>
              atMs <= watermarkMs - KEEP_MS &&
              atMs > Math.min(...own.filter((ms) => ms >= (forgottenMs.get(key) ?? -1))),
          );
          if (superseding.length > 0) forgottenMs.set(key, Math.max(...superseding));
        });
        for (const key of KEYS) {
          for (let timeMs = -1; timeMs <= 61; timeMs++) {
            const own = changes.filter((one) => one.key === key);
            const known = own.filter(({ fromMs }) => fromMs <= timeMs && fromMs >= (forgottenMs.get(key) ?? -1));
            const latestMs = Math.max(...known.map(({ fromMs }) => fromMs));
            const found = keepVersionsMs === 0 ? own.at(-1) : known.filter(({ fromMs }) => fromMs === latestMs).at(-1);
            const [row] = kit.event(timeMs, { key }).take().slice(-1);
            assert.equal(
              (row as unknown as { record: { value: unknown } }).record.value,
              found?.value ?? null,
              `${key} at ${timeMs}`,
            );
          }
        }
      });
      t.doesNotThrow(() => fc.assert(property, { seed: 84, numRuns: 60 }));
    },
  );
}

t.test("table: what it holds of a key are its versions; a key that is taken out is gone", async (t) => {
  const topology = pipeline("test.table");
  const read = (body: unknown) => body as { key: string; value: number | undefined; fromMs: number };
  topology.table<number>("versions", { kind: "v", read, keepVersionsMs: KEEP_MS });
  topology.table<number>("latest", { kind: "l", read });
  topology.from(testSource<Question>()).to(testTarget());
  const kit = new TestKit<Question>(topology);
  for (const kind of ["v", "l"])
    for (const [fromMs, value] of [
      [20, 2],
      [10, 1],
    ] as const)
      kit.control(kind, { key: "a", value, fromMs });
  const context = { task: "t/0", partition: 0, partitions: 1, inference: { run: async () => new Float32Array() } };
  const held = (key: string) => {
    const program = topology.create(context);
    program.load(kit.save());
    return program.held(key);
  };
  t.same(held("a"), [
    {
      operator: "versions",
      value: [
        { fromMs: 10, value: 1 },
        { fromMs: 20, value: 2 },
      ],
    },
    { operator: "latest", value: [{ fromMs: 10, value: 1 }] },
  ]);
  t.same(held("nobody"), []);
  kit.control("l", { key: "a", fromMs: 30 }).control("l", { key: "nobody", fromMs: 30 });
  t.same(
    kit.metrics().map(({ name, keys }) => [name, keys]),
    [
      ["versions", 1],
      ["latest", 0],
    ],
  );
});

t.test(
  "table: a version that is told again is replaced, one long superseded is dropped with the next change",
  async (t) => {
    const read = (body: unknown) => body as { key: string; value: number | undefined; fromMs: number };
    for (const keepVersionsMs of [KEEP_MS, 0]) {
      const table = new Table<number>(3, "t", { kind: "t", read, keepVersionsMs });
      const driven = new Driven(
        (runtime) => {
          table.readerIn(runtime);
          return runtime.operators[0] as Operator;
        },
        () => undefined,
      );
      const { runtime, operator } = driven;
      const tell = (key: string, fromMs: number, value?: number): void => {
        for (const handle of runtime.controls.get("t") ?? []) runtime.attempt(handle, { key, fromMs, value });
      };
      const versions = (): unknown =>
        driven
          .held("a")
          .map(({ value }) => (value as { fromMs: number; value: number }[]).map((one) => [one.fromMs, one.value]));
      const keys = new KeyTable();
      for (const key of ["a", "b"]) keys.slotOf(key);
      for (const [fromMs, value] of [
        [30, 3],
        [10, 1],
        [20, 2],
        [10, 7],
      ] as const)
        tell("a", fromMs, value);
      const isVersioned = keepVersionsMs > 0;
      t.same(
        versions(),
        isVersioned
          ? [
              [
                [10, 7],
                [20, 2],
                [30, 3],
              ],
            ]
          : [[[10, 7]]],
      );
      runtime.now.watermarkMs = 20 + KEEP_MS - 1;
      tell("a", 40, 4);
      t.same(
        versions(),
        isVersioned
          ? [
              [
                [10, 7],
                [20, 2],
                [30, 3],
                [40, 4],
              ],
            ]
          : [[[40, 4]]],
      );
      runtime.now.watermarkMs = 20 + KEEP_MS;
      tell("a", 40, 5);
      t.same(
        versions(),
        isVersioned
          ? [
              [
                [20, 2],
                [30, 3],
                [40, 5],
              ],
            ]
          : [[[40, 5]]],
      );
      tell("b", 0, 1);
      t.same(driven.heldKeys(), ["a", "b"]);
      t.equal(operator.metrics().bytes, keys.bytes + 2 * 64);
      t.same([table.readerIn(runtime)("b", -1), table.readerIn(runtime)("b", 0)], [isVersioned ? undefined : 1, 1]);
      const saved = driven.saved();
      for (let i = 0; i < 2; i++) tell("b", 0);
      t.equal(table.readerIn(runtime)("b", 9), undefined);
      t.same(driven.heldKeys(), isVersioned ? ["a", "b"] : ["a"]);
      t.equal(operator.nextMs(), Number.POSITIVE_INFINITY);
      driven.load(saved);
      t.same([driven.heldKeys(), table.readerIn(runtime)("b", 9)], [["a", "b"], 1]);
      t.equal(runtime.operators.length, 1, "one table, however many look into it");
    }
  },
);
