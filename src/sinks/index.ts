import { clickhouse, type SinkType } from "./clickhouse/type.js";

/** Every sink in this build, by the `type` a configuration names. */
export const sinks = { clickhouse } satisfies Record<string, SinkType<never>>;

export { type Clickhouse, type ClickhouseOptions, connectClickhouse } from "./clickhouse/connect.js";
export {
  createQueryRunner,
  type QueryColumn,
  type QueryLimits,
  type QueryOptions,
  type QueryResult,
  type RunQuery,
} from "./clickhouse/query.js";
export { type BadRow, type ClickhouseSinkOptions, createClickhouseSink, type TableSink } from "./clickhouse/sink.js";
export { type Column, RESULT_TABLES, TABLES, type Table, tablesOf } from "./clickhouse/tables.js";
export { tablesPage } from "./clickhouse/tables-page.js";
export type { SinkType } from "./clickhouse/type.js";
export {
  createSinkTask,
  type PoisonRow,
  type SinkLimits,
  type SinkTask,
  type SinkTaskOptions,
  type SinkWait,
} from "./clickhouse/writer.js";
export type { Links } from "./notify/blocks.js";
export { Limiter } from "./notify/limiter.js";
export type { ComposedNotice, Notifier, RateLimit, SendResult } from "./notify/notifier.js";
export { Outgoing, type OutgoingOptions } from "./notify/outgoing.js";
export { createNotifier, type NotifierContext, type Receiver, receiverSchema } from "./notify/receivers.js";
