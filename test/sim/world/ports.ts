import {
  isMillraceError,
  type Layouts,
  type Log,
  type LogMessage,
  type LogReader,
  MillraceError,
  type Objects,
  type Registers,
  type StoredMarker,
} from "../../../src/core/index.js";
import { type Broker, matches, type SimStream, type StoredBody } from "./broker.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

const MESSAGES_MOST = 999;
/** A reader notices late that its stream is another one. */
const NOTICE_MS = 50;

export interface Ports {
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly layouts: Layouts;
}

/** The ports of one process, as `connectLog` gives them, on the simulated broker. */
export function simulatedPorts(process: Process, scheduler: Scheduler, random: Random): Ports {
  const writer = process.name;
  const ask = <T>(what: string, work: (broker: Broker) => T) => process.request(what, work);
  const body = (stream: string, task: string) =>
    ask(`reading the marker of ${task}`, (broker) => broker.stream(stream).markers.get(task));

  const log: Log = {
    ensureStream: (spec) => ask(`creating ${spec.name}`, (broker) => broker.ensureStream(spec)),
    info: (stream) => ask(`asking about ${stream}`, (broker) => broker.info(stream)),
    publish: (message) => ask(`publishing to ${message.subject}`, (broker) => broker.publish(message)),
    async writeBatch({ stream, task, messages, marker, expectedAt }) {
      if (messages.length > MESSAGES_MOST) throw new MillraceError("MR_OPTION_INVALID", "at most 999 messages");
      const stored: StoredBody = { ...marker, writer, storedAt: 0 };
      try {
        const storedAt = await ask(`writing ${messages.length} of ${task}`, (broker) =>
          broker.batch(stream, task, messages, stored, expectedAt),
        );
        return { ...marker, storedAt };
      } catch (error) {
        const isUnsure = isMillraceError(error, "MR_LOG_UNAVAILABLE") || isMillraceError(error, "MR_LOG_CONFLICT");
        if (!isUnsure) throw error;
        const found = await body(stream, task);
        if (found !== undefined && found.storedAt > expectedAt && isSame(found, stored))
          return { ...marker, storedAt: found.storedAt };
        throw error;
      }
    },
    async readMarker(stream, task) {
      const found = await body(stream, task);
      if (found === undefined) return undefined;
      const { writer: _writer, ...marker } = found;
      return marker satisfies StoredMarker;
    },
    last: (stream, subject) =>
      ask(`reading ${subject}`, (broker) => {
        const { archive, first } = broker.stream(stream);
        for (let i = archive.length - 1; i >= first - 1; i--)
          if (matches(subject, archive[i]?.subject ?? "")) return archive[i];
        return undefined;
      }),
    countSubjects: (stream, filter) =>
      ask(`counting ${filter}`, (broker) => {
        const { archive, first } = broker.stream(stream);
        const counts = new Map<string, number>();
        for (const { subject } of archive.slice(first - 1))
          if (matches(filter, subject)) counts.set(subject, (counts.get(subject) ?? 0) + 1);
        return counts;
      }),
    async read(what) {
      const [stream, observer] = await ask(
        `reading ${what.stream}`,
        (broker) => [opened(broker, what), broker.observer] as const,
      );
      observer?.read(writer, what.subjects); // now, for who has given up waiting reads nothing
      return new SimReader({ ...what, source: stream, process, scheduler, random });
    },
    close: async () => undefined,
  };

  const objects: Objects = {
    put: (name, bytes) => {
      const whole = bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
      return ask(`storing ${name}`, (broker) => void broker.objects.set(name, Uint8Array.from(whole)));
    },
    get: (name) => ask(`reading ${name}`, (broker) => broker.objects.get(name)),
    remove: (name) => ask(`removing ${name}`, (broker) => void broker.objects.delete(name)),
    list: (prefix) =>
      ask(`listing ${prefix}`, (broker) => [...broker.objects.keys()].filter((name) => name.startsWith(prefix)).sort()),
  };

  const registers: Registers = {
    get: (key) => ask(`reading register ${key}`, (broker) => broker.getRegister(key)),
    set: (key, value, expected) =>
      ask(`writing register ${key}`, (broker) => broker.setRegister(key, Uint8Array.from(value), expected, writer)),
    remove: (key, expected) => ask(`removing register ${key}`, (broker) => broker.removeRegister(key, expected)),
    list: (prefix) =>
      ask(`listing registers ${prefix}`, (broker) =>
        [...broker.registers.values()]
          .filter(({ key }) => key.startsWith(prefix))
          .sort((a, b) => (a.key < b.key ? -1 : 1)),
      ),
  };
  const layouts: Layouts = {
    relay: ({ name }, partitions) => ask(`filing ${name} anew`, (broker) => broker.relay(name, partitions)),
    renew: (name, partitions) => ask(`emptying ${name}`, (broker) => broker.renew(name, partitions)),
    follow: async () => undefined,
  };
  return { log, objects, registers, layouts };
}

