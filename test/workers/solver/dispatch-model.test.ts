import fc from "fast-check";
import t from "tap";
import type { PlanRequest, Route } from "../../../src/core/index.js";
import { DISPATCH_RULES, dispatchModel, dispatchPlan } from "../../../src/workers/solver/dispatch-model.js";
import { loadHighs } from "../../../src/workers/solver/highs.js";
import type { Milp } from "../../../src/workers/solver/milp.js";
import { planRequest, withoutShovel } from "./requests.js";

const SEED = 4711;
const LIMITS = { timeLimitMs: 2_000, gap01: 0 };
const highs = await loadHighs();

function plan(request: PlanRequest) {
  const { milp, routes } = dispatchModel(request);
  return dispatchPlan(request, "r1", routes, highs.solve(milp, LIMITS));
}

const trips = (side: { readonly trips: readonly { shovel: string; dump: string; trips: number }[] }) =>
  Object.fromEntries(side.trips.map(({ shovel, dump, trips }) => [`${shovel} ${dump}`, trips]));

t.test("the dear route gives way to the cheap one, each destination keeps its share", async (t) => {
  const { after, before, ...rest } = plan(planRequest());
  t.match(rest, { status: "optimal", shortfallT: 0, requestId: "r1", schema: "millrace.plan/1", gap01: 0 });
  t.ok(after.tonnes >= 5_920, "the target is met");
  const {
    "north crusher": dear = 0,
    "south crusher": cheap = 0,
    "north waste": near = 0,
    "south waste": far = 0,
  } = trips(after);
  t.ok(dear < 6 && cheap > 6 && near > 4 && far < 4, `${dear} ${cheap} ${near} ${far}`);
  t.ok(dear + near >= 7 && cheap + far >= 7, "no shovel falls under 70 % of what it did");
  t.ok((dear + cheap) * 300 >= 12 * 300 - 300, "the crusher gets what it got, less at most a truckload");
});

t.test("before and after do the same work, so the saving is litres only", async (t) => {
  const { after, before, savedLitres, savedRatio01 } = plan(planRequest());
  t.equal(before.tonnes, after.tonnes);
  t.equal(savedLitres, Math.round((before.litres - after.litres) * 100) / 100);
  t.ok(savedRatio01 > 0.05 && savedRatio01 < 0.25, `${savedRatio01}`);
  const crusher = (side: typeof before) =>
    side.trips.filter(({ dump }) => dump === "crusher").reduce((sum, { trips }) => sum + trips, 0);
  t.ok(Math.abs(crusher(before) - crusher(after)) < 0.02, "also by destination");
  t.equal(trips(before)["north crusher"], trips(before)["south crusher"], "in the proportions of the measured hour");
});

t.test("a silent shovel has no trips on either side, the others do its work", async (t) => {
  const request = withoutShovel("north");
  const { after, before, shortfallT } = plan({ ...request, trucks: 30 });
  for (const side of [before, after]) {
    t.match(trips(side), { "north crusher": 0, "north waste": 0 });
    t.equal(side.trips.length, 4, "every route appears");
  }
  t.equal(
    after.trips.reduce((sum, one) => sum + one.trips, 0),
    Math.floor((60 * 0.9) / 3),
    "as much as the shovel can load",
  );
  t.ok(shortfallT > 0);
});

t.test("an impossible target gives the best plan there is and says what is missing", async (t) => {
  const { after, shortfallT, status, targetT } = plan(planRequest({ trucks: 2 }));
  t.equal(status, "optimal");
  t.ok(after.tonnes > 0 && after.truckHours <= 2 * 0.9);
  t.equal(shortfallT, targetT - after.tonnes);
});

t.test("nothing that works: an infeasible plan without trips, and nothing claimed", async (t) => {
  const request = withoutShovel("north");
  const none = plan({ ...request, shovels: request.shovels.map((shovel) => ({ ...shovel, available: false })) });
  t.match(none, { status: "infeasible", savedLitres: 0, savedRatio01: 0, shortfallT: 5_920 });
  t.match(plan(planRequest({ routes: [], targetT: 0 })), { status: "optimal", shortfallT: 0, after: { tonnes: 0 } });
});

t.test("a route nobody drove claims no saving", async (t) => {
  const [first, ...rest] = planRequest().routes.filter(({ dump }) => dump === "crusher");
  const request = planRequest({ routes: [first, ...rest].flatMap((route) => (route ? [{ ...route, trips: 0 }] : [])) });
  t.equal(plan(request).savedLitres, 0);
});

