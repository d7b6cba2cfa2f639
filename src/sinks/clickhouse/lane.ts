import { type Clock, isMillraceError, type Logger, MillraceError, reasonOf } from "../../core/index.js";
import { type Announcer, type Block, tokensOf } from "./announcer.js";
import type { Row } from "./rows.js";
import type { TableSink } from "./sink.js";
import type { PoisonRow, SinkLimits, SinkWait } from "./writer.js";

/** One table's share of a stream: rows waiting, and at most one block on its way. */
export interface Lane {
  readonly table: string;
  /** Rows at or below this sequence were in the table at the start and are skipped. */
  readonly from: number;
  push(row: Row, bytes: number): void;
  /** Sends a block if one is due. `idle`: nothing more is arriving, so there is nothing to wait for. */
  cut(nowMs: number, idle: boolean): void;
  /** When to call `cut` next; infinite while a block is in flight or no row waits. */
  dueMs(lastMessageAtMs: number): number;
  /** After the signal: one last attempt for everything that waits. */
  finish(): Promise<void>;
  /** Every row at or below this sequence is done with, given that messages up to `read` were pushed. */
  complete(read: number): number;
  /** Bytes waiting or in flight. */
  bytes(): number;
  /** Rows in the table. */
  stored(): number;
  /** The block in flight has failed, and is tried again; undefined when it has not. */
  wait(): SinkWait | undefined;
}

