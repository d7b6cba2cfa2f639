import type { LogMessage } from "../../src/core/index.js";
import { type GeneratorOptions, generate } from "./generator.js";

/** Events of one message: what a door packs. */
const PACK_EVENTS = 500;

export interface NexmarkInput {
  /** Packs of events as NDJSON, and marks as ticks, in the order of the file. */
  readonly messages: readonly LogMessage[];
  readonly events: number;
  readonly bytes: number;
}

const noHeader = (): undefined => undefined;

/** The whole input in memory, as a task would read it from the log. */
export function nexmarkMessages(options: GeneratorOptions): NexmarkInput {
  const messages: LogMessage[] = [];
  let lines: string[] = [];
  let bytes = 0;
  let events = 0;
  const message = (token: string, data: Buffer): void => {
    messages.push({ sequence: messages.length + 1, subject: `nexmark.0.${token}`, data, header: noHeader });
  };
  const flush = (): void => {
    if (lines.length === 0) return;
    const data = Buffer.from(lines.join("\n"));
    bytes += data.length;
    message("pack", data);
    lines = [];
  };
  for (const line of generate(options)) {
    if (line.kind === "event") {
      events++;
      lines.push(line.json);
      if (lines.length === PACK_EVENTS) flush();
    } else {
      flush();
      message("_tick.file", Buffer.from(JSON.stringify({ source: "file", t: line.timeMs, mark: line.timeMs })));
    }
  }
  flush();
  return { messages, events, bytes };
}
