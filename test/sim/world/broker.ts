import {
  type LogMessage,
  type Marker,
  MillraceError,
  type NewMessage,
  partitionOf,
  type Register,
  type StreamInfo,
  type StreamSpec,
} from "../../../src/core/index.js";

export interface SimMessage extends LogMessage {
  readonly headers: Readonly<Record<string, string>>;
}

export interface SimStream {
  readonly spec: StreamSpec;
  readonly incarnation: string;
  /** Everything ever stored, index = sequence - 1: what was purged is still here for the judge. */
  readonly archive: SimMessage[];
  /** How many messages it had when this incarnation began: those are the former one's. */
  readonly born: number;
  readonly partitions: number;
  /** Incarnations before its repartitions. */
  readonly renamed: readonly string[];
  /** Set by a repartition. */
  readonly relaidThrough?: number;
  first: number;
  bytes: number;
  readonly markers: Map<string, StoredBody>;
  /** Readers that wait for something new, or for the end of this stream. */
  readonly wake: Set<() => void>;
  isGone: boolean;
}

/** A marker as stored; `writer` tells one connection's from another's. */
export interface StoredBody extends Marker {
  readonly writer: string;
  readonly storedAt: number;
}

/** Told of what was accepted, at the moment it was. */
export interface BrokerObserver {
  batch(stream: string, task: string, marker: StoredBody, messages: readonly NewMessage[]): void;
  register(key: string, value: Uint8Array, writer: string): void;
  read(reader: string, subjects: readonly string[]): void;
}

const OVERHEAD_BYTES = 50;
/** `in.<stream>.<group>.<kind>` is filed by its two last tokens, as by the transform of a real stream. */
const UNFILED = "in.";

/** The broker: what it has stored, changed in no time by one request at a time. Network and failures are the callers'. */
export class Broker {
  streams = new Map<string, SimStream>();
  registers = new Map<string, Register>();
  objects = new Map<string, Uint8Array>();
  /** Streams that were deleted, for the judge. */
  readonly former: SimStream[] = [];
  isUp = true;
  /** Requests that have been sent and have not arrived, some of them after their sender gave up. */
  underWay = 0;
  /** How often everything was destroyed: what was sent to the server before is not heard by the one after. */
  wipes = 0;
  observer: BrokerObserver | undefined;
  /** Of the streams it makes. */
  partitions = 1;
  #revision = 0;
  #created = 0;

  ensureStream(spec: StreamSpec): StreamInfo {
    const found = this.streams.get(spec.name);
    if (found !== undefined) {
      if (JSON.stringify(found.spec.subjects) !== JSON.stringify(spec.subjects))
        throw new MillraceError("MR_STREAM_MISMATCH", `stream ${spec.name} exists with other subjects`);
      Object.assign(found.spec, { maxBytes: spec.maxBytes });
      return this.info(spec.name);
    }
    const incarnation = `i${++this.#created}`;
    const markers = new Map<string, StoredBody>();
    this.streams.set(spec.name, {
      spec: { ...spec },
      incarnation,
      archive: [],
      born: 0,
      partitions: this.partitions,
      renamed: [],
      first: 1,
      bytes: 0,
      markers,
      wake: new Set(),
      isGone: false,
    });
    return this.info(spec.name);
  }

  /** Everything is gone; the streams are made again, empty. */
  wipe(): void {
    this.wipes++;
    for (const name of [...this.streams.keys()]) this.recreate(name);
    this.registers.clear();
    this.objects.clear();
  }

  /** Deletes the stream and makes it again: empty, another incarnation. */
  recreate(name: string): void {
    const stream = this.stream(name);
    this.former.push(stream);
    stream.isGone = true;
    this.streams.delete(name);
    this.ensureStream(stream.spec);
    wakeAll(stream);
  }

  /** What comes from now on is filed by another number of partitions; what is there is its readers' to file. */
  relay(name: string, partitions: number): void {
    const { archive } = this.stream(name);
    this.#rename(name, { partitions, relaidThrough: archive.length });
  }

  /** Empties the stream; sequences go on. */
  renew(name: string, partitions: number): void {
    const { length } = this.stream(name).archive;
    this.#rename(name, { partitions, born: length, first: length + 1, bytes: 0, markers: new Map() });
  }

