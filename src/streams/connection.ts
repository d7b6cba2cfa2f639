import { randomBytes } from "node:crypto";
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { MillraceError, reasonOf } from "../core/index.js";
import { type Answers, openAnswers } from "./answers.js";
import { logError } from "./failures.js";
import { type Frames, openFrames } from "./frames.js";
import { type Silences, trackSilences } from "./silences.js";

/** Atomic batches came with 2.12; 2.14 is the first release whose batches we have tested and the oldest we accept. */
const SERVER_OLDEST = [2, 14] as const;

export interface LogOptions {
  /** One server, `nats://host:port`. */
  readonly url?: string;
  /** Several servers of one cluster; wins over `url`. */
  readonly servers?: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Shown in the server's connection list. */
  readonly name: string;
  /** On how many servers of a cluster streams are kept. Takes effect when a stream is made. @default 1 */
  readonly replicas?: number;
  /** How long one request to the log may take before it counts as lost. @default 5000 */
  readonly timeoutMs?: number;
}

/** One connection as the files of this room share it. */
export interface Link {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly timeoutMs: number;
  readonly replicas: number;
  /** Random, one a connection: tells our own marker from that of another owner of the same task. */
  readonly writer: string;
  readonly silences: Silences;
  readonly answers: Answers;
  readonly frames: Frames;
  /** False while the connection is down. */
  connected(): boolean;
  /** Calls `listener` after each reconnection, when subscriptions are back but server-side consumers may be gone. */
  onReconnect(listener: () => void): () => void;
}

/**
 * Connects and checks the server. Once connected it reconnects for ever; until then calls fail with MR_LOG_UNAVAILABLE and
 * whoever called decides about trying again.
 *
 * Errors: MR_LOG_UNAVAILABLE (nothing answers, or jetstream is off), MR_SERVER_TOO_OLD.
 */
export async function openLink(options: LogOptions): Promise<Link> {
  const servers = options.servers ?? (options.url === undefined ? [] : [options.url]);
  if (servers.length === 0) throw new MillraceError("MR_OPTION_INVALID", "connecting to the log: no url given");
  const timeoutMs = options.timeoutMs ?? 5_000;
  const nc = await dial(servers, options);
  try {
    checkServer(nc);
    const jsm = await jetstreamManager(nc, { timeout: timeoutMs }).catch((cause: unknown) => {
      throw logError(`using jetstream at ${servers.join(", ")}`, cause);
    });
    const listeners = new Set<() => void>();
    const connected = watchStatus(nc, listeners);
    const silences = trackSilences();
    listeners.add(silences.clear);
    return {
      nc,
      jsm,
      js: jetstream(nc, { timeout: timeoutMs }),
      timeoutMs,
      replicas: options.replicas ?? 1,
      writer: randomBytes(6).toString("hex"),
      silences,
      answers: openAnswers(nc, timeoutMs),
      frames: openFrames(nc),
      connected,
      onReconnect(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  } catch (error) {
    await nc.close();
    throw error;
  }
}

async function dial(servers: readonly string[], { user, password, name }: LogOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: [...servers],
      name,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { pass: password }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      pingInterval: 10_000,
      noAsyncTraces: true, // one Error object more per request otherwise
    });
  } catch (cause) {
    const reason = reasonOf(cause);
    throw new MillraceError("MR_LOG_UNAVAILABLE", `connecting to nats at ${servers.join(", ")}: ${reason}`, { cause });
  }
}

function checkServer(nc: NatsConnection): void {
  const version = nc.info?.version ?? "unknown";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = SERVER_OLDEST;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new MillraceError(
      "MR_SERVER_TOO_OLD",
      `server too old: feature atomic batch publishing missing: nats-server at ${nc.getServer()} is ${version}, it takes ${SERVER_OLDEST.join(".")} or newer`,
    );
  }
  if (nc.info?.jetstream !== true) {
    throw new MillraceError(
      "MR_LOG_UNAVAILABLE",
      `nats-server at ${nc.getServer()} runs without jetstream; start it with -js`,
    );
  }
}

function watchStatus(nc: NatsConnection, listeners: ReadonlySet<() => void>): () => boolean {
  let up = true;
  void (async () => {
    for await (const { type } of nc.status()) {
      if (type === "disconnect") up = false;
      if (type !== "reconnect") continue;
      up = true;
      for (const listener of listeners) listener();
    }
  })();
  return () => up && !nc.isClosed();
}
