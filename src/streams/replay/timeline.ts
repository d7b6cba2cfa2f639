import type { Clock } from "../../core/index.js";
import type { SampleRecord } from "./records.js";
import type { Ticks } from "./ticks.js";

const IN_FLIGHT_MOST = 64;
const RETRY_MS = 500;

/** One way into a door. */
export interface Sender {
  /** Records of one key are delivered one at a time. */
  keyOf(record: SampleRecord): string;
  /** Resolves when the log has the record, or the run is aborted. Rejects with what trying again would not change. */
  send(record: SampleRecord): Promise<void>;
  close(): Promise<void>;
}

export interface TimelineOptions {
  readonly records: AsyncIterable<SampleRecord>;
  readonly sender: Sender;
  readonly ticks: Ticks;
  /** Sample time between two ticks, ms. */
  readonly tickEveryMs: number;
  /** The t of the newest tick that every partition has. */
  readonly fromMs: number;
  /** The last record's time: where the source retires. */
  readonly endMs: number;
  /** When a record is due, by the clock; undefined: as fast as the log takes them. */
  readonly dueMs: ((atMs: number) => number) | undefined;
  readonly clock: Clock;
  /** Called when the log has a record. */
  readonly delivered: (record: SampleRecord) => void;
}

/**
 * Plays one stream's records in their order, up to 64 at a time and one of each key, and tells the time between them. A tick is a
 * barrier: it is published when the log has every earlier record and before any later one is sent, so what has happened by a
 * tick is the same in every run, and a crash costs nothing but repeats of what follows the last tick.
 *
 * Resolves with true at the end, after the source has retired; with false when the signal aborted before.
 */
export async function playTimeline(options: TimelineOptions, signal: AbortSignal): Promise<boolean> {
  const { records, ticks, tickEveryMs, endMs, dueMs, clock } = options;
  const flight = startFlight(options, signal);
  let told = options.fromMs;
  for await (const record of records) {
    const waitMs = dueMs === undefined ? 0 : dueMs(record.atMs) - clock.nowMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    const t = (Math.ceil(record.atMs / tickEveryMs) - 1) * tickEveryMs; // the last of the grid before the record
    if (t > told) {
      await flight.landed();
      await tell(t, false);
      told = t;
    }
    if (signal.aborted) break;
    await flight.add(record);
  }
  await flight.landed();
  await tell(endMs, true);
  return !signal.aborted;

  async function tell(t: number, retire: boolean): Promise<void> {
    while (!signal.aborted) {
      try {
        await ticks.publish(t, retire);
        return;
      } catch {
        await clock.sleep(RETRY_MS, signal); // full or away: nothing can be sent either, and a tick twice does no harm
      }
    }
  }
}

/** Records on their way. The first failure is thrown by the next call. */
function startFlight({ sender, delivered }: TimelineOptions, signal: AbortSignal) {
  const flying = new Set<Promise<void>>();
  const lastOfKey = new Map<string, Promise<void>>();
  const failures: unknown[] = [];

  async function fly(record: SampleRecord, before: Promise<void> | undefined): Promise<void> {
    await before;
    if (failures.length > 0 || signal.aborted) return;
    try {
      await sender.send(record);
      if (!signal.aborted) delivered(record);
    } catch (error) {
      failures.push(error);
    }
  }
  function check(): void {
    if (failures.length > 0) throw failures[0];
  }
  return {
    async add(record: SampleRecord): Promise<void> {
      while (flying.size >= IN_FLIGHT_MOST) await Promise.race(flying);
      check();
      const key = sender.keyOf(record);
      const flight = fly(record, lastOfKey.get(key)).finally(() => {
        flying.delete(flight);
        if (lastOfKey.get(key) === flight) lastOfKey.delete(key);
      });
      flying.add(flight);
      lastOfKey.set(key, flight);
    },
    async landed(): Promise<void> {
      while (flying.size > 0) await Promise.all(flying);
      check();
    },
  };
}
