import { type Log, type LogMessage, MillraceError } from "../../../src/core/index.js";

/** One stream in memory, read as from the server: gaps in the sequence are skipped, a start below the first message is refused. */
export interface MemoryLog extends Log {
  append(subject: string, ...records: unknown[]): number;
  /** Makes the next `times` reads fail, and ends the open reader. */
  interrupt(times: number): void;
  purgeBelow(sequence: number): void;
}

export function memoryLog(stream: string, incarnation: string): MemoryLog {
  let messages: LogMessage[] = [];
  let last = 0;
  let first = 1;
  let failures = 0;
  let cut = 0;
  let wake: (() => void) | undefined;
  const no = () => Promise.reject(new Error("not in this log"));

  return {
    append(subject, ...records) {
      last += 1;
      const data = new TextEncoder().encode(
        records.map((record) => (typeof record === "string" ? record : JSON.stringify(record))).join("\n"),
      );
      messages.push({ sequence: last, subject, data, header: () => undefined });
      wake?.();
      return last;
    },
    interrupt(times) {
      failures = times;
      cut += 1;
      wake?.();
    },
    purgeBelow(sequence) {
      first = sequence;
      messages = messages.filter((message) => message.sequence >= sequence);
    },
    info: async () => ({
      name: stream,
      incarnation,
      firstSequence: first,
      lastSequence: last,
      messages: messages.length,
      bytes: 0,
    }),
    async read({ fromSequence }) {
      if (failures > 0) {
        failures -= 1;
        throw new MillraceError("MR_LOG_UNAVAILABLE", "reading a log that was interrupted");
      }
      if (fromSequence < first)
        throw new MillraceError("MR_LOG_TRUNCATED", `messages ${fromSequence} to ${first - 1} are gone`);
      let at = fromSequence;
      let closed = false;
      const cutAtOpen = cut;
      return {
        async next(maxMessages) {
          for (;;) {
            if (closed) return [];
            if (cut > cutAtOpen) throw new MillraceError("MR_LOG_UNAVAILABLE", "the connection broke");
            // Sequences have no gaps here until something is purged.
            const found = messages.slice(Math.max(0, at - first), Math.max(0, at - first) + maxMessages);
            if (found.length > 0) {
              at = (found.at(-1)?.sequence ?? at) + 1;
              return found;
            }
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        },
        async close() {
          closed = true;
          wake?.();
        },
      };
    },
    ensureStream: no,
    publish: no,
    writeBatch: no,
    readMarker: no,
    last: no,
    countSubjects: no,
    close: async () => undefined,
  };
}
