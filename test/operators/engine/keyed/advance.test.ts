import t from "tap";
import { EmbeddedStep } from "../../../../src/operators/engine/keyed/embed.js";
import { dedupeInto, Latest } from "../../../../src/operators/engine/keyed/latest.js";
import { Process } from "../../../../src/operators/engine/keyed/process.js";
import type { ProcessFunction } from "../../../../src/operators/engine/keyed/process-function.js";
import { ScoreStep } from "../../../../src/operators/engine/keyed/score.js";
import type { Operator } from "../../../../src/operators/engine/topology/runtime.js";
import type { Reading } from "../support/arrivals.js";
import { Driven, leavesNoTrace, savesTheMoment, takesAnyStride } from "../support/driven.js";

const push = (operator: Operator, value: Reading): void =>
  (operator as Operator & { readonly push: (value: Reading) => void }).push(value);
const TTL_MS = 15;

const latest = () =>
  new Driven(
    (runtime, next) =>
      new Latest<Reading, number>(0, "l", runtime, TTL_MS, (seen, { id, x }, remember) => {
        next([id, seen]);
        if (x % 3 !== 0) remember(id);
      }),
    push,
  );

const dedupe = () => {
  let into: (value: Reading) => void;
  return new Driven(
    (runtime, next) => {
      const made = dedupeInto<Reading>(
        0,
        "d",
        runtime,
        { ttlMs: TTL_MS, idOf: ({ key, x }) => `${key} ${x % 3}` },
        next,
      );
      into = made.push;
      return made.operator;
    },
    (_operator, value) => into(value),
  );
};

/** States, timers set, cancelled and set again by timers, keys let go of by the function and by time. */
const FUNCTION: ProcessFunction<string, Reading, { readonly n: number }, string> = {
  ttlMs: TTL_MS,
  init: () => ({ n: 100 }),
  onEvent(state, { id, x }, at) {
    at.emit(`${id} ${state.n}`);
    if (x % 2 === 0) at.setTimer(at.timeMs + Math.abs(x));
    if (x % 3 === 0) at.setTimer(at.timeMs + 4);
    if (x % 5 === 0) at.cancelTimer(at.timeMs + 4);
    if (x % 7 === 0) return undefined;
    return x % 4 === 0 ? state : { n: state.n + 1 };
  },
  onTimer({ n }, timeMs, at) {
    at.emit(`${timeMs} ${at.timeMs} ${at.key} ${n}`);
    if (n % 5 === 4) at.setTimer(timeMs + 2);
    return n % 7 === 3 ? undefined : { n: n + 1 };
  },
};

const processed = (more: Partial<typeof FUNCTION> = {}) =>
  new Driven((runtime, next) => new Process(0, "p", runtime, { ...FUNCTION, ...more }, next), push);

const scored = (more: object = {}) =>
  new Driven((runtime, next) => {
    const model = () => {
      let total = 0;
      return {
        scoreOne: () => total,
        learnOne({ x }: Reading) {
          total += x;
        },
        save: () => total,
        load(saved: unknown) {
          total = saved as number;
        },
      };
    };
    return new ScoreStep<Reading, number, unknown>(
      0,
      "s",
      runtime,
      { model, combine: ({ id }, n) => [id, n], ...more },
      next,
    );
  }, push);

const TIMED: Readonly<Record<string, () => Driven<Operator>>> = { latest, dedupe, process: processed };
const BOUNDED: Readonly<Record<string, () => Driven<Operator>>> = {
  "process, bounded": () => processed({ maxKeys: 2 }),
  score: scored,
  "score, bounded": () => scored({ maxKeys: 2 }),
  "score, one for all": () => scored({ per: "all" }),
};

