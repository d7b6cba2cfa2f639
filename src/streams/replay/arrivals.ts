import type { Log, LogReader } from "../../core/index.js";

/** A message that does not show in the log within this time is sent again: the first operator drops the repeat if both arrive. */
const AGAIN_MS = 60_000;

/** Sees what the telemetry stream takes from now on. */
export interface Arrivals {
  /** Calls `send` and resolves once the bytes are in the log, or the run is aborted. Rejects when the log cannot be read. */
  until(payload: Buffer, send: () => void): Promise<void>;
  close(): Promise<void>;
}

interface Expected {
  resolve(): void;
  reject(error: unknown): void;
}

/** Equal bytes are told apart by their number alone: a repeat is waited for like its original. O(1) a message. */
export async function watchArrivals(log: Log, signal: AbortSignal): Promise<Arrivals> {
  const { lastSequence } = await log.info("telemetry");
  const reader = await log.read({
    stream: "telemetry",
    subjects: ["telemetry.*.*.*.*"],
    fromSequence: lastSequence + 1,
  });
  const expected = new Map<string, Expected[]>();
  let failure: unknown;
  const endAll = (end: (each: Expected) => void) => {
    for (const each of [...expected.values()].flat()) end(each);
    expected.clear();
  };
  const reading = readOn(reader, expected).catch((error: unknown) => {
    failure = error;
    endAll((each) => each.reject(error));
  });
  const abort = () => endAll((each) => each.resolve());
  signal.addEventListener("abort", abort, { once: true });
  return {
    async until(payload, send) {
      if (failure !== undefined) throw failure;
      if (signal.aborted) return;
      let again: NodeJS.Timeout | undefined;
      try {
        await new Promise<void>((resolve, reject) => {
          expect(expected, keyOf(payload), { resolve, reject });
          again = setInterval(send, AGAIN_MS);
          send();
        });
      } finally {
        clearInterval(again);
      }
    },
    async close() {
      signal.removeEventListener("abort", abort);
      await reader.close();
      await reading;
    },
  };
}

function expect(expected: Map<string, Expected[]>, key: string, each: Expected): void {
  const list = expected.get(key);
  if (list === undefined) expected.set(key, [each]);
  else list.push(each);
}

async function readOn(reader: LogReader, expected: Map<string, Expected[]>): Promise<void> {
  for (;;) {
    const messages = await reader.next(1_000);
    if (messages.length === 0) return;
    for (const { data } of messages) {
      const key = keyOf(data);
      const list = expected.get(key);
      list?.shift()?.resolve();
      if (list?.length === 0) expected.delete(key);
    }
  }
}

function keyOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
}
