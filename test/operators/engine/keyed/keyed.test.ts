import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { pipeline, type ScoreModel, TestKit, testSource, testTarget } from "../../../../src/operators/engine/index.js";
import { eventsOf, type Reading, steps } from "../support/arrivals.js";
import { readingOf, run } from "../support/run.js";

const keyed = (name: string) =>
  pipeline(name)
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);
const event = (timeMs: number, x: number, key = "a"): Reading => ({ id: timeMs, key, timeMs, x });

t.test("dedupe: the first of each id within the time passes, the others are counted", async (t) => {
  const kit = new TestKit<Reading>(
    pipeline("test.dedupe")
      .from(testSource<Reading>())
      .map(readingOf)
      .dedupe("ids", { id: ({ x }) => x, ttlMs: 10 })
      .to(testTarget()),
  );
  const send = (timeMs: number, x: number) => kit.event(timeMs, event(timeMs, x));
  send(0, 1);
  send(5, 1);
  kit.watermark(14).cut();
  send(14, 1);
  kit.watermark(24);
  send(24, 1);
  t.same(
    (kit.rows() as Reading[]).map(({ timeMs }) => timeMs),
    [0, 24],
    "kept while it is seen again, forgotten after the time",
  );
  t.match(kit.counters(), { received: 4, duplicates: 2, accepted: 2 });
});

t.test("lag and hadChanged equal a loop over each key's events, with any cuts", async (t) => {
  const lagged = () =>
    keyed("test.lag")
      .lag("lag", { ttlMs: 10_000 })
      .map(({ value, before }) => [value.id, before?.id ?? null])
      .to(testTarget());
  const changed = () =>
    keyed("test.changed")
      .hadChanged("c", { of: ({ x }) => x > 0, ttlMs: 10_000 })
      .map(({ id }) => id)
      .to(testTarget());
  const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
    const before = new Map<string, Reading>();
    const pairs: unknown[] = [];
    const changes: number[] = [];
    for (const one of eventsOf(all)) {
      const last = before.get(one.key);
      pairs.push([one.id, last?.id ?? null]);
      if (last === undefined || last.x > 0 !== one.x > 0) changes.push(one.id);
      before.set(one.key, one);
    }
    const marks = all.filter(({ kind }) => kind === "event");
    assert.deepEqual(run(lagged(), marks, cuts).rows, pairs);
    assert.deepEqual(run(changed(), marks, cuts).rows, changes);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 31, numRuns: 200 }));
});

t.test("pattern: A then B within the time, absence of B, the latest A counts, the end is inclusive", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("test.pattern")
      .pattern("p", {
        first: ({ x }) => x === 1,
        second: ({ x }) => x === 2,
        withinMs: 10,
        matched: (a, b) => `${a.id} then ${b.id}`,
        absent: (a) => `${a.id} alone`,
      })
      .to(testTarget()),
  );
  const send = (timeMs: number, x: number) => kit.event(timeMs, event(timeMs, x));
  send(0, 1);
  send(10, 2);
  send(20, 1);
  kit.cut();
  send(25, 1);
  send(36, 2);
  kit.watermark(35);
  t.same(kit.rows(), ["0 then 10"]);
  kit.watermark(36).watermark(1_000);
  t.same(kit.rows(), ["0 then 10", "25 alone"]);
  t.equal(kit.metrics()[0]?.keys, 0);
});

t.test(
  "process: timers fire in (time, key) order whatever the order they were set in; forgotten by time",
  async (t) => {
    const topology = () =>
      keyed("test.timers")
        .process<number, string>("p", {
          ttlMs: 50,
          init: () => 0,
          onEvent: (n, { x }, at) => {
            at.setTimer(at.timeMs + Math.abs(x));
            if (x < 0) at.cancelTimer(at.timeMs - x);
            return n + 1;
          },
          onTimer: (n, timeMs, at) => {
            at.emit(`${timeMs} ${at.key} ${n}`);
            return n;
          },
        })
        .to(testTarget());
    const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
      const events = all.filter(({ kind }) => kind === "event");
      const end = all[all.length - 1] as (typeof all)[number];
      const whole = run(topology(), [...events, end], cuts);
      const rows = (whole.rows as string[]).map((row) => row.split(" ") as [string, string, string]);
      const sorted = [...rows].sort(([a, k], [b, l]) => Number(a) - Number(b) || (k < l ? -1 : k > l ? 1 : 0));
      assert.deepEqual(rows, sorted);
      assert.equal(whole.kit.metrics()[0]?.keys, 0);
      // Same events, other order within the same log position of time: same timers.
      const reversed = run(topology(), [...events].reverse().concat(end));
      if (eventsOf(all).every(({ x }) => x >= 0)) assert.deepEqual(reversed.rows, whole.rows);
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 32, numRuns: 200 }));
  },
);

t.test("process: a timer that throws is set aside once, and its state change taken back", async (t) => {
  const kit = new TestKit<Reading>(
    keyed("test.timer-throws")
      .process<number, number>("p", {
        ttlMs: Number.POSITIVE_INFINITY,
        init: () => 0,
        onEvent: (n, _value, at) => {
          at.setTimer(at.timeMs + 1);
          at.emit(n);
          return n + 1;
        },
        onTimer: () => {
          throw new Error("timer");
        },
      })
      .to(testTarget()),
  );
  kit.event(0, event(0, 1)).watermark(10).cut();
  kit.watermark(20).event(30, event(30, 1));
  t.same(kit.rows(), [0, 1]);
  t.equal(kit.dead().length, 1);
});

