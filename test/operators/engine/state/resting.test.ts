import t from "tap";
import type { LogMessage, TaskContext } from "../../../../src/core/index.js";
import { pipeline, testSource, testTarget } from "../../../../src/operators/engine/index.js";

t.setTimeout(120_000);

interface Change {
  readonly key: number;
  /** Undefined: the key is forgotten. */
  readonly text: string | undefined;
}

const CONTEXT: TaskContext = {
  task: "test/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};

function created() {
  const program = pipeline("test.share")
    .from(testSource<Change>())
    .map(({ value }) => value)
    .keyBy(({ key }) => key)
    .process<{ readonly text: string }, never>("p", {
      ttlMs: Number.POSITIVE_INFINITY,
      init: () => ({ text: "" }),
      onEvent: (_, { text }) => (text === undefined ? undefined : { text }),
    })
    .to(testTarget())
    .create(CONTEXT);
  const apply = (change: Change, i: number): void => {
    const message = {
      sequence: i + 1,
      subject: "test.0.e",
      data: new Uint8Array(0),
      header: () => undefined,
      sent: { timeMs: 1, value: change },
    };
    program.apply(message as LogMessage, undefined, () => undefined);
  };
  return { program, apply };
}

/** Seeded, and the same on every machine. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

/** Where a round's changes fall: all over, at the end as where keys grow, in one place, nowhere. */
const ROUNDS = ["end", "end", "place", "nowhere", "end", "forgotten", "all over", "nowhere", "end"] as const;

function changesOf(round: (typeof ROUNDS)[number], newest: number, draw: () => number): Change[] {
  const changes: Change[] = [];
  const textOf = (): string => `${"é".repeat(draw() * 3)}${"x".repeat(100 + draw() * 200)}`;
  const each = (n: number, keyOf: (i: number) => number, text: () => string | undefined): void => {
    for (let i = 0; i < n; i++) changes.push({ key: keyOf(i), text: text() });
  };
  if (round === "end") each(3_000, (i) => newest + 2 * i, textOf);
  if (round === "place") each(50, (i) => 2_001 + 2 * i, textOf);
  if (round === "forgotten")
    each(
      40,
      (i) => 2_000 + i,
      () => undefined,
    );
  if (round === "all over") each(300, () => Math.floor(draw() * newest), textOf);
  // One too large for a piece, which never rests.
  if (round === "place") changes.push({ key: 3_001, text: "y".repeat(600_000) });
  return changes;
}

t.test(
  "pieces in which nothing changed are shared with the save before, and no save differs from one made afresh",
  async (t) => {
    const { program, apply } = created();
    const draw = chance(7);
    const all: Change[] = [];
    const kept: { readonly parts: readonly Uint8Array[]; readonly bytes: Buffer }[] = [];
    let newest = 0;
    for (const [n, round] of ROUNDS.entries()) {
      const changes = changesOf(round, newest, draw);
      if (round === "end") newest += 6_000;
      for (const change of changes) apply(change, all.push(change) - 1);

      let parts: readonly Uint8Array[];
      if (n % 2 === 0) {
        parts = program.saveParts();
      } else {
        const save = program.beginSave();
        while (!save.step());
        parts = save.parts;
      }
      const fresh = created();
      all.forEach((change, i) => {
        fresh.apply(change, i);
      });
      const bytes = Buffer.concat(parts as Uint8Array[]);
      t.ok(bytes.equals(fresh.program.save()), `round ${n}, ${round}: the bytes of a program that never saved`);
      const before = kept.at(-1)?.parts ?? [];
      const shared = parts.filter((part) => before.includes(part)).length;
      if (n > 0 && round !== "all over")
        t.ok(shared > 0, `round ${n}, ${round}: ${shared} of ${parts.length} pieces shared`);
      kept.push({ parts, bytes });
    }
    for (const [n, { parts, bytes }] of kept.entries())
      t.ok(Buffer.concat(parts as Uint8Array[]).equals(bytes), `save ${n} is still what it was`);

    const again = created();
    again.program.load(kept.at(-1)?.bytes as Buffer);
    t.ok(Buffer.from(again.program.save()).equals(kept.at(-1)?.bytes as Buffer), "and is read back");
  },
);
