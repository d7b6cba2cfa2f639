import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { Marks, type Tick } from "../../../../src/operators/engine/time/marks.js";

const NAMES = ["a", "b", "up/0", "up/1"];
const isProducer = (name: string): boolean => name.includes("/");
const OPTIONS = { disorderMs: 5, idleAfterMs: 20, maxAheadMs: 30 };

type Action =
  | ({ readonly kind: "tick" } & Tick)
  | { readonly kind: "event"; readonly source: string; readonly timeMs: number }
  | { readonly kind: "producers"; readonly names: readonly string[] }
  | { readonly kind: "cut" };

const name = fc.constantFrom(...NAMES);
const time = fc.integer({ min: 0, max: 60 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        source: name,
        t: fc.integer({ min: 0, max: 24 }),
        mark: fc.option(time, { nil: undefined }),
        retire: fc.nat(5).map((n) => n === 0),
      })
      .map(({ mark, ...tick }) => ({ kind: "tick" as const, ...tick, ...(mark !== undefined && { mark }) })),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("event" as const), source: name, timeMs: time }) },
  {
    weight: 1,
    arbitrary: fc.subarray(["up/0", "up/1"]).map((names) => ({ kind: "producers" as const, names })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "cut" as const }) },
);

/** What is known of one source: everything that was said of it since it was announced, in order. */
interface Heard {
  readonly ticks: Tick[];
  /** Events, each with the source's time when it came. */
  readonly events: { readonly timeMs: number; readonly at: number }[];
  /** How many of the events its latest tick knew of. */
  known: number;
  isActive: boolean;
}

/** The definition, from the whole history. */
class Model {
  watermarkMs = Number.NEGATIVE_INFINITY;
  readonly #sources = new Map<string, Heard>();

  timeOf(source: string): number | undefined {
    return this.#sources.get(source)?.ticks.at(-1)?.t;
  }

  latestMs(): number | undefined {
    const times = [...this.#sources.values()].flatMap(({ ticks }) => ticks.slice(-1)).map(({ t: at }) => at);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  silentForMs(source: string): number {
    const heard = this.#sources.get(source);
    const first = heard?.ticks[0];
    if (heard === undefined || first === undefined || !heard.isActive) return 0;
    return (this.timeOf(source) as number) - (heard.events.at(-1)?.at ?? first.t);
  }

  #markOf({ ticks, events, known }: Heard): number {
    const latest = ticks.at(-1);
    if (latest === undefined) return Number.NEGATIVE_INFINITY;
    const newestMs = Math.max(Number.NEGATIVE_INFINITY, ...events.slice(0, known).map(({ timeMs }) => timeMs));
    const promisedMs = Math.max(...ticks.map(({ mark = Number.NEGATIVE_INFINITY }) => mark));
    return Math.max(latest.t - OPTIONS.idleAfterMs, Math.min(newestMs, latest.t) - OPTIONS.disorderMs, promisedMs);
  }

  /** Raises the watermark to the least mark of all that count. */
  #raise(atMostMs = Number.POSITIVE_INFINITY): void {
    const active = [...this.#sources.values()].filter(({ isActive }) => isActive).map((heard) => this.#markOf(heard));
    const leastMs = Math.min(atMostMs, ...active);
    if (leastMs !== Number.POSITIVE_INFINITY) this.watermarkMs = Math.max(this.watermarkMs, leastMs);
  }

  tick(tick: Tick): void {
    const heard = this.#sources.get(tick.source);
    const latest = heard?.ticks.at(-1);
    if (heard !== undefined && latest !== undefined) {
      if (tick.t < latest.t) return;
      const promisedMs = Math.max(...heard.ticks.map(({ mark = Number.NEGATIVE_INFINITY }) => mark));
      const saysMore = tick.retire === true || (tick.mark ?? Number.NEGATIVE_INFINITY) > promisedMs;
      if (tick.t === latest.t && !(heard.isActive && saysMore)) return;
    }
    const now = heard ?? { ticks: [], events: [], known: 0, isActive: true };
    this.#sources.set(tick.source, now);
    now.ticks.push(tick);
    now.known = now.events.length;
    now.isActive = tick.retire !== true;
    if (!now.isActive) this.#raise(tick.t);
    this.#raise();
  }

  event(source: string, timeMs: number): void {
    const heard = this.#sources.get(source);
    if (heard === undefined) return;
    heard.events.push({ timeMs, at: this.timeOf(source) ?? Number.NEGATIVE_INFINITY });
  }

