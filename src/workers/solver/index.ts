export { createSolver, type Solver, type SolverOptions } from "./solve.js";
export { createSolverWorker, type SolverCounters, type SolverWorker, type SolverWorkerOptions } from "./worker.js";
