import { randomBytes } from "node:crypto";
import {
  type Log,
  type LogMessage,
  type LogReader,
  MillraceError,
  type NewMessage,
  type StoredMarker,
  type StreamInfo,
  type StreamSpec,
} from "../../src/core/index.js";

/**
 * The log port in memory, for tests of what stands on it: same numbering, same markers, same errors as `connectLog`. Time passes only
 * between a publish and the reader's promise. `subject_transform` and size limits are left out.
 */
export interface MemoryLog extends Log {
  /** Everything up to and including `sequence` is forgotten, as by a retention limit. */
  truncate(stream: string, sequence: number): void;
  /** The stream is deleted and made again: empty, with another incarnation. Its readers fail. */
  replace(stream: string): void;
  /** While true, everything but `publish` rejects with MR_LOG_UNAVAILABLE, and open readers deliver nothing. */
  down: boolean;
  readonly openReaders: number;
}

interface Stream {
  incarnation: string;
  spec: StreamSpec;
  messages: LogMessage[];
  last: number;
  readonly wake: Set<() => void>;
}

export function memoryLog(incarnation: () => string = () => randomBytes(8).toString("hex")): MemoryLog {
  const streams = new Map<string, Stream>();
  let down = false;
  let openReaders = 0;

  const find = (name: string): Stream => {
    if (down) throw new MillraceError("MR_LOG_UNAVAILABLE", "the log is away");
    const stream = streams.get(name);
    if (!stream) throw new MillraceError("MR_LOG_UNAVAILABLE", `no stream ${name}`);
    return stream;
  };
  const info = (stream: Stream): StreamInfo => ({
    name: stream.spec.name,
    incarnation: stream.incarnation,
    firstSequence: stream.messages[0]?.sequence ?? stream.last + 1,
    lastSequence: stream.last,
    messages: stream.messages.length,
    bytes: stream.messages.reduce((sum, { data }) => sum + data.byteLength, 0),
  });
  const append = (stream: Stream, { subject, data, headers = {} }: NewMessage): number => {
    const sequence = ++stream.last;
    const values = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    stream.messages.push({ sequence, subject, data, header: (name) => values.get(name.toLowerCase()) });
    return sequence;
  };
  const wake = (stream: Stream) => {
    for (const call of [...stream.wake]) call();
  };
  const readMarker = (name: string, task: string): StoredMarker | undefined => {
    const message = find(name).messages.findLast(({ subject }) => subject === `${name}._at.${task}`);
    return message && { ...JSON.parse(Buffer.from(message.data).toString()), storedAt: message.sequence };
  };

  return {
    async ensureStream(spec) {
      if (down) throw new MillraceError("MR_LOG_UNAVAILABLE", "the log is away");
      const stream = streams.get(spec.name) ?? {
        incarnation: incarnation(),
        spec,
        messages: [],
        last: 0,
        wake: new Set(),
      };
      streams.set(spec.name, stream);
      return info(stream);
    },
    info: async (name) => info(find(name)),
    async read({ stream: name, subjects, fromSequence }) {
      const stream = find(name);
      const state = info(stream);
      if (fromSequence > 1 && fromSequence < state.firstSequence) {
        throw new MillraceError(
          "MR_LOG_TRUNCATED",
          `reading ${name} from ${fromSequence}: begins at ${state.firstSequence}`,
        );
      }
      if (fromSequence > state.lastSequence + 1)
        throw new MillraceError("MR_LOG_LOST_DATA", `reading ${name} from ${fromSequence}`);
      openReaders++;
      return reader(stream, name, subjects, fromSequence, {
        isDown: () => down,
        closed: () => openReaders--,
      });
    },
    async publish(message) {
      const stream = [...streams.values()].find(({ spec }) =>
        spec.subjects.some((pattern) => matches(pattern, message.subject)),
      );
      if (!stream) throw new MillraceError("MR_LOG_UNAVAILABLE", `no stream takes ${message.subject}`);
      const sequence = append(stream, message);
      wake(stream);
      return sequence;
    },
    async writeBatch({ stream: name, task, messages, marker, expectedAt }) {
      const stream = find(name);
      if ((readMarker(name, task)?.storedAt ?? 0) !== expectedAt) {
        throw new MillraceError("MR_LOG_CONFLICT", `marker of ${task} in ${name} is not at ${expectedAt}`);
      }
      for (const message of messages) append(stream, message);
      const storedAt = append(stream, { subject: `${name}._at.${task}`, data: Buffer.from(JSON.stringify(marker)) });
      wake(stream);
      return { ...marker, storedAt };
    },
    readMarker: async (stream, task) => readMarker(stream, task),
    last: async (name, pattern) => find(name).messages.findLast(({ subject }) => matches(pattern, subject)),
    async countSubjects(name, filter) {
      const counts = new Map<string, number>();
      for (const { subject } of find(name).messages) {
        if (matches(filter, subject)) counts.set(subject, (counts.get(subject) ?? 0) + 1);
      }
      return counts;
    },
    async close() {},
    truncate(name, sequence) {
      const stream = find(name);
      stream.messages = stream.messages.filter((message) => message.sequence > sequence);
    },
    replace(name) {
      const stream = find(name);
      stream.incarnation = incarnation();
      stream.messages = [];
      stream.last = 0;
      wake(stream);
    },
    get down() {
      return down;
    },
    set down(value) {
      down = value;
      for (const stream of streams.values()) wake(stream);
    },
    get openReaders() {
      return openReaders;
    },
  };
}

function reader(
  stream: Stream,
  name: string,
  subjects: readonly string[],
  fromSequence: number,
  outside: { isDown(): boolean; closed(): void },
): LogReader {
  const { incarnation } = stream;
  let position = fromSequence;
  let closed = false;
  return {
    async next(maxMessages) {
      for (;;) {
        if (closed) return [];
        if (stream.incarnation !== incarnation)
          throw new MillraceError("MR_LOG_LOST_DATA", `${name} is another stream now`);
        const isWanted = ({ sequence, subject }: LogMessage) =>
          sequence >= position &&
          !subject.startsWith(`${name}._at.`) &&
          subjects.some((pattern) => matches(pattern, subject));
        const found = outside.isDown() ? [] : stream.messages.filter(isWanted).slice(0, maxMessages);
        position = (found.at(-1)?.sequence ?? position - 1) + 1;
        if (found.length > 0) return found;
        await new Promise<void>((resolve) => {
          const call = () => {
            stream.wake.delete(call);
            resolve();
          };
          stream.wake.add(call);
        });
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      outside.closed();
      for (const call of [...stream.wake]) call();
    },
  };
}

/** NATS subject matching: `*` one token, `>` the rest. */
function matches(pattern: string, subject: string): boolean {
  const want = pattern.split(".");
  const have = subject.split(".");
  for (const [i, token] of want.entries()) {
    if (token === ">") return have.length > i;
    if (have[i] === undefined || (token !== "*" && token !== have[i])) return false;
  }
  return want.length === have.length;
}
