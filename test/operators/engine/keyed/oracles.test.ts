import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  pipeline,
  type ScoreModel,
  TestKit,
  type Topology,
  testSource,
  testTarget,
} from "../../../../src/operators/engine/index.js";
import { type Reading, type Step, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

t.setTimeout(120_000);
const TTL_MS = 15;
const byKey = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const readings = () => pipeline("test.keyed").from(testSource<Reading>()).map(readingOf);
const keyed = () => readings().keyBy(({ key }) => key);

/** A plain model of a step: what it says of an event, and when the watermark has moved to a time. */
interface Model {
  event(event: Reading): readonly string[];
  moved(watermarkMs: number): readonly string[];
  /** Keys it still holds. */
  size(): number;
}

/** The step says what the model says, wherever it is cut, and forgets what the model forgets. */
function equals(t: Tap, topology: () => Topology, create: () => Model, seed: number): void {
  const property = fc.property(steps({ maxEvents: 60 }), fc.array(fc.nat(60)), (all, cuts) => {
    const model = create();
    let watermarkMs = Number.NEGATIVE_INFINITY;
    const expected = all.flatMap((step: Step) => {
      if (step.kind === "event") return model.event(step.event);
      if (step.timeMs <= watermarkMs) return [];
      watermarkMs = step.timeMs;
      return model.moved(watermarkMs);
    });
    const whole = run(topology(), all);
    assert.deepEqual(whole.rows, expected);
    assert.deepEqual(whole.dead, []);
    assert.equal(whole.kit.metrics()[0]?.keys, model.size());
    assert.deepEqual(run(topology(), all, cuts).rows, expected);
    assert.equal(run(topology(), all, "always").state, whole.state);
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: 150 }));
}

type Tap = { doesNotThrow(call: () => unknown): unknown };

/** Keys seen, each until so long after its latest event. */
class Seen<S> {
  readonly held = new Map<string, { readonly touchedMs: number; readonly state: S }>();
  touch(key: string, timeMs: number, state: S): void {
    const touchedMs = Math.max(timeMs, this.held.get(key)?.touchedMs ?? timeMs);
    this.held.set(key, { touchedMs, state });
  }
  forget(watermarkMs: number): void {
    for (const [key, { touchedMs }] of this.held) if (touchedMs + TTL_MS <= watermarkMs) this.held.delete(key);
  }
}

t.test("dedupe: once within the time to live, which every repetition extends", async (t) => {
  const topology = () =>
    readings()
      .dedupe("step", { id: ({ key, x }) => `${key} ${x % 5}`, ttlMs: TTL_MS })
      .map(({ id }) => String(id))
      .to(testTarget());
  const create = (): Model => {
    const seen = new Seen<null>();
    return {
      event({ id, key, x, timeMs }) {
        const name = `${key} ${x % 5}`;
        const isNew = !seen.held.has(name);
        seen.touch(name, timeMs, null);
        return isNew ? [String(id)] : [];
      },
      moved(watermarkMs) {
        seen.forget(watermarkMs);
        return [];
      },
      size: () => seen.held.size,
    };
  };
  equals(t, topology, create, 35);
});

t.test("lag: the value before, until it is forgotten", async (t) => {
  const topology = () =>
    keyed()
      .lag("step", { ttlMs: TTL_MS })
      .map(({ value, before }) => `${value.id} after ${before?.id}`)
      .to(testTarget());
  const create = (): Model => {
    const seen = new Seen<number>();
    return {
      event({ id, key, timeMs }) {
        const before = seen.held.get(key)?.state;
        seen.touch(key, timeMs, id);
        return [`${id} after ${before}`];
      },
      moved(watermarkMs) {
        seen.forget(watermarkMs);
        return [];
      },
      size: () => seen.held.size,
    };
  };
  equals(t, topology, create, 36);
});

t.test("hadChanged: the first of each run of equals; an event that changes nothing keeps the key alive", async (t) => {
  const of = ({ x }: Reading): number | boolean | null => (x < -20 ? null : x < 0 ? false : x < 20 ? 7 : true);
  const topology = () =>
    keyed()
      .hadChanged("step", { of, ttlMs: TTL_MS })
      .map(({ id }) => String(id))
      .to(testTarget());
  const create = (): Model => {
    const seen = new Seen<number | boolean | null>();
    return {
      event(event) {
        const before = seen.held.get(event.key);
        seen.touch(event.key, event.timeMs, of(event));
        return before !== undefined && before.state === of(event) ? [] : [String(event.id)];
      },
      moved(watermarkMs) {
        seen.forget(watermarkMs);
        return [];
      },
      size: () => seen.held.size,
    };
  };
  equals(t, topology, create, 37);
});