function isSame(stored: StoredBody, ours: StoredBody): boolean {
  const { sequence, index, epoch, writer } = ours;
  return stored.sequence === sequence && stored.index === index && stored.epoch === epoch && stored.writer === writer;
}

function opened(broker: Broker, { stream: name, fromSequence, incarnation }: Parameters<Log["read"]>[0]): SimStream {
  const stream = broker.stream(name);
  if (incarnation !== undefined && incarnation !== stream.incarnation)
    throw new MillraceError("MR_LOG_LOST_DATA", `broker lost acknowledged data: ${name} is now ${stream.incarnation}`);
  if (stream.archive.length < fromSequence - 1)
    throw new MillraceError(
      "MR_LOG_LOST_DATA",
      `broker lost acknowledged data: ${name} ends at ${stream.archive.length}`,
    );
  if (fromSequence > 1 && fromSequence < stream.first)
    throw new MillraceError("MR_LOG_TRUNCATED", `log truncated: ${name} begins at ${stream.first}`);
  return stream;
}

interface ReaderOptions {
  readonly stream: string;
  readonly subjects: readonly string[];
  readonly fromSequence: number;
  readonly source: SimStream;
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly random: Random;
}

interface Waiting {
  readonly most: number;
  resolve(found: readonly LogMessage[]): void;
  reject(error: unknown): void;
}

/** Delivers in order, some at a time, as they come. */
class SimReader implements LogReader {
  readonly #options: ReaderOptions;
  #position: number;
  #isClosed = false;
  #waiting: Waiting | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#position = options.fromSequence;
    options.source.wake.add(this.#look);
  }

  next(most: number): Promise<readonly LogMessage[]> {
    if (this.#waiting !== undefined) throw new Error(`${this.#options.stream}: next() called again before it answered`);
    if (this.#isClosed) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#waiting = { most, resolve, reject };
      this.#look();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.source.wake.delete(this.#look);
    this.#waiting?.resolve([]);
    this.#waiting = undefined;
  }

  #isLooking = false;

  /** Answers a little later: in the meantime more may have come. */
  readonly #look = (): void => {
    if (this.#isLooking || this.#waiting === undefined) return;
    const { source, scheduler, random } = this.#options;
    if (!source.isGone && source.archive.length < this.#position) return;
    this.#isLooking = true;
    scheduler.after(source.isGone ? NOTICE_MS : random.next() * 5, () => {
      this.#isLooking = false;
      this.#options.process.wake(() => this.#answer());
    });
  };

  #answer(): void {
    const { source, subjects, stream, random } = this.#options;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const found: LogMessage[] = [];
    const most = Math.min(waiting.most, random.chance(0.3) ? random.between(1, 3) : 512);
    this.#position = Math.max(this.#position, this.#position === 1 ? source.first : 1);
    while (!source.isGone && found.length < most && this.#position <= source.archive.length) {
      const message = source.archive[this.#position - 1] as LogMessage;
      if (this.#position < source.first) {
        this.#settle().reject(new MillraceError("MR_LOG_TRUNCATED", `log truncated: ${stream} at ${this.#position}`));
        return;
      }
      this.#position++;
      const isWanted = subjects.length === 0 || subjects.some((pattern) => matches(pattern, message.subject));
      if (isWanted && !message.subject.startsWith(`${stream}._at.`)) found.push(message);
    }
    if (found.length > 0) this.#settle().resolve(found);
    else if (source.isGone) {
      const message = `broker lost acknowledged data: ${stream} is another stream now`;
      this.#settle().reject(new MillraceError("MR_LOG_LOST_DATA", message));
    } else this.#look();
  }

  #settle(): Waiting {
    const waiting = this.#waiting as Waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