t.test(
  "small instances: the solver finds what trying everything finds, and the greedy start is feasible",
  async (t) => {
    t.comment(`seed ${SEED}`);
    const names = { shovels: ["a", "b"], dumps: ["x", "y"] } as const;
    const route = fc.record({
      shovel: fc.constantFrom(...names.shovels),
      dump: fc.constantFrom(...names.dumps),
      cycleMin: fc.integer({ min: 10, max: 50 }),
      litres: fc.integer({ min: 20, max: 300 }),
      payloadT: fc.integer({ min: 100, max: 320 }),
      trips: fc.integer({ min: 0, max: 5 }),
    });
    const distinct = { minLength: 1, maxLength: 3, selector: (one: Route) => `${one.shovel} ${one.dump}` };
    const request = fc.record({
      routes: fc.uniqueArray(route, distinct),
      trucks: fc.integer({ min: 0, max: 4 }),
      targetT: fc.integer({ min: 0, max: 1_600 }),
      loadMin: fc.integer({ min: 6, max: 15 }),
      dumpMin: fc.integer({ min: 0, max: 12 }),
      available: fc.boolean(),
    });
    const property = fc.property(request, ({ routes, trucks, targetT, loadMin, dumpMin, available }) => {
      const { milp } = dispatchModel(
        planRequest({
          routes,
          trucks,
          targetT,
          shovels: names.shovels.map((shovel) => ({ shovel, loadMin, available: available || shovel === "a" })),
          dumps: names.dumps.map((dump) => ({ dump, dumpMin })),
        }),
      );
      const best = tryEverything(milp);
      const found = objective(milp, highs.solve(milp, LIMITS).values);
      const start = objective(milp, milp.start);
      return Math.abs(found - best) <= 1e-6 * Math.max(1, best) && feasible(milp, milp.start) && start >= best - 1e-6;
    });
    t.doesNotThrow(() => fc.assert(property, { seed: SEED, numRuns: 300 }));
  },
);

t.test("rules can be changed: without keeping shovels the dear bench stops", async (t) => {
  const { milp, routes } = dispatchModel(planRequest(), { ...DISPATCH_RULES, keepShovel01: 0 });
  const free = dispatchPlan(planRequest(), "r", routes, highs.solve(milp, LIMITS));
  t.ok(free.after.litres <= plan(planRequest()).after.litres);
});

t.test("200 solves leave the memory of the solver where it was", async (t) => {
  const { milp } = dispatchModel(planRequest());
  for (let i = 0; i < 20; i++) highs.solve(milp, LIMITS);
  const before = highs.memoryBytes();
  for (let i = 0; i < 200; i++) highs.solve(milp, LIMITS);
  t.equal(highs.memoryBytes(), before, `${before / 2 ** 20} MB`);
});

/** The best objective over every whole-numbered assignment; shortfalls follow from it. */
function tryEverything(milp: Milp): number {
  const whole = milp.integer.filter((flag) => flag === 1).length;
  const values = new Float64Array(milp.cost.length);
  const visit = (column: number): number => {
    if (column === whole) {
      fillShortfalls(milp, values, whole);
      return feasible(milp, values) ? objective(milp, values) : Number.POSITIVE_INFINITY;
    }
    let best = Number.POSITIVE_INFINITY;
    for (let count = 0; count <= (milp.columnUpper[column] ?? 0); count++) {
      values[column] = count;
      best = Math.min(best, visit(column + 1));
    }
    return best;
  };
  return visit(0);
}

function fillShortfalls(milp: Milp, values: Float64Array, whole: number): void {
  values.fill(0, whole);
  const sums = activities(milp, values);
  for (let column = whole; column < values.length; column++) {
    const row = milp.indices[milp.starts[column] ?? 0] ?? 0;
    values[column] = Math.max(0, (milp.rowLower[row] ?? 0) - (sums[row] ?? 0));
  }
}

function feasible(milp: Milp, values: Float64Array): boolean {
  return activities(milp, values).every(
    (sum, row) => sum >= (milp.rowLower[row] ?? 0) - 1e-6 && sum <= (milp.rowUpper[row] ?? 0) + 1e-6,
  );
}

function activities(milp: Milp, values: Float64Array): Float64Array {
  const sums = new Float64Array(milp.rowLower.length);
  values.forEach((value, column) => {
    for (let k = milp.starts[column] ?? 0; k < (milp.starts[column + 1] ?? 0); k++) {
      const row = milp.indices[k] ?? 0;
      sums[row] = (sums[row] ?? 0) + (milp.values[k] ?? 0) * value;
    }
  });
  return sums;
}

function objective(milp: Milp, values: Float64Array): number {
  return milp.cost.reduce((sum, cost, column) => sum + cost * (values[column] ?? 0), 0);
}
