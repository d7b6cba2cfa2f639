import t from "tap";
import { unitOf } from "../../../src/pipelines/mine/units.js";

t.test("the unit ends the name", async (t) => {
  const table = {
    fuelLph: " L/h",
    speedKmh: " km/h",
    payloadT: " t",
    vibrationMms: " mm/s",
    oilC: " °C",
    distKm: " km",
    value: "",
    T: "",
    load: "",
  };
  for (const [name, unit] of Object.entries(table)) t.equal(unitOf(name), unit, name);
});
