import { createSinkTask, type SinkTask, type TableSink } from "../../../src/sinks/index.js";
import type { Ports } from "./ports.js";
import type { Process } from "./process.js";
import { tracing } from "./worker.js";

const LIMITS = { maxRows: 20, maxWaitMs: 200, saveEveryMs: 1_000 };

/** The sink tasks of the process that has the database, one a stream. */
export function startSinks(options: {
  readonly process: Process;
  readonly ports: Pick<Ports, "log" | "registers">;
  readonly sink: TableSink;
  readonly streams: readonly string[];
  readonly trace: (line: string) => void;
  readonly onFailure: (error: unknown) => void;
}): readonly SinkTask[] {
  const { process, ports, sink, streams, trace, onFailure } = options;
  return streams.map((stream) => {
    const onPoison = async (row: { readonly text: string }, reason: string) => {
      throw new Error(`${row.text} is poison: ${reason}`);
    };
    const logger = tracing(trace, process.name);
    const task = createSinkTask({
      ...{ ...ports, sink, stream, onPoison, logger, clock: process.clock, limits: LIMITS },
      writer: process.name,
    });
    task.run(new AbortController().signal).catch(onFailure);
    return task;
  });
}
