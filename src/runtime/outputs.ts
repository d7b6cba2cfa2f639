import type { Log, Mark, Marker, NewMessage, Output, StoredMarker } from "../core/index.js";

/** One atomic batch holds at most 1,000 messages, the marker among them. */
const BATCH_MESSAGES = 999;
/** Keeps a batch well under the server's memory for open batches. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** NDJSON packs stay small enough to be read, shown and re-sent as one. */
const PACK_BYTES = 256 * 1024;

/** Streams that somebody waits for: their outputs leave with the slice that made them. */
const URGENT: ReadonlySet<string> = new Set(["alerts", "plans"]);

const NEWLINE = Buffer.from("\n");

interface Pending {
  readonly subject: string;
  readonly pack: boolean;
  readonly data: Buffer;
  readonly sequence: number;
  readonly index: number;
}

/**
 * Writes a task's outputs to their streams, each exactly once.
 *
 * Every output has the identity (input sequence, index). Each stream holds the task's marker: the identity of the last output
 * stored. What is at or before the marker was written before a restart and is left out; the rest goes out in atomic batches
 * whose last message moves the marker, so outputs and progress are stored together or not at all.
 */
export class OutputWriter {
  readonly #log: Log;
  readonly #task: string;
  readonly #prefix: string;
  readonly #markers = new Map<string, StoredMarker>();
  readonly #pending = new Map<string, Pending[]>();
  #sequence = 0;
  #index = 0;

  /** `prefix` begins every output id: `incarnation/pipeline/partition`. */
  private constructor(log: Log, task: string, prefix: string) {
    this.#log = log;
    this.#task = task;
    this.#prefix = prefix;
  }

  /** Reads the task's marker in each of `streams`. */
  static async open(log: Log, task: string, prefix: string, streams: readonly string[]): Promise<OutputWriter> {
    const writer = new OutputWriter(log, task, prefix);
    for (const stream of streams) {
      const marker = await log.readMarker(stream, task);
      writer.#markers.set(stream, marker ?? { sequence: 0, index: 0, storedAt: 0 });
      writer.#pending.set(stream, []);
    }
    return writer;
  }

  /** Begins the outputs of the input message at `sequence`. */
  begin(sequence: number): void {
    this.#sequence = sequence;
    this.#index = 0;
  }

  add(output: Output): void {
    const index = ++this.#index;
    const marker = this.#markers.get(output.stream);
    const pending = this.#pending.get(output.stream);
    if (!marker || !pending) throw new Error(`${this.#task} writes to ${output.stream}, which it does not declare`);
    if (reached(marker, this.#sequence, index)) return;
    const { subject, pack = false } = output;
    const id = `${this.#prefix}/${this.#sequence}/${index}`;
    pending.push({
      subject,
      pack,
      data: Buffer.from(encodeOutput(output.record, id)),
      sequence: this.#sequence,
      index,
    });
  }

  /** Outputs added and not yet written. */
  get pending(): number {
    let count = 0;
    for (const outputs of this.#pending.values()) count += outputs.length;
    return count;
  }

  /** Resolves once everything added is in the log. */
  async flush(): Promise<void> {
    await Promise.all([...this.#pending].map(([stream, pending]) => this.#flushStream(stream, pending)));
  }

  /** Like `flush`, for alerts and plans only. */
  async flushUrgent(): Promise<void> {
    const urgent = [...this.#pending].filter(([stream]) => URGENT.has(stream));
    await Promise.all(urgent.map(([stream, pending]) => this.#flushStream(stream, pending)));
  }

  async #flushStream(stream: string, pending: Pending[]): Promise<void> {
    let from = 0;
    while (from < pending.length) {
      const { messages, to } = cutBatch(pending, from);
      const { sequence, index } = pending[to - 1] as Pending;
      const expectedAt = this.#markers.get(stream)?.storedAt ?? 0;
      const batch = { stream, task: this.#task, messages, marker: { sequence, index }, expectedAt };
      this.#markers.set(stream, await this.#log.writeBatch(batch));
      from = to;
    }
    pending.length = 0;
  }
}

/** A record as it stands in the log: its id first. Marks pass on time and have no identity. */
export function encodeOutput(record: Output["record"], id: string): string {
  const json = JSON.stringify(record);
  return isMark(record) ? json : `{"id":"${id}",${json.slice(1)}`;
}

export function isMark(record: Output["record"]): record is Mark {
  return "kind" in record && record.kind === "mark";
}

function reached(marker: Marker, sequence: number, index: number): boolean {
  return sequence < marker.sequence || (sequence === marker.sequence && index <= marker.index);
}

/** The next batch from `from` on; neighbours that may share a message and have the same subject do. */
function cutBatch(pending: readonly Pending[], from: number): { messages: NewMessage[]; to: number } {
  const messages: NewMessage[] = [];
  let bytes = 0;
  let to = from;
  while (to < pending.length && messages.length < BATCH_MESSAGES && bytes < BATCH_BYTES) {
    const first = pending[to++] as Pending;
    const parts = [first.data];
    let packBytes = first.data.length;
    while (first.pack && to < pending.length) {
      const next = pending[to] as Pending;
      if (!next.pack || next.subject !== first.subject || packBytes + next.data.length >= PACK_BYTES) break;
      parts.push(NEWLINE, next.data);
      packBytes += next.data.length + 1;
      to++;
    }
    messages.push({ subject: first.subject, data: parts.length === 1 ? first.data : Buffer.concat(parts, packBytes) });
    bytes += packBytes;
  }
  return { messages, to };
}
