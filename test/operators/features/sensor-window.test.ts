import t from "tap";
import { sensorValues, sensorWindow, type Witness } from "../../../src/operators/index.js";
import { aggregated } from "../support/keyed-kit.js";

const witness = (value: number, timeMs: number): Witness => {
  return { value, timeMs, eventId: `${timeMs}`, origin: { stream: "s", sequence: timeMs, index: 0 } };
};

t.test("level, spread, extremes and evidence of an hour", async (t) => {
  const row = aggregated(
    sensorWindow,
    [10, 20, 60].map((value, i) => witness(value, i)),
  );
  const values = sensorValues(row);
  t.match(values, { count: 3, mean: 30, min: 10, max: 60, last: 60, range: 50 });
  t.equal(values.std.toFixed(3), "26.458");
  t.same(Object.keys(values), ["count", "mean", "std", "min", "max", "last", "range"]);
  t.same(
    row.evidence.map(({ sequence }) => sequence),
    [0, 1, 2],
  );
});

t.test("one reading has no spread; the last is the latest, of equal times the larger", async (t) => {
  t.match(sensorValues(aggregated(sensorWindow, [witness(-5, 1)])), { std: 0, last: -5, range: 0 });
  const late = [witness(1, 5), witness(9, 3), witness(2, 5), witness(1, 5)];
  t.equal(sensorValues(aggregated(sensorWindow, late)).last, 2);
});
