import t from "tap";
import { MINUTE_MS } from "../../../src/core/index.js";
import { lastHour, type MeasuredCycle } from "../../../src/operators/index.js";

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

t.test("nothing until an hour has been measured, nor when nothing moved in the last", async (t) => {
  const hour = lastHour({ maxSites: 1 });
  t.equal(hour.measure("m", 0), undefined);
  hour.add("m", cycle(0));
  t.equal(hour.measure("m", 60 * MINUTE_MS - 1), undefined);
  hour.add("m", cycle(30));
  t.match(hour.measure("m", 60 * MINUTE_MS), { tonnes: 300, trucks: 1 }, "the hour is open at its old end");
  t.equal(hour.measure("m", 90 * MINUTE_MS), undefined);
});

t.test("a route is its median travel and what loading and dumping take without waiting", async (t) => {
  const hour = lastHour({ maxSites: 1 });
  hour.add("m", cycle(0));
  const waits = [4, 5, 6, 20, 40];
  waits.forEach((atShovelMin, i) => {
    hour.add("m", cycle(61 + i, { atShovelMin, travelMin: 20 + i, litres: 100 + i, payloadT: 290 + i }));
  });
  hour.add("m", cycle(70, { shovel: "s2", dump: "d2", travelMin: 60 }));
  t.same(hour.measure("m", 100 * MINUTE_MS), {
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

t.test("cycles that cannot be do not count; old ones are forgotten; a restart changes nothing", async (t) => {
  const hour = lastHour({ maxSites: 1 });
  for (const bad of [{ travelMin: 1 }, { atShovelMin: 300 }, { shovel: "" }, { dump: "" }])
    hour.add("m", cycle(0, bad));
  t.equal(hour.measure("m", 1e9), undefined);
  for (let minute = 0; minute < 600; minute += 5) hour.add("m", cycle(minute));
  const saved = JSON.parse(JSON.stringify(hour.save()));
  t.ok(saved[0][2].cycles.length < 40, `${saved[0][2].cycles.length} cycles of 120 are kept`);
  const loaded = lastHour({ maxSites: 1 });
  loaded.load(saved);
  const now = 600 * MINUTE_MS;
  t.equal(loaded.measure("m", now)?.routes[0]?.trips, 11);
  t.same(loaded.measure("m", now), hour.measure("m", now));
});
