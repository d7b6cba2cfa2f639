import type { Log, LogMessage, LogReader } from "../../src/core/index.js";

/** A log that is only its newest messages, in memory: what a gateway costs, without what a log costs. */
export interface QueueLog {
  readonly log: Log;
  append(subject: string, text: string): void;
}

/** More than is offered while the process is held up. */
const KEPT = 8_192;

export function queueLog(): QueueLog {
  const messages: LogMessage[] = [];
  let last = 0;
  const waiting = new Set<() => void>();
  const unused = () => Promise.reject(new Error("not needed here"));
  const info = async (name: string) => ({
    name,
    incarnation: "bench",
    firstSequence: messages[0]?.sequence ?? last + 1,
    lastSequence: last,
    messages: messages.length,
    bytes: 0,
  });
  const read: Log["read"] = async ({ subjects, fromSequence }) => {
    const [first = ""] = subjects[0]?.split(".") ?? [];
    let position = fromSequence;
    let closed = false;
    let wake: (() => void) | undefined;
    const reader: LogReader = {
      async next(maxMessages) {
        for (;;) {
          if (closed) return [];
          const start = Math.max(0, position - (messages[0]?.sequence ?? last + 1));
          const found = messages
            .slice(start, start + maxMessages)
            .filter(({ sequence, subject }) => sequence >= position && subject.startsWith(`${first}.`));
          if (found.length > 0) {
            position = (found.at(-1) as LogMessage).sequence + 1;
            return found;
          }
          await new Promise<void>((resolve) => {
            wake = () => {
              waiting.delete(resolve);
              resolve();
            };
            waiting.add(resolve);
          });
        }
      },
      async close() {
        closed = true;
        wake?.();
      },
    };
    return reader;
  };
  const log: Log = {
    ensureStream: ({ name }) => info(name),
    info,
    read,
    publish: async () => 0,
    writeBatch: unused,
    readMarker: async () => undefined,
    last: async () => undefined,
    countSubjects: async () => new Map(),
    close: async () => {},
  };
  return {
    log,
    append(subject, text) {
      messages.push({ sequence: ++last, subject, data: Buffer.from(text), header: () => undefined });
      if (messages.length > 2 * KEPT) messages.splice(0, messages.length - KEPT);
      const wakers = [...waiting];
      waiting.clear();
      for (const wake of wakers) wake();
    },
  };
}
