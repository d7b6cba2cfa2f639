import { Worker } from "node:worker_threads";
import { MillraceError } from "../../core/index.js";
import type { SolveLimits } from "./highs.js";
import type { Milp, Solution } from "./milp.js";
import type { SolveAnswer, SolveRequest } from "./thread.js";

export interface Solver {
  /**
   * One at a time; a second call waits for the first. Resolves within the time limit and a few hundred ms.
   * Errors: MR_SOLVER_FAILED (retry): no feasible solution, the thread crashed, or it did not answer in time.
   */
  solve(milp: Milp): Promise<Solution>;
  /** Ends the thread; a solve under way is refused. Safe to call twice. */
  close(): Promise<void>;
}

export interface SolverOptions {
  /** @default 2000 */
  readonly timeLimitMs?: number;
  /** Stops at this proven distance from the best, as a ratio of the objective. @default 0.0001 */
  readonly gap01?: number;
  /** How long after the time limit the thread is given up as hung. @default 5000 */
  readonly graceMs?: number;
}

/**
 * HiGHS in a thread of its own: it is synchronous and nothing else could run beside it. The thread starts with the first solve
 * (0.15 s to load), stays, and is replaced after a crash.
 */
export function createSolver(options: SolverOptions = {}): Solver {
  const { timeLimitMs = 2_000, gap01 = 1e-4, graceMs = 5_000 } = options;
  const limits: SolveLimits = { timeLimitMs, gap01 };
  let thread: Worker | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const solve = async (milp: Milp): Promise<Solution> => {
    thread ??= new Worker(new URL("./thread.js", import.meta.url), { name: "solver" });
    try {
      const answer = await ask(thread, { milp, limits }, timeLimitMs + graceMs);
      if (answer.kind === "solved") return answer.solution;
      throw new MillraceError("MR_SOLVER_FAILED", answer.message);
    } catch (error) {
      // Also after an answer that says "failed": a WASM abort leaves the instance unusable, a new one costs 0.15 s.
      await thread?.terminate();
      thread = undefined;
      throw error;
    }
  };

  return {
    solve(milp) {
      const turn = queue.then(() => solve(milp));
      queue = turn.catch(() => undefined);
      return turn;
    },
    async close() {
      await thread?.terminate();
      thread = undefined;
    },
  };
}

function ask(thread: Worker, request: SolveRequest, deadlineMs: number): Promise<SolveAnswer> {
  return new Promise((resolve, reject) => {
    const what = `solving a model of ${request.milp.cost.length} columns`;
    const fail = (reason: string, cause?: unknown) =>
      settle(() => reject(new MillraceError("MR_SOLVER_FAILED", `${what}: ${reason}`, { cause })));
    const onMessage = (answer: SolveAnswer) => settle(() => resolve(answer));
    const onError = (error: Error) => fail("its thread failed", error);
    const onExit = (code: number) => fail(`its thread ended with ${code}`);
    const deadline = setTimeout(() => fail(`no answer after ${deadlineMs} ms`), deadlineMs);
    const settle = (then: () => void) => {
      clearTimeout(deadline);
      thread.off("message", onMessage).off("error", onError).off("exit", onExit);
      then();
    };
    thread.on("message", onMessage).on("error", onError).on("exit", onExit);
    thread.postMessage(request);
  });
}