t.test("pattern: the latest A waits for a B, no longer than the time", async (t) => {
  const WITHIN_MS = 12;
  const topology = () =>
    keyed()
      .pattern("step", {
        first: ({ x }) => x > 0,
        second: ({ x }) => x < 10,
        withinMs: WITHIN_MS,
        matched: (a, b) => `${a.id} then ${b.id}`,
        absent: (a) => `${a.id} alone`,
      })
      .to(testTarget());
  const create = (): Model => {
    const waiting = new Map<string, Reading>();
    return {
      event(event) {
        const begun = waiting.get(event.key);
        const afterMs = begun === undefined ? -1 : event.timeMs - begun.timeMs;
        if (begun !== undefined && event.x < 10 && afterMs >= 0 && afterMs <= WITHIN_MS) {
          waiting.delete(event.key);
          return [`${begun.id} then ${event.id}`];
        }
        if (event.x > 0) waiting.set(event.key, event);
        return [];
      },
      moved(watermarkMs) {
        const over = [...waiting].filter(([, { timeMs }]) => timeMs + WITHIN_MS + 1 <= watermarkMs);
        over.sort(([a, { timeMs: s }], [b, { timeMs: u }]) => s - u || byKey(a, b));
        for (const [key] of over) waiting.delete(key);
        return over.map(([, { id }]) => `${id} alone`);
      },
      size: () => waiting.size,
    };
  };
  equals(t, topology, create, 38);
});

t.test("process: state, timers, cancelled timers and forgetting, as a table of keys does it", async (t) => {
  const topology = () =>
    keyed()
      .process<number, string>("step", {
        ttlMs: TTL_MS,
        init: () => 100,
        onEvent: (n, { id, x }, at) => {
          at.emit(`${id} ${n} ${at.watermarkMs} ${at.source} ${at.sequence > 0} ${at.index}`);
          at.setTimer(at.timeMs + Math.abs(x));
          at.setTimer(at.timeMs + 3);
          if (x < 0) at.cancelTimer(at.timeMs + 3);
          return x === 0 ? undefined : n + 1;
        },
        onTimer: (n, timeMs, at) => {
          at.emit(`${timeMs} ${at.timeMs} ${at.key} ${n}`);
          if (n % 5 === 4) at.setTimer(timeMs + 2);
          return n % 7 === 3 ? undefined : n + 1;
        },
      })
      .to(testTarget());
  const create = (): Model => {
    const table = new Map<string, { n: number | undefined; touchedMs: number; timers: Set<number> }>();
    let watermarkMs = Number.NEGATIVE_INFINITY;
    const settle = (key: string): void => {
      const row = table.get(key);
      if (row !== undefined && row.n === undefined && row.timers.size === 0) table.delete(key);
    };
    return {
      event({ id, key, timeMs, x }) {
        const row = table.get(key) ?? { n: undefined, touchedMs: timeMs, timers: new Set<number>() };
        table.set(key, row);
        const n = row.n ?? 100;
        row.touchedMs = Math.max(row.touchedMs, timeMs);
        row.timers.add(timeMs + Math.abs(x)).add(timeMs + 3);
        if (x < 0) row.timers.delete(timeMs + 3);
        row.n = x === 0 ? undefined : n + 1;
        settle(key);
        return [`${id} ${n} ${watermarkMs} live true 0`];
      },
      moved(toMs) {
        const said: string[] = [];
        for (;;) {
          const due = [...table].flatMap(([key, { timers }]) => [...timers].map((timeMs) => ({ key, timeMs })));
          due.sort((a, b) => a.timeMs - b.timeMs || byKey(a.key, b.key));
          const forgotten = [...table].filter(([, { timers }]) => timers.size === 0);
          const next = due[0];
          for (const [key, { touchedMs }] of forgotten)
            if (touchedMs + TTL_MS <= toMs && (next === undefined || touchedMs + TTL_MS < next.timeMs))
              table.delete(key);
          if (next === undefined || next.timeMs > toMs) break;
          const row = table.get(next.key) as { n: number | undefined; timers: Set<number> };
          const n = row.n ?? 100;
          said.push(`${next.timeMs} ${next.timeMs} ${next.key} ${n}`);
          row.timers.delete(next.timeMs);
          if (n % 5 === 4) row.timers.add(next.timeMs + 2);
          row.n = n % 7 === 3 ? undefined : n + 1;
          settle(next.key);
        }
        for (const [key, { touchedMs, timers }] of table)
          if (timers.size === 0 && touchedMs + TTL_MS <= toMs) table.delete(key);
        watermarkMs = toMs;
        return said;
      },
      size: () => table.size,
    };
  };
  equals(t, topology, create, 39);
});

