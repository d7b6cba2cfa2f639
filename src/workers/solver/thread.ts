import { parentPort } from "node:worker_threads";
import { loadHighs, type SolveLimits } from "./highs.js";
import type { Milp, Solution } from "./milp.js";

/** What crosses the thread's border. One at a time: the caller waits for the answer. */
export interface SolveRequest {
  readonly milp: Milp;
  readonly limits: SolveLimits;
}

export type SolveAnswer =
  | { readonly kind: "solved"; readonly solution: Solution }
  | { readonly kind: "failed"; readonly message: string };

if (parentPort === null) throw new Error("the solver's thread was started as a program; it is started by createSolver");
const port = parentPort;
const highs = loadHighs();

port.on("message", async (request: SolveRequest) => {
  port.postMessage(await answer(request));
});

async function answer({ milp, limits }: SolveRequest): Promise<SolveAnswer> {
  try {
    return { kind: "solved", solution: (await highs).solve(milp, limits) };
  } catch (error) {
    return { kind: "failed", message: (error as Error).message };
  }
}
