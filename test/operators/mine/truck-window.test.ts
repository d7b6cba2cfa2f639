import t from "tap";
import { type HaulCycle, truckValues, truckWindow } from "../../../src/operators/index.js";
import { aggregated } from "../support/keyed-kit.js";

const event = (i: number, change: Partial<HaulCycle> & { values: HaulCycle["values"] }) => ({
  cycle: {
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
  const base = {
    cycleH: 1,
    travelEmptyH: 0.25,
    travelFullH: 0.5,
    atShovelH: 0.2,
    atDumpH: 0.05,
    distFullKm: 6,
    payloadT: 290,
  };
  const slow = event(2, { values: { ...base, travelFullH: 1, payloadT: 303 }, payloadMeasured: false });
  const row = aggregated(truckWindow, [event(1, { values: base }), slow]);
  const values = truckValues(row);
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
  t.equal(row.evidence.length, 2);
});

t.test("what cannot be measured is absent, not 0", async (t) => {
  const row = aggregated(truckWindow, [event(1, { values: {}, payloadMeasured: false })]);
  t.same(Object.keys(truckValues(row)), [
    ...["cycles", "cycleMeanH", "travelEmptyMeanH", "travelFullMeanH", "waitMeanH"],
  ]);
});