  #rename(name: string, otherwise: Partial<SimStream>): void {
    const former = this.stream(name);
    const { archive } = former;
    const incarnation = `i${++this.#created}`;
    const renamed = [...former.renamed, former.incarnation];
    this.streams.set(name, {
      ...former,
      renamed,
      archive: archive.slice(),
      incarnation,
      wake: new Set(),
      ...otherwise,
    });
    this.former.push(former);
    former.isGone = true;
    wakeAll(former);
  }

  stream(name: string): SimStream {
    const stream = this.streams.get(name);
    if (stream === undefined) throw new MillraceError("MR_LOG_UNAVAILABLE", `there is no stream ${name}`);
    return stream;
  }

  info(name: string): StreamInfo {
    const { incarnation, first, archive, bytes, partitions, relaidThrough = 0, renamed } = this.stream(name);
    const messages = archive.length - first + 1;
    const layout = renamed.length === 0 ? {} : { partitions, relaidThrough, former: renamed };
    return { name, incarnation, firstSequence: first, lastSequence: archive.length, messages, bytes, ...layout };
  }

  publish(sent: NewMessage): number {
    const message = { ...sent, subject: this.#filed(sent.subject) };
    const stream = [...this.streams.values()].find(({ spec }) =>
      spec.subjects.some((pattern) => matches(pattern, message.subject)),
    );
    if (stream === undefined) throw new MillraceError("MR_LOG_UNAVAILABLE", `no stream takes ${message.subject}`);
    this.#checkRoom(stream, [message]);
    const sequence = append(stream, message);
    wakeAll(stream);
    return sequence;
  }

  /** The whole batch or nothing. */
  batch(name: string, task: string, messages: readonly NewMessage[], marker: StoredBody, expectedAt: number): number {
    const stream = this.stream(name);
    if ((stream.markers.get(task)?.storedAt ?? 0) !== expectedAt)
      throw new MillraceError("MR_LOG_CONFLICT", `the marker of ${task} in ${name} is no longer at ${expectedAt}`);
    const isCarried = messages.length === 1 && messages[0]?.pack === true;
    const bare = { subject: markerSubject(name, task), data: Buffer.from(JSON.stringify(marker)) };
    const whole = isCarried ? messages : [...messages, bare];
    this.#checkRoom(stream, whole);
    for (const message of whole) append(stream, message);
    const storedAt = stream.archive.length;
    stream.markers.set(task, { ...marker, storedAt });
    wakeAll(stream);
    this.observer?.batch(name, task, marker, messages);
    return storedAt;
  }

  purge(name: string, through: number): void {
    const stream = this.stream(name);
    for (; stream.first <= through; stream.first++) {
      stream.bytes -= sizeOf(stream.archive[stream.first - 1] as SimMessage);
    }
  }

  getRegister(key: string): Register | undefined {
    return this.registers.get(key);
  }

  setRegister(key: string, value: Uint8Array, expected: number, writer: string): number | undefined {
    if ((this.registers.get(key)?.revision ?? 0) !== expected) return undefined;
    this.observer?.register(key, value, writer);
    this.registers.set(key, { key, value, revision: ++this.#revision });
    return this.#revision;
  }

  removeRegister(key: string, expected: number): boolean {
    if ((this.registers.get(key)?.revision ?? 0) !== expected) return false;
    this.#revision++;
    return this.registers.delete(key);
  }

  #filed(subject: string): string {
    const [, name = "", ...tokens] = subject.split(".");
    if (!subject.startsWith(UNFILED) || !this.streams.has(name)) return subject;
    return `${name}.${partitionOf(tokens, this.stream(name).partitions)}.${tokens.join(".")}`;
  }

  #checkRoom({ spec, bytes }: SimStream, messages: readonly NewMessage[]): void {
    const more = messages.reduce((sum, message) => sum + sizeOf(message), 0);
    if (bytes + more > spec.maxBytes) throw new MillraceError("MR_LOG_FULL", `stream ${spec.name} is full`);
  }
}

export function markerSubject(stream: string, task: string): string {
  return `${stream}._at.${task.replaceAll(".", "%2E").replaceAll("/", ".")}`;
}

function append(stream: SimStream, { subject, data, headers = {} }: NewMessage): number {
  const sequence = stream.archive.length + 1;
  stream.archive.push({ sequence, subject, data, headers, header: (name) => headers[name] });
  stream.bytes += sizeOf({ subject, data });
  return sequence;
}

function sizeOf({ subject, data }: { subject: string; data: Uint8Array }): number {
  return subject.length + data.length + OVERHEAD_BYTES;
}

function wakeAll({ wake }: SimStream): void {
  for (const call of [...wake]) call();
}

/** NATS subject matching: `*` one token, `>` the rest. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern.endsWith(".>") && !pattern.includes("*")) return subject.startsWith(pattern.slice(0, -1));
  const want = pattern.split(".");
  const have = subject.split(".");
  for (const [i, token] of want.entries()) {
    if (token === ">") return have.length > i;
    if (have[i] === undefined || (token !== "*" && token !== have[i])) return false;
  }
  return want.length === have.length;
}
