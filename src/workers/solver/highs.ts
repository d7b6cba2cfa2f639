import highsModule, { type Highs, type Model, type ModelData } from "highs";
import { MillraceError } from "../../core/index.js";
import type { Milp, Solution } from "./milp.js";

/** The package's types describe its CommonJS build; the module Node loads exports the function itself. */
const loadRuntime = highsModule as unknown as typeof highsModule.default;

export interface SolveLimits {
  /** HiGHS overruns it by 0.15 to 0.3 s. */
  readonly timeLimitMs: number;
  /** Stops at this proven distance from the best, as a ratio of the objective. */
  readonly gap01: number;
}

export interface HighsSolver {
  /** Blocks the thread. Errors: MR_SOLVER_FAILED when there is no feasible solution. */
  solve(milp: Milp, limits: SolveLimits): Solution;
  /** Size of the WASM memory: grows to the largest model and never shrinks. */
  memoryBytes(): number;
}

/** Loads the WASM solver: about 0.15 s and 21 MB, once a thread. */
export async function loadHighs(): Promise<HighsSolver> {
  const highs = await loadRuntime();
  return {
    // withModel disposes: the garbage collector does not free what a model owns in WASM memory.
    solve: (milp, limits) => highs.withModel(source(highs, milp), (model) => run(highs, model, milp, limits)),
    memoryBytes: () => highs.memoryBytes,
  };
}

function source(highs: Highs, milp: Milp): ModelData {
  const { integer, continuous } = highs.constants.variableType;
  const numCols = milp.cost.length;
  const numRows = milp.rowLower.length;
  return {
    numCols,
    numRows,
    colCost: milp.cost,
    colLower: milp.columnLower,
    colUpper: milp.columnUpper,
    rowLower: milp.rowLower,
    rowUpper: milp.rowUpper,
    integrality: Array.from(milp.integer, (flag) => (flag === 1 ? integer : continuous)),
    matrix: { format: "csc", numRows, numCols, starts: milp.starts, indices: milp.indices, values: milp.values },
  };
}

function run(highs: Highs, model: Model, milp: Milp, limits: SolveLimits): Solution {
  model.options.set({ output_flag: false, time_limit: limits.timeLimitMs / 1_000, mip_rel_gap: limits.gap01 });
  model.setSolution({ colValue: milp.start });
  model.run();
  const { modelStatus, solutionStatus } = highs.constants;
  const status = model.getModelStatus();
  if (model.info.get("primal_solution_status") !== solutionStatus.feasible && status !== modelStatus.empty) {
    throw new MillraceError(
      "MR_SOLVER_FAILED",
      `solving a model of ${milp.cost.length} columns: HiGHS status ${status}, no solution`,
    );
  }
  const gap = Number(model.info.get("mip_gap"));
  const proven = status === modelStatus.optimal || status === modelStatus.empty;
  // A model without columns has no gap; HiGHS says infinity while it has no bound.
  return { values: model.getSolution().colValue, proven, gap01: Number.isFinite(gap) ? gap : proven ? 0 : 1 };
}