t.test("score: the model scores before it learns, and learns only from what succeeded", async (t) => {
  class Highest implements ScoreModel<Reading, number> {
    #highest: number | undefined;
    scoreOne = ({ x }: Reading) => (this.#highest === undefined ? undefined : x - this.#highest);
    learnOne = ({ x }: Reading) => {
      this.#highest = Math.max(x, this.#highest ?? x);
    };
    save = () => this.#highest ?? null;
    load = (saved: unknown) => {
      this.#highest = (saved as number | null) ?? undefined;
    };
  }
  const topology = keyed("test.score")
    .score("s", { model: () => new Highest(), combine: (value, score) => ({ value, score: score ?? null }) })
    .map(({ value, score }) => {
      if (value.x === 100) throw new Error("outlier");
      return score;
    })
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.event(1, event(1, 5)).event(2, event(2, 100)).cut();
  kit.event(3, event(3, 7));
  t.same(kit.rows(), [null, 2]);
  t.equal(kit.dead().length, 1);
});

t.test("silence: said once by the source's own clock, and once when it is back", async (t) => {
  const topology = pipeline("test.silence");
  topology.from(testSource<Reading>()).to(testTarget("events"));
  topology.silence("quiet", { afterMs: 100 }).to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.tick(0).event(1, event(1, 1)).tick(50).tick(99).tick(101).cut();
  kit.tick(200).event(201, event(201, 1)).tick(210);
  t.same(kit.rows(), [
    { source: "live", kind: "silent", atMs: 101 },
    { source: "live", kind: "back", atMs: 210 },
  ]);
});

t.test("branch, union and flatMap keep every value, in order", async (t) => {
  const topology = pipeline("test.branch");
  const numbers = topology.from(testSource<Reading>()).flatMap<number>(({ value }, emit) => {
    for (let i = 0; i < Math.abs(value.x); i++) emit(value.x + i);
  });
  const { even, third, rest } = numbers.branch({ even: (n) => n % 2 === 0, third: (n) => n % 3 === 0 });
  even
    .map((n) => `even ${n}`)
    .union(
      third.map((n) => `third ${n}`),
      rest.map((n) => `rest ${n}`),
    )
    .to(testTarget());
  const property = fc.property(steps(), (all) => {
    const expected = eventsOf(all).flatMap(({ x }) => Array.from({ length: Math.abs(x) }, (_, i) => x + i));
    const named = expected.map((n) => `${n % 2 === 0 ? "even" : n % 3 === 0 ? "third" : "rest"} ${n}`);
    assert.deepEqual(run(topology, all).rows, named);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 33, numRuns: 50 }));
});

t.test(
  "embed: an operator of one's own hears events and time, and is saved; a throw of it stops the task",
  async (t) => {
    const topology = pipeline("test.embed")
      .from(testSource<Reading>())
      .map(readingOf)
      .embed<string>("own", () => {
        let seen = 0;
        return {
          take: ({ x }, at, emit) => {
            if (x === 99) throw new Error("own");
            emit(`${++seen} at ${at.timeMs}`);
          },
          advance: (watermarkMs, emit) => emit(`${seen} by ${watermarkMs}`),
          save: () => ({ seen }),
          load: (saved) => {
            seen = (saved as { seen: number }).seen;
          },
        };
      })
      .to(testTarget());
    const kit = new TestKit<Reading>(topology);
    kit.event(1, event(1, 1)).cut();
    kit.event(2, event(2, 1)).watermark(5);
    t.same(kit.rows(), ["1 at 1", "2 at 2", "2 by 5"]);
    t.throws(() => kit.event(6, event(6, 99)), { message: "own" });
  },
);

t.test(
  "bounded keys: the one longest without an event goes, whatever the order of keys; cuts never show",
  async (t) => {
    class Last implements ScoreModel<Reading, number> {
      #last = -1;
      scoreOne = () => (this.#last < 0 ? undefined : this.#last);
      learnOne = ({ id }: Reading): void => {
        this.#last = id;
      };
      save = () => this.#last;
      load = (saved: unknown): void => {
        this.#last = saved as number;
      };
    }
    const scored = () =>
      keyed("test.bounded-score")
        .score("s", { model: () => new Last(), maxKeys: 2, combine: ({ id }, score) => [id, score ?? null] })
        .to(testTarget());
    const processed = () =>
      keyed("test.bounded-process")
        .process<{ last: number | null }, unknown>("p", {
          ttlMs: Number.POSITIVE_INFINITY,
          maxKeys: 2,
          init: () => ({ last: null }),
          onEvent: ({ last }, { id }, at) => {
            at.emit([id, last]);
            return { last: id };
          },
        })
        .to(testTarget());
    const property = fc.property(steps(), fc.array(fc.nat(40)), (all, cuts) => {
      const kept = new Map<string, { id: number; timeMs: number }>();
      const expected = eventsOf(all).map(({ id, key, timeMs }) => {
        const known = kept.get(key);
        if (known === undefined && kept.size === 2) {
          const [longest] = [...kept].sort(([a, x], [b, y]) => x.timeMs - y.timeMs || (a < b ? -1 : 1));
          kept.delete(longest?.[0] ?? "");
        }
        kept.set(key, { id, timeMs: Math.max(timeMs, known?.timeMs ?? timeMs) });
        return [id, known?.id ?? null];
      });
      for (const topology of [scored, processed]) {
        assert.deepEqual(run(topology(), all, cuts).rows, expected);
        assert.equal(run(topology(), all, "always").state, run(topology(), all).state);
      }
    });
    t.doesNotThrow(() => fc.assert(property, { seed: 37, numRuns: 200 }));
  },
);
