import { randomUUID } from "node:crypto";
import {
  type Clock,
  isMillraceError,
  type Log,
  type Logger,
  type LogReader,
  MillraceError,
  type Registers,
  systemClock,
} from "../../core/index.js";
import { takeOver } from "./announcer.js";
import { createLane, type Lane, waitAfter } from "./lane.js";
import { rowsOf } from "./rows.js";
import type { TableSink } from "./sink.js";
import { tablesOf } from "./tables.js";

/** What keeps a sink from storing: it tries again by itself until it can. */
export interface SinkWait {
  /** Wall time of the first failure. */
  readonly sinceMs: number;
  readonly failures: number;
  /** The newest failure. */
  readonly reason: string;
}

/** A record that did not get into its table. */
export interface PoisonRow {
  readonly stream: string;
  readonly sequence: number;
  /** Place of the record within its message. */
  readonly index: number;
  /** Undefined when no table takes such a record. */
  readonly table?: string;
  /** The record: as it stood in the message, or the row made of it as JSON. */
  readonly text: string;
}

export interface SinkTaskOptions {
  readonly log: Log;
  /** Where blocks are announced: all writers of the tables must have the same. */
  readonly registers: Registers;
  readonly sink: TableSink;
  /** Output stream to read; its tables are those of tables.ts. */
  readonly stream: string;
  /**
   * Sets a record aside. Awaited before the rows around it are stored, so none is lost; called again for the same (stream,
   * sequence, index) when the process dies between the two.
   */
  readonly onPoison: (row: PoisonRow, reason: string) => Promise<void>;
  readonly logger: Logger;
  /** Unlike that of every other writer, also of this program's last run. @default chance */
  readonly writer?: string;
  readonly clock?: Clock;
  readonly limits?: Partial<SinkLimits>;
}

export interface SinkLimits {
  /** Rows in a block; a message is never cut, so a block may exceed it by one message. @default 5_000 */
  readonly maxRows: number;
  /** Bytes of a block as received. Keeps a block within one part, which is what makes it atomic. @default 4 MiB */
  readonly maxBytes: number;
  /** Longest time a row waits for its block to fill. @default 500 */
  readonly maxWaitMs: number;
  /** A block leaves at once when nothing arrived for so long. @default 50 */
  readonly idleMs: number;
  /** Bytes read and not stored, over all tables; reading pauses above. @default 16 MiB */
  readonly maxBufferedBytes: number;
  /** How often the common position is saved while it moves. @default 10_000 */
  readonly saveEveryMs: number;
}

export interface SinkTask {
  /**
   * Reads and writes until aborted; then writes what is buffered (one attempt), saves its position and resolves.
   *
   * Errors: retried ones never leave it. Rejects with MR_LOG_TRUNCATED when the log no longer holds what is missing in the tables,
   * MR_LOG_LOST_DATA when the tables hold rows of messages the log does not have, MR_FENCED when another writer took a table over.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Rows of this log in `table`: counted at the start, then as they are acknowledged. 0 before. */
  stored(table: string): number;
  /** Every record up to this sequence is stored or set aside. */
  position(): number;
  /** Where a restart may begin: every record up to this sequence is done with, and the database knows it. At most `position`. */
  saved(): number;
  /** Messages of the stream after `position`. */
  lag(): Promise<number>;
  /** Records handed to `onPoison`. */
  poisoned(): number;
  /** The longest wait of its tables, or its own for the log; undefined while all goes well. */
  wait(): SinkWait | undefined;
  /** Bytes read and not stored, at most one read more than `maxBufferedBytes`. */
  bufferedBytes(): number;
}

const DEFAULTS: SinkLimits = {
  maxRows: 5_000,
  maxBytes: 4 * 1024 * 1024,
  maxWaitMs: 500,
  idleMs: 50,
  maxBufferedBytes: 16 * 1024 * 1024,
  saveEveryMs: 10_000,
};
/** Messages are packs of up to 256 KiB or single records of 300 bytes: a read asks for about so many bytes. */
const READ_BYTES = 1024 * 1024;
const READ_MESSAGES = { least: 4, most: 1_000 };
const LONGEST_WAIT_MS = 60_000;
/** What is left of a stop's five seconds once readers and database have theirs. */
const LAST_WRITE_MS = 1_500;

type Arrival =
  | { readonly kind: "messages"; readonly messages: Awaited<ReturnType<LogReader["next"]>> }
  | { readonly kind: "failed"; readonly error: unknown };

