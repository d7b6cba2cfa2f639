import { MillraceError } from "../../../src/core/index.js";
import { tokensOf } from "../../../src/sinks/clickhouse/announcer.js";
import type { TableSink } from "../../../src/sinks/index.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

interface StoredRow {
  readonly _seq: number;
  readonly _id: string;
  readonly _incarnation: string;
}

/** How bad the database is. */
export interface DatabaseFaults {
  /** Refuses, nothing stored. */
  readonly refuses01: number;
  /** Stores, and its answer is lost. */
  readonly answerLost01: number;
  readonly delayMsMost: number;
  /** A server: what was sent to it is stored although the sender has died; an embedded one dies with its process. */
  readonly isRemote: boolean;
  /** Of inserts: a server stores them only after the sender has given up, an embedded database dies in their middle. */
  readonly late01: number;
}

const TIMEOUT_MS = 400;
const LATE_MS_MOST = 4_000;
/** Of each table: a late insert must find its token still known. */
const TOKENS_KNOWN = 64;

/** The store: it outlives the processes that write to it, and forgets all but the latest tokens. */
export class Database {
  readonly tables = new Map<string, StoredRow[]>();
  readonly #tokens = new Map<string, string[]>();
  readonly #progress = new Map<string, number>();
  isUp = true;
  /** Inserts that somebody sent and that are not there. */
  underWay = 0;

  progress(stream: string, incarnation: string): number {
    return this.#progress.get(`${stream} ${incarnation}`) ?? 0;
  }

  saveProgress(stream: string, incarnation: string, sequence: number): void {
    this.#progress.set(`${stream} ${incarnation}`, sequence);
  }

  rows(table: string, incarnation: string): readonly StoredRow[] {
    return (this.tables.get(table) ?? []).filter(({ _incarnation }) => _incarnation === incarnation);
  }

  forget(table: string, incarnations: readonly string[]): void {
    const rows = this.tables.get(table) ?? [];
    const left = rows.filter(({ _incarnation }) => !incarnations.includes(_incarnation));
    this.tables.set(table, left);
  }

  /** Dying in the middle of an insert, it has noted the token and not yet added the rows. */
  note(table: string, token: string): void {
    const tokens = this.#tokens.get(table) ?? [];
    if (!tokens.includes(token)) this.#tokens.set(table, [...tokens.slice(1 - TOKENS_KNOWN), token]);
  }

  write(table: string, rows: readonly StoredRow[], token: string): void {
    if (rows.length === 0 || this.#tokens.get(table)?.includes(token)) return;
    this.note(table, token);
    this.tables.set(table, [...(this.tables.get(table) ?? []), ...rows]);
  }
}

/** The database as one process sees it. */
export function simulatedSink(options: {
  readonly database: Database;
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: () => DatabaseFaults;
}): TableSink {
  const { database, process, scheduler, random, faults } = options;
  const ask = <T>(what: string, work: () => T, mayBeLate = false, died = (): void => undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const { refuses01, answerLost01, delayMsMost, isRemote, late01 } = faults();
      const isDisturbed = mayBeLate && random.chance(late01);
      const isLate = isDisturbed && isRemote;
      const fate = random.next();
      const unavailable = () => reject(new MillraceError("MR_SINK_UNAVAILABLE", `${what}: no answer`));
      database.underWay++;
      if (isDisturbed && !isRemote) process.kill();
      if (isLate && random.chance(0.3)) scheduler.after(random.next() * TIMEOUT_MS, () => process.kill()); // somebody lost patience
      if (isLate) scheduler.after(TIMEOUT_MS, () => process.wake(unavailable));
      scheduler.after(random.next() * (isLate ? LATE_MS_MOST : delayMsMost), () => {
        database.underWay--;
        if (!process.isAlive && !isRemote) {
          died();
          return;
        }
        let answer: () => void = unavailable;
        if (database.isUp && fate >= refuses01) {
          const result = work();
          if (fate < 1 - answerLost01) answer = () => resolve(result);
        }
        if (!isLate) scheduler.after(random.next() * delayMsMost, () => process.wake(answer));
      });
    });
  return {
    open: async () => undefined,
    position: (table, incarnation) =>
      ask("position", () => database.rows(table, incarnation).reduce((most, { _seq }) => Math.max(most, _seq), 0)),
    count: (table, incarnation, { from, to } = { from: 0, to: Number.POSITIVE_INFINITY }) =>
      ask("count", () => database.rows(table, incarnation).filter(({ _seq }) => _seq >= from && _seq <= to).length),
    write: (table, rows, token) =>
      ask(
        `writing ${token}`,
        () => database.write(table, rows as readonly StoredRow[], token),
        true,
        () => database.note(table, token),
      ),
    check: async () => [],
    progress: (stream, incarnation) => ask("progress", () => database.progress(stream, incarnation)),
    saveProgress: (stream, incarnation, sequence) =>
      ask("saving progress", () => database.saveProgress(stream, incarnation, sequence)),
    async refuse(table, block) {
      for (const token of tokensOf(table, block)) await ask(`refusing ${token}`, () => database.note(table, token));
    },
    forget: (table, incarnations) => ask(`forgetting rows of ${table}`, () => database.forget(table, incarnations)),
    close: async () => undefined,
  };
}
