import t from "tap";
import { type HaulCycle, truckWindow } from "../../../src/operators/index.js";

const event = (i: number, change: Partial<HaulCycle> & { values: HaulCycle["values"] }) => ({
  cycle: {
    truck: "t",
    shovel: "s",
    load: "l",
    dump: "d",
    dumpType: "",
    startMs: 0,
    endMs: i,
    payloadMeasured: true,
    ...change,
  },
  eventId: `${i}`,
  origin: { stream: "telemetry", sequence: i, index: 0 },
});

t.test("means over the cycles, payload of measured ones only, speed by distance", async (t) => {
  const sums = truckWindow.init();
  const base = {
    cycleH: 1,
    travelEmptyH: 0.25,
    travelFullH: 0.5,
    atShovelH: 0.2,
    atDumpH: 0.05,
    distFullKm: 6,
    payloadT: 290,
  };
  truckWindow.add(sums, event(1, { values: base }));
  truckWindow.add(sums, event(2, { values: { ...base, travelFullH: 1, payloadT: 303 }, payloadMeasured: false }));
  const { values, evidence } = truckWindow.result(JSON.parse(JSON.stringify(sums)));
  t.match(values, {
    cycles: 2,
    cycleMeanH: 1,
    travelEmptyMeanH: 0.25,
    travelFullMeanH: 0.75,
    waitMeanH: 0.25,
    payloadMeanT: 290,
    speedFullKmh: 8,
  });
  t.equal(values.queueShare01, 0.5 / 2.5);
  t.equal(evidence.length, 2);
});

t.test("what cannot be measured is absent, not 0", async (t) => {
  const sums = truckWindow.init();
  truckWindow.add(sums, event(1, { values: {}, payloadMeasured: false }));
  t.same(Object.keys(truckWindow.result(sums).values), [
    "cycles",
    "cycleMeanH",
    "travelEmptyMeanH",
    "travelFullMeanH",
    "waitMeanH",
  ]);
});