for (const [name, create] of Object.entries({ ...TIMED, ...BOUNDED })) {
  t.test(`${name}: an event that fails leaves no trace`, async (t) => {
    t.doesNotThrow(() => leavesNoTrace(create, 42));
  });

  t.test(`${name}: saved in steps, it is as it was when the save began`, async (t) => {
    t.doesNotThrow(() => savesTheMoment(create, 44));
  });

  if (name in TIMED)
    t.test(`${name}: one long advance does what short ones do, and nothing is due before it is done`, async (t) => {
      t.doesNotThrow(() => takesAnyStride(create, 43));
    });
}

const KEYS = 1_500;
const many = (driven: Driven<Operator>, timeOf: (id: number) => number): void => {
  for (let id = 0; id < KEYS; id++) driven.event({ id, key: `k${id}`, timeMs: timeOf(id), x: 3 });
};

t.test("many keys are timed out and forgotten in steps that are short, and no more of them than needed", async (t) => {
  for (const [name, create] of Object.entries(TIMED)) {
    for (const apart of [0, 1]) {
      const driven = create();
      const empty = driven.operator.metrics().bytes;
      many(driven, (id) => id * apart);
      const { keys, bytes } = driven.operator.metrics();
      t.equal(keys, KEYS, name);
      t.ok(bytes >= empty + KEYS * 12 && bytes <= KEYS * 200, `${bytes} bytes`);
      driven.rows.length = 0;
      const sizes = driven.stepwise(1_000_000);
      t.equal(driven.rows.length, name === "process" ? KEYS : 0);
      t.ok(
        Math.max(...sizes) <= 256 && sizes.length > KEYS / 257 && sizes.length <= KEYS / 60,
        `${sizes.length} steps`,
      );
      t.equal(driven.operator.metrics().keys, 0);
    }
  }
});

t.test("duplicates are counted, those of an event that fails are not", async (t) => {
  const driven = dedupe();
  const event = { id: 1, key: "a", timeMs: 1, x: 1 };
  driven.event(event);
  driven.fails(event);
  driven.event(event);
  t.equal(driven.runtime.duplicates, 1);
  t.same(driven.rows, [event]);
});

t.test("latest: as of its newest event, whatever came last; what fails moves nothing", async (t) => {
  const driven = latest();
  const at = (timeMs: number, x: number) => ({ id: timeMs, key: "a", timeMs, x });
  for (const timeMs of [5, 9, 7]) driven.event(at(timeMs, 1));
  driven.fails(at(30, 1));
  for (const found of [driven, latest().load(driven.saved())]) {
    t.same(found.held("a"), [{ value: { latest: 7, atMs: 9 } }]);
    t.same(found.held("b"), []);
    t.same(found.heldKeys(), ["a"]);
    found.advance(23);
    t.equal(found.operator.metrics().keys, 1);
    t.equal(found.operator.nextMs(), 24);
    found.advance(24);
    t.equal(found.operator.metrics().keys, 0);
  }
});

t.test("process: one key more than the bound, and that longest without an event is gone with its timers", async (t) => {
  const driven = processed({ maxKeys: 3, ttlMs: Number.POSITIVE_INFINITY });
  const send = (key: string, timeMs: number): void => driven.event({ id: timeMs, key, timeMs, x: 3 });
  for (const [key, timeMs] of [
    ["a", 3],
    ["b", 1],
    ["c", 1],
    ["b", 5],
  ] as const)
    send(key, timeMs);
  driven.saved(); // from here on they rest as bytes
  t.equal(driven.operator.metrics().keys, 3);
  driven.fails({ id: 6, key: "d", timeMs: 6, x: 3 });
  t.same(driven.heldKeys(), ["a", "b", "c"], "the one that had to go for it is back");
  send("d", 7);
  t.same(driven.heldKeys(), ["a", "b", "d"], "a has the older events than b");
  send("e", 8);
  t.same(driven.heldKeys(), ["b", "d", "e"]);
  driven.rows.length = 0;
  driven.advance(100);
  t.same(driven.rows, ["5 5 b 102", "9 9 b 103", "11 11 d 101", "12 12 e 101"]);
  t.equal(driven.operator.nextMs(), Number.POSITIVE_INFINITY);
});

