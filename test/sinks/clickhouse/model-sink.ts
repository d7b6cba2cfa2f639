import { type Clock, MillraceError, type Registers } from "../../../src/core/index.js";
import {
  createSinkTask,
  type PoisonRow,
  type SinkLimits,
  type SinkTask,
  type TableSink,
} from "../../../src/sinks/index.js";
import { type MemoryLog, memoryLog } from "../../support/memory-log.js";
import { memoryRegisters } from "../../support/memory-registers.js";
import { silent } from "./support.js";

export const INCARNATION = "c0ffee";
export const text = (...records: object[]) => Buffer.from(records.map((record) => JSON.stringify(record)).join("\n"));

export async function logWith(stream: string): Promise<MemoryLog> {
  const log = memoryLog(() => INCARNATION);
  await log.ensureStream({ name: stream, subjects: [`${stream}.>`], maxBytes: 1e9 });
  return log;
}

export type Poison = (row: PoisonRow, reason: string) => Promise<void>;

type Stored = { readonly _seq: number; readonly _index: number; readonly [column: string]: unknown };

/** A sink in memory that keeps the promises of ClickHouse: blocks whole, tokens remembered, positions by the largest `_seq`. */
interface ModelSink extends TableSink {
  readonly rows: Map<string, Stored[]>;
  readonly blocks: { table: string; token: string; rows: number }[];
  /** Called before each block; may throw, wait, or return "lost": stored, but the answer is lost. */
  onWrite: (table: string, rows: readonly Stored[]) => Promise<"lost" | undefined>;
}

export function modelSink(isBad: (row: Stored) => boolean = () => false): ModelSink {
  const tokens = new Set<string>();
  const saved = new Map<string, number>();
  const model: ModelSink = {
    rows: new Map(),
    blocks: [],
    onWrite: async () => undefined,
    open: async () => undefined,
    close: async () => undefined,
    position: async (table) => Math.max(0, ...(model.rows.get(table) ?? []).map(({ _seq }) => _seq)),
    count: async (table, _, { from, to } = { from: 0, to: Number.POSITIVE_INFINITY }) =>
      (model.rows.get(table) ?? []).filter(({ _seq }) => _seq >= from && _seq <= to).length,
    async write(table, block, token) {
      const rows = block as readonly Stored[];
      const fate = await model.onWrite(table, rows);
      if (rows.some(isBad)) throw new MillraceError("MR_EVENT_MALFORMED", "a row is bad");
      if (!tokens.has(token)) {
        tokens.add(token);
        model.blocks.push({ table, token, rows: rows.length });
        model.rows.set(table, [...(model.rows.get(table) ?? []), ...rows]);
      }
      if (fate === "lost") throw new MillraceError("MR_SINK_UNAVAILABLE", "the answer was lost");
    },
    check: async (_, rows) => rows.flatMap((row, at) => (isBad(row as Stored) ? [{ at, reason: "it is bad" }] : [])),
    progress: async (stream) => saved.get(stream) ?? 0,
    refuse: async () => undefined,
    forget: async () => undefined,
    async saveProgress(stream, _, sequence) {
      saved.set(stream, Math.max(saved.get(stream) ?? 0, sequence));
    },
  };
  return model;
}

/** A running task; `stop` ends it as Ctrl-C would. */
export function run(
  log: MemoryLog,
  sink: TableSink,
  stream: string,
  more: { limits?: Partial<SinkLimits>; onPoison?: Poison; clock?: Clock; registers?: Registers } = {},
) {
  const stopping = new AbortController();
  const poison: (PoisonRow & { reason: string })[] = [];
  const onPoison: Poison = async (row, reason) => void poison.push({ ...row, reason });
  const task: SinkTask = createSinkTask({
    ...{ log, registers: memoryRegisters(), sink, stream, logger: silent, onPoison },
    ...more,
  });
  const ended = task.run(stopping.signal);
  ended.catch(() => undefined);
  return {
    task,
    poison,
    ended,
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
