import { join } from "node:path";
import {
  type Config,
  createLogger,
  type Logger,
  packageRoot,
  type ReplayStats,
  type Stats,
  systemClock,
} from "../../core/index.js";
import { CHANNELS } from "../../pipelines/index.js";
import {
  type Connection,
  connectLog,
  githubDoor,
  type MqttDoor,
  mqttDoor,
  streamSpecs,
  telemetryDoor,
} from "../../streams/index.js";
import { runClock } from "../../workers/clock/index.js";
import { createGateway, type Gateway, type QueryAnswer } from "../../ws/index.js";
import { accessOptions } from "./access.js";
import { claimDataDir, releaseDataDir, secretFile, writeInstance } from "./instance.js";
import { type LogServer, openLogServer } from "./log-server.js";
import { foreignMetrics } from "./metrics.js";
import { type ReplayRun, startReplay } from "./replay.js";
import type { SinkThreadData, SinkThreadStatus } from "./sink-thread.js";
import { assembleStats } from "./stats.js";
import type { TasksThreadData, TasksThreadStatus } from "./tasks-thread.js";
import { Thread } from "./thread.js";

/** The server's own limit for one message; the doors answer 413 above. */
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
const LIVE_STREAMS = ["github", "telemetry"];

export interface Running {
  readonly url: string;
  readonly key: string;
  readonly mqttPort: number | undefined;
  readonly transport: string;
  readonly database: string;
  stats(): Stats;
  /** Resolves with the reason when something that cannot be replaced ends by itself. */
  readonly broken: Promise<string>;
  /** Drains and stops everything that was started. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts everything that is not given, in the order in which it is needed: log, streams, database, tasks, doors, gateway, replay, clock.
 * What was started is stopped again when a later step fails.
 */
export async function start(config: Config, report: (line: string) => void): Promise<Running> {
  const startedMs = Date.now();
  const logger = createLogger(config.logLevel);
  claimDataDir(config.dataDir);
  const closers: (() => Promise<void>)[] = [async () => releaseDataDir(config.dataDir)];
  const stop = async (): Promise<void> => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) {
      await closer().catch((error: unknown) => logger.error({ err: error }, "stopping"));
    }
  };
  try {
    return await startAll({ config, report, startedMs, logger, stop, defer: (closer) => void closers.push(closer) });
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Context {
  readonly config: Config;
  readonly report: (line: string) => void;
  readonly startedMs: number;
  readonly logger: Logger;
  readonly stop: () => Promise<void>;
  /** Called in reverse order when everything stops. */
  readonly defer: (closer: () => Promise<void>) => void;
}

async function startAll(context: Context): Promise<Running> {
  const { config, report, startedMs, logger, stop, defer } = context;
  const key = secretFile(config.dataDir, "local.key");
  const webhookSecret = config.githubWebhookSecret ?? secretFile(config.dataDir, "webhook.secret");
  const server = await openLogServer(config, key, report);
  defer(() => server.stop());
  const connection = await connectLog({ ...server.log, name: "millrace" });
  defer(() => connection.close());
  for (const spec of streamSpecs(config.partitions)) await connection.log.ensureStream(spec);

  const { sinks, tasks, broken } = startThreads(context, server);
  defer(() => sinks.stop());
  defer(() => tasks.stop());
  await Promise.all([sinks.ready(), tasks.ready()]);

  let replay: ReplayRun | undefined;
  const stats = (): Stats => {
    const idle: ReplayStats = { done: false, sent: 0, total: 0, clock: null };
    const state = replay?.progress(tasks.status?.tasks ?? []) ?? idle;
    return assembleStats({ tasks: tasks.status, sinks: sinks.status, replay: state, startedMs, nowMs: Date.now() });
  };
  const mqtt = openMqttDoor(server, connection, logger);
  if (mqtt) {
    defer(() => mqtt.close());
    await mqtt.subscribed;
  }
  const gateway = await openGateway({ context, connection, key, webhookSecret, stats, sinks, tasks, mqtt });
  defer(() => gateway.close());

  replay = await startReplay({ config, connection, server, gatewayUrl: gateway.url, webhookSecret, key, logger });
  const stopping = new AbortController();
  const clock = runClock({
    ...connection,
    clock: systemClock,
    logger,
    streams: LIVE_STREAMS,
    partitions: config.partitions,
    signal: stopping.signal,
  });
  const replaying = replay.run(stopping.signal);
  defer(async () => {
    stopping.abort();
    await Promise.allSettled([clock, replaying]);
  });
  const { url: natsUrl = "", user, password } = server.log;
  writeInstance(config.dataDir, {
    pid: process.pid,
    url: gateway.url,
    natsUrl,
    natsUser: user ?? null,
    natsPassword: password ?? null,
    mqttUrl: server.mqtt?.url ?? null,
    partitions: config.partitions,
  });
  return {
    url: gateway.url,
    key,
    mqttPort: server.mqttPort,
    transport: gateway.transport,
    database: sinks.status?.place ?? "",
    stats,
    broken: Promise.race([broken, server.exited.then((how) => `nats-server ended: ${how}`)]),
    stop,
  };
}

function startThreads({ config, logger }: Context, server: LogServer) {
  let breakWith: (reason: string) => void = () => undefined;
  const broken = new Promise<string>((resolve) => {
    breakWith = resolve;
  });
  const onFailure = (error: Error): void => {
    logger.error({ err: error }, "a thread ended");
    breakWith(error.message);
  };
  const log = { ...server.log, name: "thread" };
  const { dataDir, clickhouseUrl, partitions, logLevel } = config;
  const sinkData: SinkThreadData = { log, clickhouseUrl, dataDir, logLevel };
  const tasksData: TasksThreadData = { log, partitions, logLevel };
  const sinks = new Thread<SinkThreadStatus>(new URL("./sink-thread.js", import.meta.url), sinkData, onFailure);
  const tasks = new Thread<TasksThreadStatus>(new URL("./tasks-thread.js", import.meta.url), tasksData, onFailure);
  return { sinks, tasks, broken };
}

function openMqttDoor({ mqtt }: LogServer, { log }: Connection, logger: Logger): MqttDoor | undefined {
  return mqtt && mqttDoor({ log, logger: logger.child({ component: "streams.mqtt" }), ...mqtt });
}

async function openGateway(parts: {
  context: Context;
  connection: Connection;
  key: string;
  webhookSecret: string;
  stats: () => Stats;
  sinks: Thread<SinkThreadStatus>;
  tasks: Thread<TasksThreadStatus>;
  mqtt: MqttDoor | undefined;
}): Promise<Gateway> {
  const { context, connection, key, webhookSecret, stats, sinks, tasks, mqtt } = parts;
  const { host, port, transport } = context.config;
  const { log, registers } = connection;
  // uWebSockets.js takes 4 KB of headers unless told otherwise: cookies of other programs on localhost can exceed that.
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= "16384";
  return createGateway({
    log,
    host,
    port,
    transport,
    localKey: key,
    channels: CHANNELS,
    registers,
    ...accessOptions(context.config),
    logger: context.logger.child({ component: "ws" }),
    staticDir: join(packageRoot(), "build/wall"),
    routes: [
      githubDoor({ log, secrets: [webhookSecret], localKey: key, maxPayloadBytes: MAX_PAYLOAD_BYTES }),
      telemetryDoor({ log, localKey: key }),
    ],
    stats,
    query: (sql) => sinks.request<QueryAnswer>("query", { sql }),
    readiness: () => reasonsNotReady(tasks.status, sinks.status, mqtt),
    collect: async () => foreignMetrics(tasks.status, stats()),
  });
}

function reasonsNotReady(
  tasks: TasksThreadStatus | undefined,
  sinks: SinkThreadStatus | undefined,
  mqtt: MqttDoor | undefined,
): string[] {
  const stopped = (tasks?.tasks ?? []).filter(({ state }) => state !== "running");
  return [
    ...(tasks ? [] : ["tasks have not started"]),
    ...(sinks ? [] : ["the database is not open"]),
    ...stopped.map(({ task, state, reason }) => `task ${task} is ${state}${reason ? `: ${reason}` : ""}`),
    ...(sinks?.failures ?? []),
    ...(mqtt && !mqtt.status().connected ? ["the MQTT broker is not connected"] : []),
  ];
}
