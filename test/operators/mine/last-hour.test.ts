import t from "tap";
import { MINUTE_MS } from "../../../src/core/index.js";
import {
  type LastHour,
  type MeasuredCycle,
  measureHour,
  NOTHING_MEASURED,
  withCycle,
} from "../../../src/operators/index.js";

const cycle = (minute: number, change: Partial<MeasuredCycle> = {}): MeasuredCycle => ({
  ...{
    truck: `t${minute % 3}`,
    shovel: "s1",
    dump: "d1",
    endMs: minute * MINUTE_MS,
    travelMin: 30,
    atShovelMin: 5,
    atDumpMin: 2,
  },
  ...{ litres: 180, payloadT: 300, ...change },
});

function lastHour() {
  let hour: LastHour = NOTHING_MEASURED;
  const add = (cycle: MeasuredCycle): void => {
    hour = withCycle(hour, cycle);
    Object.freeze(Object.freeze(hour).cycles);
  };
  return { add, measure: (nowMs: number) => measureHour(hour, nowMs), size: () => hour.cycles.length };
}

t.test("nothing until an hour has been measured, nor when nothing moved in the last", async (t) => {
  const hour = lastHour();
  t.equal(hour.measure(0), undefined);
  hour.add(cycle(0));
  t.equal(hour.measure(60 * MINUTE_MS - 1), undefined);
  hour.add(cycle(30));
  t.match(hour.measure(60 * MINUTE_MS), { tonnes: 300, trucks: 1 }, "the hour is open at its old end");
  t.equal(hour.measure(90 * MINUTE_MS), undefined);
});

t.test("a route is its median travel and what loading and dumping take without waiting", async (t) => {
  const hour = lastHour();
  hour.add(cycle(0));
  const waits = [4, 5, 6, 20, 40];
  waits.forEach((atShovelMin, i) => {
    hour.add(cycle(61 + i, { atShovelMin, travelMin: 20 + i, litres: 100 + i, payloadT: 290 + i }));
  });
  hour.add(cycle(70, { shovel: "s2", dump: "d2", travelMin: 60 }));
  t.same(hour.measure(100 * MINUTE_MS), {
    trucks: 3,
    tonnes: 292 * 5 + 300,
    shovels: [
      { shovel: "s1", loadMin: 5 },
      { shovel: "s2", loadMin: 5 },
    ],
    dumps: [
      { dump: "d1", dumpMin: 2 },
      { dump: "d2", dumpMin: 2 },
    ],
    routes: [
      { shovel: "s1", dump: "d1", cycleMin: 22 + 5 + 2, litres: 102, payloadT: 292, trips: 5 },
      { shovel: "s2", dump: "d2", cycleMin: 67, litres: 180, payloadT: 300, trips: 1 },
    ],
  });
});

t.test("cycles that cannot be do not count; old ones are forgotten", async (t) => {
  const hour = lastHour();
  for (const bad of [{ travelMin: 1 }, { atShovelMin: 300 }, { shovel: "" }, { dump: "" }]) hour.add(cycle(0, bad));
  t.equal(hour.measure(1e9), undefined);
  for (let minute = 0; minute < 600; minute += 5) hour.add(cycle(minute));
  t.ok(hour.size() < 40, `${hour.size()} cycles of 120 are kept`);
  t.equal(hour.measure(600 * MINUTE_MS)?.routes[0]?.trips, 11);
});