/** A pause that can be cut short. Racing promises instead would pile up handlers on those that stay pending. */
function createBell(clock: Clock) {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    /** Resolves after `ms`, or when the bell rings, or at once if it rang since the last wait. */
    async wait(ms: number): Promise<void> {
      const timer = new AbortController();
      wake = () => timer.abort("rung"); // the default reason costs a stack trace
      if (!rung) await clock.sleep(Math.min(ms, LONGEST_WAIT_MS), timer.signal);
      wake = undefined;
      rung = false;
    },
  };
}

/**
 * Copies one output stream into its tables, each record once, in order.
 *
 * A block is the rows of one table from some messages; it is stored whole or not at all, under the token
 * `<table>/<incarnation>/<from>-<to>`. So the largest `_seq` of a table says exactly how far it is, and a restart reads on from the
 * smallest of the stream's tables, skipping what the others have. Tables that seldom get rows would drag that position back to
 * the beginning; the common position saved now and then stands in for them.
 *
 * A retry repeats the same block with the same token, so an answer that was lost does not make duplicates; nor does an insert of a
 * writer before this one that arrives late (see `takeOver`).
 * Each table has one block in flight; a slow one pauses reading once `maxBufferedBytes` are waiting.
 */
export function createSinkTask(options: SinkTaskOptions): SinkTask {
  const { log, registers, sink, stream, onPoison, writer = randomUUID(), clock = systemClock } = options;
  const logger = options.logger.child({ component: "sinks.clickhouse", stream });
  const limits: SinkLimits = { ...DEFAULTS, ...options.limits };
  const tables = tablesOf(stream);
  if (tables.length === 0) throw new MillraceError("MR_OPTION_INVALID", `stream ${stream} has no tables`);

  let lanes: readonly Lane[] = [];
  let incarnation = "";
  let began = 0;
  let read = 0;
  /** Mean size of recent messages; begins with a pack's, so that the first read cannot be huge. */
  let messageBytes = 256 * 1024;
  let saved = 0;
  let savedAtMs = 0;
  let poisoned = 0;
  let fenced: MillraceError | undefined;
  let wait: SinkWait | undefined;

  const poison = async (row: PoisonRow, reason: string) => {
    await onPoison(row, reason);
    poisoned += 1;
  };
  const position = () => lanes.reduce((least, lane) => Math.min(least, lane.complete(read)), read);
  const bufferedBytes = () => lanes.reduce((sum, lane) => sum + lane.bytes(), 0);

  const bell = createBell(clock);

  async function start(signal: AbortSignal): Promise<void> {
    const info = await log.info(stream);
    const { former = [] } = info;
    incarnation = info.incarnation;
    saved = await sink.progress(stream, incarnation);
    const found: Lane[] = [];
    for (const { name } of tables) {
      // First the former writer must not be able to announce any more, then nothing it announced can be overlooked.
      const announcer = await takeOver({ registers, table: name, incarnation, writer });
      const late = announcer.former;
      if (late !== undefined && former.includes(late.incarnation)) await sink.refuse(name, late);
      await sink.forget(name, former);
      const [position, stored] = [await sink.position(name, incarnation), await sink.count(name, incarnation)];
      found.push(
        createLane({
          ...{
            sink,
            stream,
            table: name,
            incarnation,
            position,
            announcer,
            stored,
            read: () => read,
            limits,
            clock,
            logger,
            poison,
            signal,
          },
          onSent: bell.ring,
          onFenced(error) {
            fenced = error;
            bell.ring();
          },
        }),
      );
    }
    const positions = found.map((lane) => lane.from);
    const farthest = Math.max(saved, ...positions);
    if (farthest > info.lastSequence) {
      const message = `the tables of ${stream} hold rows up to ${farthest}, but the log ends at ${info.lastSequence}`;
      throw new MillraceError("MR_LOG_LOST_DATA", message);
    }
    began = Math.max(saved, Math.min(...positions));
    read = began;
    savedAtMs = clock.nowMs();
    lanes = found;
    logger.info({ from: read + 1, last: info.lastSequence }, "sink started");
  }

  async function opened(): Promise<LogReader> {
    try {
      return await log.read({ stream, subjects: [`${stream}.>`], fromSequence: read + 1 });
    } catch (cause) {
      const isGone = isMillraceError(cause, "MR_LOG_TRUNCATED") && read === began;
      if (!isGone || (await sink.progress(stream, incarnation)) <= read) throw cause;
      lanes = [];
      const message = `a save of ${stream} by the writer before this one came late, and messages were purged by it`;
      throw new MillraceError("MR_LOG_UNAVAILABLE", message, { cause });
    }
  }

  async function take(messages: Awaited<ReturnType<LogReader["next"]>>): Promise<void> {
    for (const message of messages) {
      const { rows, misfits } = rowsOf(message, incarnation);
      for (const { index, reason, text } of misfits) {
        await poison({ stream, sequence: message.sequence, index, text }, reason);
      }
      messageBytes += (message.data.length - messageBytes) / 16;
      const bytesPerRow = message.data.length / Math.max(rows.length, 1);
      for (const { table, row } of rows) lanes.find((lane) => lane.table === table)?.push(row, bytesPerRow);
      read = message.sequence;
    }
  }

  async function save(): Promise<void> {
    const now = position();
    savedAtMs = clock.nowMs();
    if (now <= saved) return;
    try {
      await sink.saveProgress(stream, incarnation, now);
      saved = now;
    } catch (err) {
      logger.debug({ err }, "position not saved; the next one will be"); // only makes a restart read more
    }
  }

  /** Reads until aborted or the reader fails. */
  async function copy(reader: LogReader, signal: AbortSignal): Promise<void> {
    let reading = false;
    let arrived: Arrival | undefined;
    let lastMessageAtMs = clock.nowMs();
    const read = async () => {
      reading = true;
      arrived = await reader
        .next(Math.min(READ_MESSAGES.most, Math.max(READ_MESSAGES.least, Math.round(READ_BYTES / messageBytes))))
        .then(
          (messages): Arrival => ({ kind: "messages", messages }),
          (error: unknown): Arrival => ({ kind: "failed", error }),
        );
      reading = false;
      bell.ring();
    };
    while (!signal.aborted) {
      if (fenced !== undefined) throw fenced;
      if (arrived !== undefined) {
        if (arrived.kind === "failed") throw arrived.error;
        if (arrived.messages.length === 0) return; // the reader was closed
        lastMessageAtMs = clock.nowMs();
        await take(arrived.messages);
        arrived = undefined;
      }
      if (!reading && bufferedBytes() < limits.maxBufferedBytes) void read();
      const now = clock.nowMs();
      const idle = reading && now - lastMessageAtMs >= limits.idleMs;
      for (const lane of lanes) lane.cut(now, idle);
      const saveDueMs = position() > saved ? savedAtMs + limits.saveEveryMs : Number.POSITIVE_INFINITY;
      if (saveDueMs <= now) await save();
      const dueMs = Math.min(saveDueMs, ...lanes.map((lane) => lane.dueMs(lastMessageAtMs)));
      await bell.wait(Math.max(1, dueMs - clock.nowMs()));
    }
  }

  async function finish(): Promise<void> {
    const timer = new AbortController();
    const writing = Promise.all(lanes.map((lane) => lane.finish()));
    await Promise.race([writing, clock.sleep(LAST_WRITE_MS, timer.signal)]);
    timer.abort();
    await save();
  }

  return {
    async run(signal) {
      signal.addEventListener("abort", bell.ring, { once: true });
      let pauseMs = 100;
      while (!signal.aborted) {
        let reader: LogReader | undefined;
        try {
          if (lanes.length === 0) await start(signal);
          reader = await opened();
          pauseMs = 100;
          wait = undefined;
          await copy(reader, signal);
        } catch (err) {
          if (!isMillraceError(err) || err.disposition !== "retry") throw err;
          wait = waitAfter(wait, err, clock);
          logger.warn({ err, pauseMs }, "sink interrupted, trying again");
          await clock.sleep(pauseMs, signal);
          pauseMs = Math.min(pauseMs * 2, 10_000);
        } finally {
          await reader?.close();
        }
      }
      await finish();
      logger.info({ position: position() }, "sink stopped");
    },
    stored: (table) => lanes.find((lane) => lane.table === table)?.stored() ?? 0,
    position,
    saved: () => saved,
    lag: async () => Math.max(0, (await log.info(stream)).lastSequence - position()),
    poisoned: () => poisoned,
    wait: () =>
      [wait, ...lanes.map((lane) => lane.wait())].reduce((longest, other) =>
        longest === undefined || (other !== undefined && other.sinceMs < longest.sinceMs) ? other : longest,
      ),
    bufferedBytes,
  };
}
