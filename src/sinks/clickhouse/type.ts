import { MillraceError, type Sink } from "../../core/index.js";
import { type Clickhouse, type ClickhouseOptions, connectClickhouse } from "./connect.js";
import { type ClickhouseSinkOptions, createClickhouseSink, type TableSink } from "./sink.js";

/** A kind of sink, by the name a configuration uses. */
export interface SinkType<Options> {
  /** One line for people. */
  readonly summary: string;
  /** Builds without connecting: `open` connects, `close` disconnects. */
  create(options: Options): Sink;
}

/** ClickHouse with a connection of its own. Use `connectClickhouse` and `createClickhouseSink` to share one with queries. */
export const clickhouse: SinkType<ClickhouseOptions & ClickhouseSinkOptions> = {
  summary: "tables in a ClickHouse server (url) or in an embedded one (path)",
  create(options) {
    let opened: { readonly connection: Clickhouse; readonly sink: TableSink } | undefined;
    const sink = () => {
      if (!opened) throw new MillraceError("MR_SINK_UNAVAILABLE", "the ClickHouse sink is not open");
      return opened.sink;
    };
    return {
      async open() {
        if (opened) return;
        const connection = await connectClickhouse(options);
        const made = createClickhouseSink(connection, options);
        try {
          await made.open();
        } catch (error) {
          await connection.close();
          throw error;
        }
        opened = { connection, sink: made };
      },
      position: async (table, incarnation) => sink().position(table, incarnation),
      write: async (table, rows, token) => sink().write(table, rows, token),
      async close() {
        const closing = opened;
        opened = undefined;
        await closing?.connection.close();
      },
    };
  },
};