t.test("process: a key without state is forgotten at once, unless a timer is still to come", async (t) => {
  const driven = processed();
  const keysAfter = (x: number): number => {
    driven.event({ id: x, key: "a", timeMs: 1, x });
    return driven.operator.metrics().keys;
  };
  t.equal(keysAfter(35), 0, "no state, no timer");
  t.equal(keysAfter(14), 1, "no state, a timer");
  t.same(driven.held("a"), [{ value: { state: null, atMs: 1, timers: [15] } }]);
  t.equal(keysAfter(11), 1);
  t.same(driven.held("a"), [{ value: { state: { n: 101 }, atMs: 1, timers: [15] } }]);
  const late = processed({ maxKeys: 2 });
  for (const [key, timeMs] of [
    ["a", 10],
    ["b", 20],
    ["c", 5],
  ] as const)
    late.event({ id: 1, key, timeMs, x: 1 });
  t.same(late.heldKeys(), ["b", "c"], "the newcomer stays, however old its event");
});

t.test("score: models by key, or one; the time of the newest event says which of too many goes", async (t) => {
  const driven = scored({ maxKeys: 2 });
  const send = (key: string, timeMs: number, x: number): void => driven.event({ id: timeMs, key, timeMs, x });
  send("a", 9, 1);
  send("a", 1, 2);
  send("b", 5, 4);
  t.same(driven.held("a"), [{ value: { model: 3, atMs: 9 } }]);
  send("c", 6, 8);
  t.same(driven.heldKeys(), ["a", "c"]);
  t.same(driven.held("b"), []);
  t.equal(driven.operator.nextMs(), Number.POSITIVE_INFINITY);
  const { keys, bytes } = driven.operator.metrics();
  t.ok(keys === 2 && bytes > 0);
  const one = scored({ per: "all" });
  for (const key of ["a", "b"]) one.event({ id: 1, key, timeMs: 1, x: 5 });
  t.same(one.heldKeys(), [""]);
  t.same(one.rows, [
    [1, 0],
    [1, 5],
  ]);
});

t.test(
  "embed: what it says of time has the time of the watermark less one ms, what it says of an event the event's",
  async (t) => {
    const times: unknown[] = [];
    const driven = new Driven(
      (runtime) =>
        new EmbeddedStep<Reading, string>(
          4,
          "own",
          runtime,
          {
            take: ({ id }, at, emit) => emit(`${id} at ${at.timeMs}`),
            advance: (watermarkMs, emit) => emit(`by ${watermarkMs}`),
            save: () => 0,
            load: () => undefined,
          },
          (said: string) => times.push([said, runtime.now.timeMs, runtime.step]),
        ),
      push,
    );
    driven.event({ id: 1, key: "a", timeMs: 7, x: 0 });
    driven.advance(20);
    t.same(times, [
      ["1 at 7", 7, 4],
      ["by 20", 19, 4],
    ]);
    t.equal(driven.operator.nextMs(), Number.POSITIVE_INFINITY);
    t.same(driven.operator.metrics(), { name: "own", keys: 0, bytes: 0 });
  },
);

t.test(
  "a state of bytes that was loaded is a copy: neither it nor what it was read from changes the other",
  async (t) => {
    const bytes = () =>
      new Driven(
        (runtime, next) =>
          new Process<string, Reading, Uint8Array, Uint8Array>(
            0,
            "p",
            runtime,
            { ttlMs: 50, init: () => new Uint8Array(3), onEvent: (_state, { x }) => Uint8Array.of(x, x, x) },
            next,
          ),
        push,
      );
    const driven = bytes();
    driven.event({ id: 1, key: "a", timeMs: 1, x: 7 });
    const saved = Buffer.from(driven.saved());
    const loaded = bytes().load(saved);
    saved.fill(0);
    t.same(loaded.held("a"), [{ value: { state: Uint8Array.of(7, 7, 7), atMs: 1, timers: [] } }]);
  },
);
