import { setTimeout as delay } from "node:timers/promises";
import { encodeToken, isMillraceError, type NewMessage } from "../../src/core/index.js";
import type { Connection } from "../../src/streams/index.js";
import { type InputStep, tickBody } from "./input.js";
import { PARTITIONS, SITE } from "./topologies.js";

/** Publishes that wait for their acknowledgement at once. */
const WINDOW = 64;
const RETRY_MS = 100;

/** The input on its way into the log. */
export interface Feed {
  /** Events acknowledged, and those sent and not acknowledged. */
  readonly acknowledged: number;
  readonly outstanding: number;
  readonly total: number;
  /** Sequences of the acknowledged events of the stream `telemetry`, ascending enough to count with. */
  readonly sequences: readonly number[];
  /** Resolves when everything, ticks included, is in the log. */
  readonly done: Promise<void>;
}

/**
 * Sends the steps at `perSecond` events, each until it is acknowledged, as a door's client would: an answer that was lost makes a
 * duplicate. A tick follows when its step is in the log. The signal ends it early.
 */
export function feed({ log }: Connection, steps: readonly InputStep[], perSecond: number, signal?: AbortSignal): Feed {
  const state = { acknowledged: 0, outstanding: 0, total: 0, sequences: [] as number[] };
  state.total = steps.reduce((sum, { events }) => sum + events.length, 0);
  const startedMs = performance.now();
  let sent = 0;
  const run = async (): Promise<void> => {
    for (const { events, t } of steps) {
      const queue = [...events];
      const lane = async (): Promise<void> => {
        for (let event = queue.pop(); event !== undefined; event = queue.pop()) {
          const dueMs = startedMs + (1_000 * sent++) / perSecond;
          if (dueMs > performance.now()) await delay(dueMs - performance.now());
          const { id, unit, ts, v } = event;
          const subject = `in.telemetry.${SITE}.${encodeToken(unit)}.g`;
          state.outstanding++;
          state.sequences.push(await send({ subject, data: Buffer.from(JSON.stringify({ id, unit, ts, v })) }));
          state.outstanding--;
          state.acknowledged++;
        }
      };
      await Promise.all(Array.from({ length: WINDOW }, lane));
      await announce(t);
    }
  };
  const send = (message: NewMessage): Promise<number> => insisting(() => log.publish(message));
  const insisting = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isMillraceError(error) || error.disposition !== "retry" || signal?.aborted) throw error;
        await delay(RETRY_MS);
      }
    }
  };
  const announce = async (t: number): Promise<void> => {
    const { partitions = PARTITIONS } = await insisting(() => log.info("telemetry"));
    const ticks = Array.from({ length: partitions }, (_, p) => `telemetry.${p}._tick.kill`);
    await Promise.all(ticks.map((subject) => send({ subject, data: tickBody(t) })));
  };
  return Object.assign(state, { done: run() });
}
