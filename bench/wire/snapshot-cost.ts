import { setTimeout as sleep } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { pino } from "pino";
import { serveThread } from "../../src/cli/up/thread.js";
import { type Lease, systemClock } from "../../src/core/index.js";
import { Task } from "../../src/runtime/index.js";
import { connectLog } from "../../src/streams/index.js";
import { manyKeys } from "./many-keys.js";

/** A thread as tasks have it, in which one reads the log to find what its snapshots cost. */
export interface CostThreadData {
  readonly natsUrl: string;
  readonly keys: number;
  /** How far to read. */
  readonly lastSequence: number;
}

/** Of the log: its events, and what the process took of the processor for them. */
export interface Stretch {
  readonly events: number;
  readonly processorS: number;
}

/** Events of a stretch; one with a snapshot is longer where that takes longer. */
const STRETCH = 2_500_000;

const { natsUrl, keys, lastSequence } = workerData as CostThreadData;

/**
 * Reads the log once, in stretches without and with a snapshot in turn.
 * @returns the stretches in their order, the first and every second one without
 */
async function read(name: string): Promise<readonly Stretch[]> {
  const connection = await connectLog({ url: natsUrl, name: "bench-cost" });
  let isWanted = false;
  const objects = {
    ...connection.objects,
    put(object: string, bytes: Uint8Array | readonly Uint8Array[]) {
      isWanted = false; // it is made: one is enough
      return connection.objects.put(object, bytes);
    },
  };
  const task = new Task({
    ...{ ...connection, objects, pipeline: manyKeys(name), partition: 0, partitions: 1, clock: systemClock },
    inference: { run: () => Promise.reject(new Error("none")) },
    logger: pino({ level: "silent" }),
    snapshotEvery: {
      messages: 1,
      get busyMs() {
        return isWanted ? 0 : Number.POSITIVE_INFINITY;
      },
      quietMs: Number.POSITIVE_INFINITY,
    },
  });
  const lease: Lease = {
    name,
    holder: "",
    epoch: 1,
    lost: new AbortController().signal,
    release: async () => undefined,
  };
  const stop = new AbortController();
  const running = task.run(lease, stop.signal);
  /** False when the log ended before. */
  const until = async (isSo: () => boolean): Promise<boolean> => {
    while (task.status().position < lastSequence) {
      if (isSo()) return true;
      await sleep(5);
    }
    return false;
  };
  const place = (): Stretch => {
    const { user, system } = process.cpuUsage();
    return { events: task.status().counters.received, processorS: (user + system) / 1e6 };
  };
  const stretch = async (withSnapshot: boolean): Promise<Stretch | undefined> => {
    const { snapshotAt } = task.status();
    const from = place();
    isWanted = withSnapshot;
    const isLong = () => task.status().counters.received - from.events >= STRETCH;
    const isSaved = () => task.status().snapshotAt > snapshotAt;
    if (!(await until(() => isLong() && isSaved() === withSnapshot))) return undefined;
    const to = place();
    return { events: to.events - from.events, processorS: to.processorS - from.processorS };
  };
  const stretches: Stretch[] = [];
  // At first every key is new, and the first snapshot sorts them.
  if (await until(() => task.status().counters.received > 2 * keys)) await stretch(true);
  for (let one = await stretch(false); one !== undefined; one = await stretch(stretches.length % 2 === 1))
    stretches.push(one);
  stop.abort();
  await running;
  await connection.close();
  return stretches;
}

await serveThread(async () => ({ status: () => undefined, handlers: { read }, stop: async () => undefined }));
