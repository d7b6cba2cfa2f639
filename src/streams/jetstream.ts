import type { NatsConnection } from "nats";
import { type Layouts, type Leases, type Log, type Objects, type Registers, systemClock } from "../core/index.js";
import { readMarker, writeBatch } from "./batch.js";
import { storedForm, withBodies } from "./codecs/body.js";
import { type LogOptions, openLink } from "./connection.js";
import { inCallOrder } from "./in-call-order.js";
import { openLayouts } from "./layouts.js";
import { openLeases } from "./leases.js";
import { openObjects } from "./objects.js";
import { openPresence } from "./presence.js";
import { countSubjects, last, publish } from "./publish.js";
import { openReader } from "./reader.js";
import { openRegisters } from "./registers.js";
import { openRequests, type Requests } from "./requests.js";
import type { Silence } from "./silences.js";
import { openSpace, type Space } from "./space.js";
import { ensureStream, streamInfo } from "./stream.js";

const DRAIN_MS_MOST = 2_000;
/** Long enough for a server's hiccup, short enough that a dead owner is replaced within five seconds. */
const LEASE_MS = 3_000;

/** One connection to the log and what is kept beside it. Cheap: each thread has its own. */
export interface Connection {
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly leases: Leases;
  readonly layouts: Layouts;
  readonly requests: Requests;
  readonly space: Space;
  readonly serverVersion: string;
  /** The largest message the server takes, headers included. */
  readonly maxPayloadBytes: number;
  /** A stream that has answered none of the last messages given to it, since when; undefined when all do. */
  unstored(): Silence | undefined;
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
  const objects = openObjects(link);
  const maxPayloadBytes = nc.info?.max_payload ?? 1_048_576;
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= drained(nc);
    return closing;
  };
  const log: Log = {
    ensureStream: (spec) => ensureStream(link, spec),
    info: (stream) => streamInfo(link, stream),
    read: async (what) => withBodies(await openReader(link, what), objects),
    publish: inCallOrder(
      (message) => storedForm(message, objects, maxPayloadBytes),
      (message) => publish(link, message),
    ),
    writeBatch: (batch) => writeBatch(link, batch),
    readMarker: (stream, task) => readMarker(link, stream, task),
    last: (stream, subject) => last(link, stream, subject),
    countSubjects: (stream, filter) => countSubjects(link, stream, filter),
    close,
  };
  return {
    log,
    registers,
    objects,
    leases: openLeases(registers, systemClock, LEASE_MS, openPresence(link)),
    layouts: openLayouts(link),
    requests: openRequests(link),
    space: openSpace(link, objects),
    serverVersion: nc.info?.version ?? "unknown",
    maxPayloadBytes,
    connected: link.connected,
    unstored: link.silences.longest,
    close,
  };
}

/** Lets what was sent arrive, but waits for no server that is away or stopped. */
async function drained(nc: NatsConnection): Promise<void> {
  if (nc.isClosed()) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, DRAIN_MS_MOST);
  });
  await Promise.race([nc.drain().catch(() => undefined), late]);
  clearTimeout(timer);
  await nc.close();
}
