import t from "tap";
import { Incident } from "../src/auto/incident.js";
import { Season } from "../src/auto/season.js";
import { Surprise } from "../src/auto/surprise.js";
import { ValueMemory } from "../src/auto/value-memory.js";
import { normalSurprise } from "../src/core/normal.js";
import { Inputs } from "./inputs.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

t.test(
  "value memory: nearest earlier value on either side; room for as many as it says, then coarser, never wrong by more than the grain",
  async (t) => {
    const memory = new ValueMemory(64);
    t.equal(memory.distance(5), 0, "nothing yet");
    for (const value of [10, 20, 10]) memory.add(value);
    t.equal(memory.count, 2, "distinct values");
    for (const [value, distance] of [
      [10, 0],
      [9, 1],
      [14, 4],
      [16, 4],
      [26, 6],
    ] as const)
      t.equal(memory.distance(value), distance, `${value}`);
    const inputs = new Inputs(2);
    const all = [10, 20];
    for (let i = 0; i < 5000; i++) {
      const value = inputs.real();
      memory.add(value);
      all.push(value);
    }
    t.ok(memory.count <= 64 && memory.count > 20, `${memory.count} values held`);
    let worst = 0;
    for (let x = -2; x < 2; x += 0.01) {
      const exact = Math.min(...all.map((value) => Math.abs(value - x)));
      worst = Math.max(worst, Math.abs(memory.distance(x) - exact));
    }
    t.ok(worst < 0.25, `worst error ${worst} of a range of 4`);
    t.equal(memory.distance(100), 80, "far values are not merged away");
  },
);

t.test("surprise: geometric mean of the rank's and the normal tail's, ties counted against", async (t) => {
  const surprise = new Surprise(1000);
  t.equal(surprise.of(5), 0, "nothing yet");
  const distances = [0, 0, 1, 1, 1, 2, 4, 1, 1];
  for (const distance of distances) surprise.add(distance);
  const mean = distances.reduce((a, b) => a + b) / 9;
  const sd = Math.sqrt(distances.reduce((sum, d) => sum + (d - mean) ** 2, 0) / 9);
  const want = (distance: number, atLeast: number) =>
    Math.sqrt(Math.log10(10 / (atLeast + 1)) * normalSurprise((distance - mean) / sd));
  for (const [distance, atLeast] of [
    [100, 0],
    [4, 1],
    [3, 1],
    [2, 2],
    [1, 7],
    [0.5, 7],
  ] as const)
    t.ok(Math.abs(surprise.of(distance) - want(distance, atLeast)) < 1e-12, `${distance}: ${surprise.of(distance)}`);
  t.equal(surprise.of(0), 0, "the commonest surprises nobody");
  t.ok(Math.abs(surprise.share(4) - 2 / 10) < 1e-12);
  t.ok(Math.abs(surprise.share(0) - 1) < 1e-12);
  t.ok(surprise.of(1e300) > surprise.of(1e5) && surprise.of(1e5) > surprise.of(100), "no end of the scale");
});

t.test("surprise: mean and spread follow the last `memory` rows, the ranks all of them", async (t) => {
  const [short, long] = [new Surprise(50), new Surprise(5000)];
  for (let i = 0; i < 2000; i++) for (const each of [short, long]) each.add(i < 1000 ? 1 + (i % 7) : 100 + (i % 7));
  t.ok(short.of(110) > 1.5 * long.of(110), "to the short memory 100 is usual and 110 is far");
  t.equal(short.share(110), long.share(110));
});

t.test("incident: only the largest score of the last twentieth of the rows, at most so many", async (t) => {
  const incident = new Incident(30);
  const brute: number[] = [];
  const inputs = new Inputs(7);
  let kept = 0;
  for (let i = 0; i < 3000; i++) {
    const score = inputs.below(4) === 0 ? inputs.below(50) : inputs.below(3);
    const span = Math.min(30, Math.floor(i / 20));
    const before = Math.max(...brute.slice(Math.max(0, i - span)).concat(span === 0 ? [Number.NEGATIVE_INFINITY] : []));
    const want = span === 0 || score > before ? score : 0;
    t.equal(incident.filter(score), want, `row ${i}`);
    if (want > 0) kept++;
    incident.add(score);
    brute.push(score);
  }
  t.equal(incident.seen, 3000);
  t.ok(kept > 50);
});

t.test("season: the median of earlier periods, never of the current one; parts are half-open", async (t) => {
  const season = new Season({ periodMs: DAY, slots: 24, depth: 3 });
  const at = (day: number, hour: number, minute = 0) => day * DAY + hour * HOUR + minute * 60_000;
  t.ok(Number.isNaN(season.usual(at(0, 5))));
  season.learn(at(0, 5), 10, 0);
  t.ok(Number.isNaN(season.usual(at(0, 5, 59))), "today does not count");
  t.equal(season.usual(at(1, 5)), 10);
  t.equal(season.usual(at(1, 5, 59)), 10, "the whole hour");
  t.ok(Number.isNaN(season.usual(at(1, 6))), "the next part is another");
  season.learn(at(1, 5), 99, 0);
  t.equal(season.usual(at(1, 5)), 10, "still not today's");
  season.learn(at(1, 5, 30), 98, 0);
  t.equal(season.usual(at(1, 5)), 10);
  t.equal(season.usual(at(2, 5)), 98, "median of 10, 99, 98");
  season.learn(at(2, 5), 1, 0);
  season.learn(at(3, 5), 2, 0);
  t.equal(season.usual(at(4, 5)), 2, "the last three: 98, 1, 2");
  season.learn(at(2, 5), 500, 0);
  t.equal(season.usual(at(3, 5)), 98, "a step back counts as the current period");
  t.equal(season.usual(at(-700, 5)), 98);
  season.learn(DAY - 2e-8, 7, 0);
  t.ok(
    Number.isFinite(season.usual(2 * DAY - 4e-8)) && Number.isFinite(season.usual(at(9, 23))),
    "the last instant of a day",
  );
});

t.test("season: the ratio needs as many comparisons as parts, then tells a period from noise", async (t) => {
  const inputs = new Inputs(3);
  const [wave, noise] = [
    new Season({ periodMs: DAY, slots: 24, depth: 8 }),
    new Season({ periodMs: DAY, slots: 24, depth: 8 }),
  ];
  for (let hour = 0; hour < 24 * 20; hour++) {
    const due = hour - 24; // comparisons so far
    if (due < 24) t.equal(wave.ratio, Number.POSITIVE_INFINITY, `hour ${hour}`);
    else if (due === 24) t.ok(wave.ratio < 2 / 3, "the first ratio");
    wave.learn(hour * HOUR, Math.sin((hour * Math.PI) / 12) + inputs.real() / 10, 0);
    noise.learn(hour * HOUR, inputs.real(), 0);
  }
  t.ok(wave.ratio < 0.2, `${wave.ratio}`);
  t.ok(noise.ratio > 0.9, `${noise.ratio}`);
});
