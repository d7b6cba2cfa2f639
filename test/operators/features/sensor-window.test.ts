import t from "tap";
import { sensorWindow } from "../../../src/operators/index.js";

t.test("level, spread, extremes and evidence of an hour", async (t) => {
  const accumulator = sensorWindow.init();
  for (const [i, value] of [10, 20, 60].entries()) {
    sensorWindow.add(accumulator, {
      value,
      timeMs: i,
      eventId: `${i}`,
      origin: { stream: "s", sequence: i, index: 0 },
    });
  }
  const { values, evidence } = sensorWindow.result(JSON.parse(JSON.stringify(accumulator)));
  t.match(values, { count: 3, mean: 30, min: 10, max: 60, last: 60, range: 50 });
  t.equal(values.std.toFixed(3), "26.458");
  t.same(
    evidence.map(({ sequence }) => sequence),
    [0, 1, 2],
  );
});
