import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeToken,
  isMillraceError,
  type Log,
  type Logger,
  type LogMessage,
  type LogReader,
  type Plan,
  type StoredMarker,
} from "../../core/index.js";
import { dispatchModel, dispatchPlan } from "./dispatch-model.js";
import { type LoggedPlanRequest, readPlanRequest } from "./request.js";
import type { Solver } from "./solve.js";

const STREAM = "plans";
const TASK = "solver";
/** Requests read at once: what waits together is coalesced. A request is about 4 KB. */
const SLICE = 256;
const ATTEMPTS = 3;

export interface SolverWorkerOptions {
  readonly log: Log;
  readonly logger: Logger;
  /** Closed by whoever created it. */
  readonly solver: Solver;
  /** First pause after a failure; doubles up to 30 times that. @default 500 */
  readonly retryMs?: number;
}

export interface SolverCounters {
  readonly requests: number;
  /** Older requests of a site that had a newer one waiting when it was their turn. They get no plan. */
  readonly superseded: number;
  readonly plans: number;
  /** Requests given up after three attempts, or unreadable. The plan in force stays. */
  readonly failed: number;
}

export interface SolverWorker {
  /** Runs until `signal` aborts. Rejects only with a fatal error (MR_LOG_TRUNCATED, MR_LOG_LOST_DATA, MR_OPTION_INVALID). */
  run(signal: AbortSignal): Promise<void>;
  counters(): SolverCounters;
}

/**
 * Reads `plans.<site>.request`, solves, publishes `plans.<site>.ready`.
 *
 * Order:  of the requests that wait, the newest of each site is solved, in log order; the others are superseded and counted.
 * Once:   a plan and the marker {sequence of its request} are stored in one atomic batch, so a request is answered at most once,
 *         however often this stops, and by one of two workers that run at the same time.
 * Failed: a solve is tried three times; then the request is counted, logged under MR_SOLVER_FAILED and left without a plan.
 */
export function createSolverWorker({ log, logger, solver, retryMs = 500 }: SolverWorkerOptions): SolverWorker {
  const counted = { requests: 0, superseded: 0, plans: 0, failed: 0 };

  /** Undefined: nothing to publish. */
  const plan = async (request: LoggedPlanRequest, signal: AbortSignal): Promise<Plan | undefined> => {
    for (let attempt = 1; ; attempt++) {
      try {
        const { milp, routes } = dispatchModel(request);
        return dispatchPlan(request, request.id, routes, await solver.solve(milp));
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!isMillraceError(error, "MR_SOLVER_FAILED")) throw error;
        const fields = { err: error, site: request.site, request: request.id, attempt };
        if (attempt === ATTEMPTS) {
          counted.failed++;
          logger.error(fields, "no plan; the one in force stays");
          return undefined;
        }
        logger.warn(fields, "solving again");
        await pause(retryMs * 2 ** (attempt - 1), signal);
      }
    }
  };

  const answer = async (
    slice: readonly LogMessage[],
    marker: StoredMarker,
    incarnation: string,
    signal: AbortSignal,
  ) => {
    const requests = slice.flatMap((message) => readOrCount(message));
    const newest = newestOfEachSite(requests);
    counted.requests += slice.length;
    counted.superseded += requests.length - newest.length;
    let last = marker;
    for (const { request, sequence } of newest) {
      const result = await plan(request, signal);
      if (signal.aborted) return last;
      if (result === undefined) continue;
      const record = { id: `${incarnation}/${TASK}/0/${sequence}/0`, ...result };
      last = await log.writeBatch({
        stream: STREAM,
        task: TASK,
        messages: [
          { subject: `${STREAM}.${encodeToken(request.site)}.ready`, data: Buffer.from(JSON.stringify(record)) },
        ],
        marker: { sequence, index: 0 },
        expectedAt: last.storedAt,
      });
      counted.plans++;
      const { status, savedLitres, savedRatio01, shortfallT } = result;
      logger.info(
        { site: request.site, reason: request.reason, status, savedLitres, savedRatio01, shortfallT },
        "plan",
      );
    }
    return last;
  };

  const readOrCount = (message: LogMessage): readonly Waiting[] => {
    try {
      return [{ request: readPlanRequest(message.data), sequence: message.sequence }];
    } catch (error) {
      if (!isMillraceError(error, "MR_REQUEST_INVALID")) throw error;
      counted.failed++;
      logger.error({ err: error, subject: message.subject, sequence: message.sequence }, "plan request left aside");
      return [];
    }
  };

  /** From the stored marker on, until the log fails or another worker answers. */
  const follow = async (signal: AbortSignal, onProgress: () => void): Promise<void> => {
    const { incarnation } = await log.info(STREAM);
    let marker = (await log.readMarker(STREAM, TASK)) ?? { sequence: 0, index: 0, storedAt: 0 };
    const reader = await log.read({
      stream: STREAM,
      subjects: [`${STREAM}.*.request`],
      fromSequence: marker.sequence + 1,
    });
    try {
      for (;;) {
        const slice = await nextUnlessAborted(reader, signal);
        if (slice.length === 0) return;
        marker = await answer(slice, marker, incarnation, signal);
        onProgress();
      }
    } finally {
      await reader.close();
    }
  };

  return {
    counters: () => ({ ...counted }),
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          await follow(signal, () => {
            failures = 0;
          });
        } catch (error) {
          // A conflict means another worker answered first: its marker tells where to go on.
          const passes = isMillraceError(error) && (error.disposition === "retry" || error.code === "MR_LOG_CONFLICT");
          if (!passes) throw error;
          if (failures === 0) logger.warn({ err: error }, "plans wait for the log");
          await pause(retryMs * Math.min(30, 2 ** failures++), signal);
        }
      }
    },
  };
}

interface Waiting {
  readonly request: LoggedPlanRequest;
  readonly sequence: number;
}

function newestOfEachSite(requests: readonly Waiting[]): readonly Waiting[] {
  const newest = new Map(requests.map((waiting) => [waiting.request.site, waiting]));
  return [...newest.values()].sort((a, b) => a.sequence - b.sequence);
}

async function nextUnlessAborted(reader: LogReader, signal: AbortSignal): Promise<readonly LogMessage[]> {
  if (signal.aborted) return [];
  // Closing is what ends a waiting `next`: it then resolves with nothing.
  const close = () => void reader.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    return await reader.next(SLICE);
  } finally {
    signal.removeEventListener("abort", close);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