  producers(names: readonly string[]): void {
    for (const [source, heard] of this.#sources) if (isProducer(source)) heard.isActive = names.includes(source);
    for (const source of names)
      if (!this.#sources.has(source)) this.#sources.set(source, { ticks: [], events: [], known: 0, isActive: true });
    this.#raise();
  }

  /** Whether the source was ever heard of by a tick: of one that was only named nothing is known yet. */
  isKnown(source: string): boolean {
    return !this.#sources.has(source) || this.timeOf(source) !== undefined;
  }
}

t.test(
  "marks: after any ticks, events, changes of producers and cuts what the definition says of the whole history",
  async (t) => {
    const property = fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      let marks = new Marks(OPTIONS);
      const model = new Model();
      for (const one of actions) {
        const before = model.watermarkMs;
        if (one.kind === "cut") {
          const writer = new ByteWriter();
          marks.save(writer);
          marks = new Marks(OPTIONS);
          const reader = new ByteReader(writer.finish());
          marks.load(reader);
          assert.equal(reader.left, 0);
        } else if (one.kind === "event") {
          marks.observe(one.source, one.timeMs);
          model.event(one.source, one.timeMs);
        } else {
          const { kind, ...tick } = one;
          const moved = kind === "tick" ? marks.tick(tick as Tick) : marks.setProducers(one.names, isProducer);
          if (one.kind === "tick") model.tick(tick as Tick);
          else model.producers(one.names);
          assert.equal(moved, model.watermarkMs > before, "it tells whether the watermark moved");
        }
        assert.equal(marks.watermarkMs, model.watermarkMs);
        const latestMs = model.latestMs();
        for (const source of [...NAMES, "unknown"].filter((source) => model.isKnown(source))) {
          const clockMs = model.timeOf(source) ?? latestMs;
          if (latestMs !== undefined) assert.equal(marks.timeOf(source), clockMs);
          // Tasks say marks, not ticks: nobody asks how long one has been silent.
          if (!isProducer(source)) assert.equal(marks.silentForMs(source), model.silentForMs(source), source);
          for (const aheadMs of [OPTIONS.maxAheadMs, OPTIONS.maxAheadMs + 1])
            if (clockMs !== undefined)
              assert.equal(marks.isAhead(source, clockMs + aheadMs), aheadMs > OPTIONS.maxAheadMs, `${source} ahead`);
        }
      }
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 82, numRuns: 400 }));
  },
);

t.test("marks: with no source announced there is no time, and nothing is ahead of it", async (t) => {
  const marks = new Marks(OPTIONS);
  t.equal(marks.timeOf("a"), undefined);
  t.equal(marks.latestMs(), undefined);
  t.notOk(marks.isAhead("a", Number.MAX_SAFE_INTEGER));
  marks.tick({ source: "b", t: 7 });
  t.equal(marks.timeOf("a"), 7);
  t.notOk(new Marks({}).isAhead("a", Number.MAX_SAFE_INTEGER), "no limit unless one is asked for");
});

t.test(
  "marks: a quiet source holds nothing back for longer than a minute, or its disorder where that is more",
  async (t) => {
    for (const [options, markMs] of [
      [{}, 40_000],
      [{ disorderMs: 70_000 }, 30_000],
      [{ disorderMs: 7, idleAfterMs: 9 }, 99_991],
      [{ disorderMs: 7, idleAfterMs: 7 }, 99_993],
    ] as const) {
      const marks = new Marks(options);
      marks.tick({ source: "a", t: 100_000 });
      t.equal(marks.watermarkMs, markMs);
    }
  },
);

t.test("marks: a source is known from the moment it is announced, whoever was looked at last", async (t) => {
  const ticked = new Marks({ disorderMs: 5, idleAfterMs: 50, maxAheadMs: 10 });
  ticked.observe("a", 999); // unannounced
  ticked.tick({ source: "a", t: 100 });
  ticked.observe("a", 98);
  ticked.tick({ source: "a", t: 101 });
  t.equal(ticked.watermarkMs, 93);
  ticked.observe("b", 98);
  ticked.tick({ source: "b", t: 200 });
  t.ok(ticked.isAhead("a", 112) && !ticked.isAhead("b", 112), "each by its own clock");
  t.ok(ticked.isAhead("b", 211) && !ticked.isAhead("b", 210));

  const told = new Marks({ maxAheadMs: 10 });
  told.observe("up/0", 5);
  told.setProducers(["up/0"], isProducer);
  told.tick({ source: "up/0", t: 7 });
  told.observe("up/0", 6);
  told.tick({ source: "up/0", t: 8 });
  t.equal(told.watermarkMs, 6);

  const other = new Marks({ disorderMs: 5, idleAfterMs: 50, maxAheadMs: 10 });
  other.tick({ source: "b", t: 1 });
  t.ok(other.isAhead("a", 50));
  const writer = new ByteWriter();
  ticked.save(writer);
  other.load(new ByteReader(writer.finish()));
  t.notOk(other.isAhead("a", 111), "the clock that was loaded");
  other.observe("a", 111);
  other.tick({ source: "b", t: 202, retire: true });
  other.tick({ source: "a", t: 103 });
  t.equal(other.watermarkMs, 98);
});

t.test("marks: a tick that says nothing new is ignored, a promise or a farewell at the same time is not", async (t) => {
  const marks = new Marks({ idleAfterMs: 100 });
  const tick = (at: number, rest: Partial<Tick> = {}): boolean => marks.tick({ source: "a", t: at, ...rest });
  t.ok(tick(100));
  t.equal(marks.watermarkMs, 0);
  marks.observe("a", 95);
  marks.observe("a", 60);
  t.notOk(tick(100));
  t.equal(marks.watermarkMs, 0, "what came since counts from the next tick on");
  t.notOk(tick(99, { mark: 500 }), "from before");
  t.equal(marks.watermarkMs, 0);
  t.ok(tick(100, { mark: 5 }));
  t.equal(marks.watermarkMs, 95, "the newest event, not the latest");
  t.ok(tick(100, { mark: 97 }));
  t.notOk(tick(100, { mark: 97 }));
  t.notOk(tick(101, { mark: 96 }), "a smaller promise takes nothing back");
  t.equal(marks.watermarkMs, 97);
  t.ok(tick(101, { retire: true }));
  t.equal(marks.watermarkMs, 101);
  t.notOk(tick(101, { mark: 200 }), "gone");
  t.equal(marks.watermarkMs, 101);
  t.ok(tick(102, { mark: 150 }), "back");
  t.equal(marks.watermarkMs, 150);
});
