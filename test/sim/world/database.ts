import { MillraceError } from "../../../src/core/index.js";
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
}

/** The store as it is on disk: it outlives the process that has it open, and forgets all but the latest tokens. */
export class Database {
  readonly tables = new Map<string, StoredRow[]>();
  readonly #tokens: string[] = [];
  readonly #progress = new Map<string, number>();
  isUp = true;

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

  write(table: string, rows: readonly StoredRow[], token: string): void {
    if (rows.length === 0 || this.#tokens.includes(token)) return;
    this.#tokens.push(token);
    if (this.#tokens.length > 4) this.#tokens.shift();
    this.tables.set(table, [...(this.tables.get(table) ?? []), ...rows]);
  }
}

/** The database as one process sees it. Like an embedded one it does nothing more for a process that is dead. */
export function simulatedSink(options: {
  readonly database: Database;
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: () => DatabaseFaults;
}): TableSink {
  const { database, process, scheduler, random, faults } = options;
  const ask = <T>(what: string, work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      const { refuses01, answerLost01, delayMsMost } = faults();
      const fate = random.next();
      const unavailable = () => reject(new MillraceError("MR_SINK_UNAVAILABLE", `${what}: no answer`));
      scheduler.after(random.next() * delayMsMost, () => {
        if (!process.isAlive) return;
        let answer: () => void = unavailable;
        if (database.isUp && fate >= refuses01) {
          const result = work();
          if (fate < 1 - answerLost01) answer = () => resolve(result);
        }
        scheduler.after(random.next() * delayMsMost, () => process.wake(answer));
      });
    });
  return {
    open: async () => undefined,
    position: (table, incarnation) =>
      ask("position", () => database.rows(table, incarnation).reduce((most, { _seq }) => Math.max(most, _seq), 0)),
    count: (table, incarnation) => ask("count", () => database.rows(table, incarnation).length),
    write: (table, rows, token) =>
      ask(`writing ${token}`, () => database.write(table, rows as readonly StoredRow[], token)),
    check: async () => [],
    progress: (stream, incarnation) => ask("progress", () => database.progress(stream, incarnation)),
    saveProgress: (stream, incarnation, sequence) =>
      ask("saving progress", () => database.saveProgress(stream, incarnation, sequence)),
    forget: (table, incarnations) => ask(`forgetting rows of ${table}`, () => database.forget(table, incarnations)),
    close: async () => undefined,
  };
}
