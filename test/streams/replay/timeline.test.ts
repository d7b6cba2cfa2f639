import fc from "fast-check";
import t from "tap";
import type { SampleRecord } from "../../../src/streams/replay/records.js";
import { playTimeline, type TimelineOptions } from "../../../src/streams/replay/timeline.js";
import { jumpingClock } from "../../support/clock.js";

const EVERY = 10;

const record = (atMs: number, key: string, n: number): SampleRecord => ({
  atMs,
  offsetMs: 0,
  line: { at: atMs, topic: key, payload: String(n) },
});

async function* each(records: readonly SampleRecord[]) {
  yield* records;
}

/** Takes each record a number of turns to arrive, and writes down what happens. */
function stage(records: readonly SampleRecord[], options: { turns?: (n: number) => number; failAt?: number } = {}) {
  const { turns = () => 1, failAt } = options;
  const happened: string[] = [];
  const faults: string[] = [];
  const flying = new Map<string, number>();
  let mostFlying = 0;
  const told: number[] = [];
  const play = (signal: AbortSignal, rest: Partial<TimelineOptions> = {}) =>
    playTimeline(
      {
        records: each(records),
        sender: {
          keyOf: ({ line }) => ("topic" in line ? line.topic : ""),
          async send({ line, atMs }) {
            const n = Number("payload" in line ? line.payload : -1);
            const key = "topic" in line ? line.topic : "";
            flying.set(key, (flying.get(key) ?? 0) + 1);
            if ((flying.get(key) ?? 0) > 1) faults.push(`two of ${key} at a time`);
            mostFlying = Math.max(
              mostFlying,
              [...flying.values()].reduce((sum, count) => sum + count, 0),
            );
            if (atMs <= (told.at(-1) ?? Number.NEGATIVE_INFINITY))
              faults.push(`${atMs} sent after the tick of ${told.at(-1)}`);
            for (let turn = turns(n); turn > 0; turn--) await null;
            flying.set(key, (flying.get(key) ?? 0) - 1);
            if (n === failAt) throw new Error(`refused ${n}`);
            happened.push(`${key}${n}`);
          },
          close: async () => undefined,
        },
        ticks: {
          position: async () => undefined,
          async publish(t, retire = false) {
            if ([...flying.values()].some((count) => count > 0)) faults.push(`tick ${t} with records in flight`);
            told.push(t);
            happened.push(retire ? `end ${t}` : `tick ${t}`);
          },
        },
        tickEveryMs: EVERY,
        fromMs: -1,
        endMs: records.at(-1)?.atMs ?? 0,
        dueMs: undefined,
        clock: jumpingClock(0),
        delivered: () => undefined,
        ...rest,
      },
      signal,
    );
  return { play, happened, faults, told, mostFlying: () => mostFlying };
}

const never = new AbortController().signal;

t.test("edges of the grid: a record on it comes after the tick before it", async (t) => {
  const records = [0, 9, 10, 11, 20, 45].map((atMs, n) => record(atMs, "a", n));
  const { play, happened } = stage(records);
  t.equal(await play(never), true);
  t.same(happened, ["a0", "tick 0", "a1", "a2", "tick 10", "a3", "a4", "tick 40", "a5", "end 45"]);
});

t.test("whatever takes how long: ticks are barriers, keys keep their order, 64 at most", async (t) => {
  const arrival = fc.record({ gap: fc.nat(7), key: fc.constantFrom("a", "b", "c", "d"), turns: fc.nat(20) });
  const property = fc.asyncProperty(fc.array(arrival, { minLength: 1, maxLength: 120 }), async (arrivals) => {
    let atMs = 0;
    const records = arrivals.map(({ gap, key }, n) => {
      atMs += gap;
      return record(atMs, key, n);
    });
    const { play, happened, faults, told } = stage(records, { turns: (n) => arrivals[n]?.turns ?? 0 });
    await play(never);
    if (faults.length > 0) throw new Error(faults.join("; "));
    for (const key of ["a", "b", "c", "d"]) {
      const numbers = happened.filter((what) => what.startsWith(key)).map((what) => Number(what.slice(1)));
      const sorted = [...numbers].sort((x, y) => x - y);
      if (numbers.join() !== sorted.join()) throw new Error(`${key}: ${numbers}`);
    }
    if (happened.length !== records.length + told.length) throw new Error("something happened twice or never");
    if (told.slice(0, -1).some((time) => time % EVERY !== 0)) throw new Error(`off the grid: ${told}`);
  });
  await t.resolves(fc.assert(property, { seed: 5, numRuns: 150 }));
  const many = stage(
    Array.from({ length: 300 }, (_, n) => record(1, `k${n}`, n)),
    { turns: () => 1_000 },
  );
  await many.play(never);
  t.equal(many.mostFlying(), 64);
});

t.test("paced: each record when it is due, late ones at once", async (t) => {
  const clock = jumpingClock(1_000);
  const records = [0, 10, 10, 50].map((atMs, n) => record(atMs, "a", n));
  await stage(records).play(never, { clock, dueMs: (atMs) => 990 + atMs * 2 });
  t.same(clock.sleptMs, [10, 80]);
});

t.test("a refusal ends the run with it; an abort ends it without retiring", async (t) => {
  const records = Array.from({ length: 100 }, (_, n) => record(n, `k${n % 5}`, n));
  const refused = stage(records, { failAt: 30 });
  await t.rejects(refused.play(never), { message: "refused 30" });
  t.notOk(refused.happened.some((what) => what.startsWith("end")));
  const stop = new AbortController();
  const stopped = stage(records, { turns: (n) => Number(n !== 30 || stop.abort() === undefined) });
  t.equal(await stopped.play(stop.signal), false);
  t.notOk(stopped.happened.some((what) => what.startsWith("end")));
});

t.test("a tick that the log does not take is told again", async (t) => {
  const told: number[] = [];
  let failures = 3;
  const ticks = {
    position: async () => undefined,
    async publish(time: number) {
      if (failures-- > 0) throw new Error("full");
      told.push(time);
    },
  };
  const clock = jumpingClock(0);
  t.equal(await stage([record(5, "a", 0), record(15, "a", 1)]).play(never, { ticks, clock }), true);
  t.same(told, [0, 10, 15]);
  t.equal(clock.sleptMs.length, 3);
});
