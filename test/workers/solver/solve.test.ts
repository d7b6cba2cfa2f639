import t from "tap";
import { isMillraceError, type Route } from "../../../src/core/index.js";
import { dispatchModel } from "../../../src/workers/solver/dispatch-model.js";
import { createSolver } from "../../../src/workers/solver/index.js";
import type { Milp } from "../../../src/workers/solver/milp.js";
import { planRequest } from "./requests.js";

t.test("solves in its thread, one after the other, the same each time", async (t) => {
  const solver = createSolver();
  t.teardown(() => solver.close());
  const { milp } = dispatchModel(planRequest());
  const [first, second, third] = await Promise.all([solver.solve(milp), solver.solve(milp), solver.solve(milp)]);
  t.equal(first.proven, true);
  t.same(second.values, first.values);
  t.same(third.values, first.values);
});

t.test("a shift of a large mine: an answer within the time limit, and the event loop stays free", async (t) => {
  const solver = createSolver({ timeLimitMs: 1_000 });
  t.teardown(() => solver.close());
  const { milp } = dispatchModel(largeMine());
  await solver.solve(dispatchModel(planRequest()).milp); // loads the solver
  let beats = 0;
  const heart = setInterval(() => beats++, 10);
  t.teardown(() => clearInterval(heart));
  const startMs = performance.now();
  const { values, gap01, proven } = await solver.solve(milp);
  const tookMs = performance.now() - startMs;
  t.comment(`${milp.cost.length} columns, ${Math.round(tookMs)} ms, gap ${gap01}, proven ${proven}`);
  t.ok(tookMs < 4_000);
  t.ok(beats >= Math.min(5, tookMs / 40), `${beats} beats`);
  t.ok(cost(milp, values) <= cost(milp, milp.start) + 1e-6, "never worse than the greedy start");
});

t.test("a hung thread is given up and replaced", async (t) => {
  const solver = createSolver({ timeLimitMs: 0, graceMs: 0 });
  t.teardown(() => solver.close());
  const { milp } = dispatchModel(planRequest());
  const error = await solver.solve(milp).catch((thrown: unknown) => thrown);
  t.ok(isMillraceError(error, "MR_SOLVER_FAILED"));
  t.match((error as Error).message, /no answer after 0 ms/);
});

t.test("a model without a solution fails, and the next one is solved all the same", async (t) => {
  const solver = createSolver();
  t.teardown(() => solver.close());
  const { milp } = dispatchModel(planRequest());
  const impossible = { ...milp, rowLower: milp.rowLower.map(() => 1), rowUpper: milp.rowUpper.map(() => 0) };
  const error = await solver.solve(impossible).catch((thrown: unknown) => thrown);
  t.ok(isMillraceError(error, "MR_SOLVER_FAILED"));
  t.equal((await solver.solve(milp)).proven, true);
  await solver.close();
  await solver.close();
});

/** 20 shovels, 8 dumps, every road open: ten times what an hour of Mine Z shows. */
function largeMine() {
  const shovels = Array.from({ length: 20 }, (_, i) => ({ shovel: `s${i}`, loadMin: 2 + (i % 5), available: true }));
  const dumps = Array.from({ length: 8 }, (_, i) => ({ dump: `d${i}`, dumpMin: 1 }));
  const routes: Route[] = shovels.flatMap(({ shovel }, s) =>
    dumps.map(({ dump }, d) => {
      const far = ((s * 7 + d * 13) % 29) + 3;
      return {
        shovel,
        dump,
        cycleMin: 12 + far,
        litres: 60 + 9.7 * far,
        payloadT: 280 + ((s * 3 + d) % 23),
        trips: (s + d) % 4,
      };
    }),
  );
  return planRequest({ shovels, dumps, routes, trucks: 110, targetT: 60_000 });
}

function cost(milp: Milp, values: Float64Array): number {
  return milp.cost.reduce((sum, each, column) => sum + each * (values[column] ?? 0), 0);
}
