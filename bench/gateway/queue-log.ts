import type { Log, LogMessage, LogReader } from "../../src/core/index.js";

/** A log that is only its newest messages, in memory: what a gateway costs, without what a log costs. */
export interface QueueLog {
  readonly log: Log;
  append(subject: string, data: Uint8Array): void;
}

/** More than is offered while the process is held up. */
const KEPT = 8_192;

export function queueLog(): QueueLog {
  const messages: LogMessage[] = [];
  let last = 0;
  /** By the first token of what they read: a log wakes nobody for a message of somebody else's. */
  const readers = new Map<string, Set<(message: LogMessage) => void>>();
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
    const first = firstToken(subjects[0] ?? "");
    let unread = messages.filter(({ sequence, subject }) => sequence >= fromSequence && firstToken(subject) === first);
    let wake: ((found: readonly LogMessage[]) => void) | undefined;
    const take = (message: LogMessage) => {
      if (!wake) unread.push(message);
      else {
        wake([message]);
        wake = undefined;
      }
    };
    const mine = readers.get(first) ?? new Set();
    readers.set(first, mine.add(take));
    const reader: LogReader = {
      next(maxMessages) {
        if (unread.length === 0) return new Promise((resolve) => (wake = resolve));
        const found = unread.slice(0, maxMessages);
        unread = unread.slice(maxMessages);
        return Promise.resolve(found);
      },
      async close() {
        mine.delete(take);
        wake?.([]);
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
    append(subject, data) {
      const message = { sequence: ++last, subject, data, header: () => undefined };
      messages.push(message);
      if (messages.length > 2 * KEPT) messages.splice(0, messages.length - KEPT);
      for (const take of readers.get(firstToken(subject)) ?? []) take(message);
    },
  };
}

function firstToken(subject: string): string {
  return subject.slice(0, subject.indexOf("."));
}