interface Waiting {
  readonly row: Row;
  readonly bytes: number;
  readonly atMs: number;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** The same failure is logged once, then counted. */
const LOG_EVERY_MS = 10_000;

export function createLane(options: {
  readonly sink: TableSink;
  readonly stream: string;
  readonly table: string;
  readonly incarnation: string;
  /** Largest sequence in the table. */
  readonly position: number;
  readonly announcer: Announcer;
  readonly stored: number;
  /** Up to which message rows were pushed. */
  readonly read: () => number;
  readonly limits: SinkLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly poison: (row: PoisonRow, reason: string) => Promise<void>;
  readonly signal: AbortSignal;
  /** Called when the block in flight is done with. */
  readonly onSent: () => void;
  /** Called instead when another writer has taken the table over. */
  readonly onFenced: (error: MillraceError) => void;
}): Lane {
  const { sink, stream, table, incarnation, announcer, limits, clock, logger, poison, signal } = options;
  // Announced, and not there: it may still be on its way. What lies before it was set aside.
  let owed = announcer.before?.after === options.position ? announcer.before : undefined;
  const from = owed === undefined ? options.position : owed.from - 1;
  let { position } = options;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let sendingBytes = 0;
  let sendingFrom: number | undefined;
  let sending: Promise<void> | undefined;
  let stored = options.stored;
  let wait: SinkWait | undefined;

  /** Everything up to message `to`, else the longest block allowed: whole messages, at least one. */
  function takeBlock(to: number | undefined): Waiting[] {
    let bytes = 0;
    let end = 0;
    while (end < waiting.length) {
      const sequence = waiting[end]?.row._seq as number;
      const isFull = end > 0 && (end >= limits.maxRows || bytes >= limits.maxBytes);
      if (to === undefined ? isFull : sequence > to) break;
      while (end < waiting.length && waiting[end]?.row._seq === sequence) bytes += waiting[end++]?.bytes ?? 0;
    }
    const block = waiting.slice(0, end);
    waiting = waiting.slice(end);
    waitingBytes -= bytes;
    return block;
  }

  /** Whether all of the block that is owed has been read. */
  function isRead(): boolean {
    return owed === undefined || options.read() >= owed.to;
  }

  /**
   * A database that dies in the middle of an insert may keep its token and lose its rows: ClickHouse notes the one before it adds the
   * other. So what was sent before, by us or by a former writer, is looked for, and if it is not there goes out under a further token:
   * the same one for whoever repeats it, so that again one of them is taken. Their number is small: whoever refuses a block refuses all of them.
   */
  async function send(block: readonly Waiting[], before: Block | undefined, lastAttempt: boolean): Promise<void> {
    let rows: readonly Row[] = block.map(({ row }) => row);
    // Of what is owed rows may be missing: to the program as it is now there are none. It is the same block.
    const { from, to } = before ?? { from: rows[0]?._seq ?? 0, to: rows.at(-1)?._seq ?? 0 };
    let [token, ...further] = tokensOf(table, { incarnation, from, to });
    let isRepeat = before !== undefined;
    let isAnnounced = false;
    let pauseMs = FIRST_PAUSE_MS;
    let failures = 0;
    let loggedAtMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      try {
        if (!isAnnounced) await announcer.announce({ after: position, from, to });
        isAnnounced = true;
        await sink.write(table, rows, token);
        if (isRepeat && (await sink.count(table, incarnation, { from, to })) === 0) {
          const what = "the database knows the block's token and has none of its rows";
          const next = further.shift();
          if (next === undefined)
            throw new MillraceError("MR_SINK_UNAVAILABLE", `storing ${table} ${from}-${to} once more: ${what}`);
          logger.warn({ table, from, to }, `${what}: storing it under another`);
          token = next;
          continue;
        }
        stored += rows.length;
        position = rows.at(-1)?._seq ?? position;
        if (failures > 0) logger.info({ table, failures }, "block stored after failures");
        wait = undefined;
        return;
      } catch (err) {
        isRepeat = true;
        const good = isMillraceError(err, "MR_EVENT_MALFORMED") ? await withoutBad(rows) : undefined;
        if (good && good.length < rows.length) {
          rows = good; // same token: the block was never stored with its bad rows
          if (rows.length === 0) {
            wait = undefined;
            return;
          }
          continue;
        }
        failures += 1;
        wait = waitAfter(wait, err, clock);
        if (lastAttempt || signal.aborted || isMillraceError(err, "MR_FENCED")) throw err;
        if (clock.nowMs() - loggedAtMs >= LOG_EVERY_MS) {
          logger.warn({ err, table, failures, pauseMs }, "block not stored, trying again");
          loggedAtMs = clock.nowMs();
        }
        await clock.sleep(pauseMs * (0.75 + Math.random() / 2), signal);
        if (signal.aborted) throw err;
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  /** Sets the bad rows aside; undefined when that could not be done now. */
  async function withoutBad(rows: readonly Row[]): Promise<readonly Row[] | undefined> {
    try {
      const bad = new Map((await sink.check(table, rows)).map(({ at, reason }) => [at, reason]));
      for (const [at, reason] of bad) {
        const row = rows[at];
        if (row)
          await poison({ stream, sequence: row._seq, index: row._index, table, text: JSON.stringify(row) }, reason);
      }
      return rows.filter((_, at) => !bad.has(at));
    } catch (err) {
      logger.warn({ err, table }, "bad rows not found or not set aside, trying again");
      return undefined;
    }
  }

  function start(lastAttempt: boolean): void {
    // Nothing is left of it: purged since, or no rows of this table to the program as it is now.
    const isGone = owed !== undefined && (waiting[0]?.row._seq ?? 0) > owed.to;
    const before = isGone ? undefined : owed;
    owed = undefined;
    const block = takeBlock(before?.to);
    sendingBytes = block.reduce((sum, { bytes }) => sum + bytes, 0);
    sendingFrom = block[0]?.row._seq;
    sending = send(block, before, lastAttempt)
      .catch((error: unknown) => {
        // Stopping. The block goes back; its rows stay missing for `complete`, and the next start reads them again.
        waiting = [...block, ...waiting];
        waitingBytes += sendingBytes;
        if (isMillraceError(error, "MR_FENCED")) options.onFenced(error);
      })
      .finally(() => {
        sendingFrom = undefined;
        sendingBytes = 0;
        sending = undefined;
        options.onSent();
      });
  }

  return {
    table,
    from,
    push(row, bytes) {
      if (row._seq <= from) return;
      waiting.push({ row, bytes, atMs: clock.nowMs() });
      waitingBytes += bytes;
    },
    cut(nowMs, idle) {
      const first = waiting[0];
      if (sending !== undefined || !first || signal.aborted || !isRead()) return;
      const full = owed !== undefined || waiting.length >= limits.maxRows || waitingBytes >= limits.maxBytes;
      if (full || idle || nowMs - first.atMs >= limits.maxWaitMs) start(false);
    },
    dueMs(lastMessageAtMs) {
      const first = waiting[0];
      if (sending !== undefined || !first || !isRead()) return Number.POSITIVE_INFINITY;
      return Math.min(first.atMs + limits.maxWaitMs, lastMessageAtMs + limits.idleMs);
    },
    async finish() {
      await sending;
      for (let left = waiting.length; left > 0 && isRead(); ) {
        start(true);
        await sending;
        if (waiting.length >= left) return; // not taken
        left = waiting.length;
      }
    },
    complete: (read) => Math.min(read, (sendingFrom ?? waiting[0]?.row._seq ?? Number.POSITIVE_INFINITY) - 1),
    bytes: () => waitingBytes + sendingBytes,
    stored: () => stored,
    wait: () => wait,
  };
}

/** The wait that one more failure begins or prolongs. */
export function waitAfter(before: SinkWait | undefined, error: unknown, clock: Clock): SinkWait {
  const reason = reasonOf(error);
  return { sinceMs: before?.sinceMs ?? clock.nowMs(), failures: (before?.failures ?? 0) + 1, reason };
}
