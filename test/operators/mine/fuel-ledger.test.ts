import t from "tap";
import { HOUR_MS } from "../../../src/core/index.js";
import { type FuelBalance, type FuelEvent, fuelLedger } from "../../../src/operators/index.js";
import { processKit } from "../support/keyed-kit.js";

function started() {
  const kit = processKit<FuelEvent, unknown, unknown>(fuelLedger<FuelEvent>({ maxTrucks: 5 }) as never);
  const burn = (timeMs: number, litres: number | null) =>
    kit.event(timeMs, { key: "t", value: { kind: "cycle", litres } });
  const refuel = (timeMs: number, litres: number): FuelBalance | undefined => {
    kit.event(timeMs, { key: "t", value: { kind: "refuel", litres } });
    return kit.rows<{ balance: FuelBalance | undefined }>().at(-1)?.balance;
  };
  return { burn, refuel };
}

/** A first refuelling, `cycles` cycles of 200 L over `hours`, a second refuelling of `litres`. */
function interval({ cycles = 10, litres = 2200, hours = 10, unknown = 0 }) {
  const { burn, refuel } = started();
  burn(0, 999);
  t.equal(refuel(0, 3000), undefined, "of the first nothing is known");
  for (let i = 0; i < cycles; i++) burn(i, i < unknown ? null : 200);
  return refuel(hours * HOUR_MS, litres);
}

t.test("what went in against what should have burnt", async (t) => {
  const balance = interval({});
  t.match(balance, { startMs: 0, endMs: 10 * HOUR_MS, litres: 2200, predictedL: 2000, cycles: 10 });
  t.equal(balance?.residualRatio.toFixed(9), "0.100000000");
});

t.test("intervals that cannot be trusted", async (t) => {
  const table = [
    { cycles: 3, trusted: false },
    { cycles: 4, trusted: true },
    { cycles: 30, trusted: true },
    { cycles: 31, trusted: false },
    { litres: 1499, trusted: false },
    { litres: 1500, trusted: true },
    { litres: 5000, trusted: true },
    { litres: 5001, trusted: false },
    { litres: 0, trusted: false },
    { hours: 39, trusted: true },
    { hours: 40, trusted: false },
    { unknown: 1, trusted: false },
  ];
  for (const { trusted, ...row } of table) t.equal(interval(row) !== undefined, trusted, JSON.stringify(row));
});

t.test("every refuelling begins anew", async (t) => {
  const { burn, refuel } = started();
  refuel(0, 0);
  for (let i = 0; i < 5; i++) burn(i, 500);
  t.match(refuel(10, 2500), { predictedL: 2500, residualRatio: 0 });
  for (let i = 0; i < 4; i++) burn(i, 500);
  t.match(refuel(20, 2000), { startMs: 10, predictedL: 2000 });
});