t.test("score: a key's own model has learnt what the key has sent before, in any order of keys", async (t) => {
  class Total implements ScoreModel<Reading, number> {
    #n = 0;
    #total = 0;
    scoreOne = (): number | undefined => (this.#n < 2 ? undefined : this.#total);
    learnOne = ({ x }: Reading): void => {
      this.#n++;
      this.#total += x;
    };
    save = (): unknown => ({ n: this.#n, total: this.#total });
    load = (saved: unknown): void => {
      ({ n: this.#n, total: this.#total } = saved as { n: number; total: number });
    };
  }
  const topology = () =>
    keyed()
      .score("step", { model: () => new Total(), combine: ({ id }, score) => `${id} ${score}` })
      .to(testTarget());
  const create = (): Model => {
    const seen = new Map<string, readonly number[]>();
    return {
      event({ id, key, x }) {
        const before = seen.get(key) ?? [];
        seen.set(key, [...before, x]);
        return [`${id} ${before.length < 2 ? undefined : before.reduce((a, b) => a + b, 0)}`];
      },
      moved: () => [],
      size: () => seen.size,
    };
  };
  equals(t, topology, create, 40);
});

t.test("silence: said at the first tick after the time, and taken back at the first after an event", async (t) => {
  const tick = fc.record({ kind: fc.constant("tick" as const), byMs: fc.integer({ min: 1, max: 30 }) });
  const event = fc.record({ kind: fc.constant("event" as const), source: fc.constantFrom("live", "pit") });
  const property = fc.property(
    fc.array(fc.oneof(tick, event), { maxLength: 40 }),
    fc.array(fc.nat(40)),
    (all, cuts) => {
      const topology = pipeline("test.silence");
      topology.from(testSource<number>()).to(testTarget("events"));
      topology.silence("quiet", { afterMs: 25 }).to(testTarget());
      const kit = new TestKit<number>(topology);
      const heard = new Map<string, number>();
      const silent = new Set<string>();
      const expected: unknown[] = [];
      let now = 0;
      all.forEach((step, i) => {
        if (cuts.includes(i)) kit.cut();
        if (step.kind === "event") {
          kit.event(now, 1, { source: step.source });
          if (heard.has(step.source)) heard.set(step.source, now);
          return;
        }
        now += step.byMs;
        for (const source of ["live", "pit"]) {
          kit.tick(now, { source });
          if (!heard.has(source)) heard.set(source, now);
          const isSilent = now - (heard.get(source) as number) >= 25;
          if (isSilent === silent.has(source)) continue;
          if (isSilent) silent.add(source);
          else silent.delete(source);
          expected.push({ source, kind: isSilent ? "silent" : "back", atMs: now });
        }
      });
      assert.deepEqual(kit.rows(), expected);
      assert.deepEqual(
        kit.metrics().map(({ name, keys }) => [name, keys]),
        [["quiet", silent.size]],
      );
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 41, numRuns: 200 }));
});

t.test("a timer must have a time; the same time twice is one timer", async (t) => {
  const kit = new TestKit<Reading>(
    keyed()
      .process<number, number>("step", {
        ttlMs: 100,
        init: () => 0,
        onEvent: (n, { x }, at) => {
          at.setTimer(x === 9 ? Number.NaN : 5);
          at.setTimer(5);
          return n + 1;
        },
        onTimer: (n, timeMs, at) => {
          at.emit(timeMs);
          return n;
        },
      })
      .to(testTarget()),
  );
  kit.event(1, { id: 1, key: "a", timeMs: 1, x: 9 }).event(1, { id: 2, key: "a", timeMs: 1, x: 1 }).watermark(50);
  t.same(kit.rows(), [5]);
  t.match(kit.dead(), [{ reason: "keyBy threw: step: a timer needs a time, got NaN" }]);
});
