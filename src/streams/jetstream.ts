import type { Leases, Log, Objects, Registers } from "../core/index.js";
import { readMarker, writeBatch } from "./batch.js";
import { type LogOptions, openLink } from "./connection.js";
import { openLeases } from "./leases.js";
import { openObjects } from "./objects.js";
import { countSubjects, last, publish } from "./publish.js";
import { openReader } from "./reader.js";
import { openRegisters } from "./registers.js";
import { ensureStream, streamInfo } from "./stream.js";

/** One connection to the log and what is kept beside it. Cheap: each thread has its own. */
export interface Connection {
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly leases: Leases;
  readonly serverVersion: string;
  /** The largest message the server takes, headers included. */
  readonly maxPayloadBytes: number;
  /** False while the connection is down; it comes back by itself. */
  connected(): boolean;
  /** Flushes what was sent, then frees sockets and timers; open readers end. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Connects to a JetStream log.
 *
 * Errors: MR_LOG_UNAVAILABLE (nothing answers, or jetstream is off), MR_SERVER_TOO_OLD.
 */
export async function connectLog(options: LogOptions): Promise<Connection> {
  const link = await openLink(options);
  const { nc } = link;
  const registers = openRegisters(link);
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= nc.isClosed() ? Promise.resolve() : nc.drain().catch(() => nc.close());
    return closing;
  };
  const log: Log = {
    ensureStream: (spec) => ensureStream(link, spec),
    info: (stream) => streamInfo(link, stream),
    read: (what) => openReader(link, what),
    publish: (message) => publish(link, message),
    writeBatch: (batch) => writeBatch(link, batch),
    readMarker: (stream, task) => readMarker(link, stream, task),
    last: (stream, subject) => last(link, stream, subject),
    countSubjects: (stream, filter) => countSubjects(link, stream, filter),
    close,
  };
  return {
    log,
    registers,
    objects: openObjects(link),
    leases: openLeases(link, registers),
    serverVersion: nc.info?.version ?? "unknown",
    maxPayloadBytes: nc.info?.max_payload ?? 1_048_576,
    connected: link.connected,
    close,
  };
}
