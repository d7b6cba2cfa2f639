import { join } from "node:path";
import {
  type Config,
  createLogger,
  type Log,
  type Logger,
  packageRoot,
  type ReplayStats,
  type Stats,
  systemClock,
} from "../../core/index.js";
import {
  type Connection,
  connectLog,
  githubDoor,
  type MqttDoor,
  mqttDoor,
  streamSpecs,
  telemetryDoor,
} from "../../streams/index.js";
import { ackRoutes, createGateway, type Gateway, type QueryAnswer } from "../../ws/index.js";
import { readRoutingFile, shippedRouting } from "../alerts/routing-file.js";
import { enabledRules, readRuleFiles, rulesMessage, shippedRules } from "../rules/rule-file.js";
import { openTracing, type Tracing } from "../tracing/tracing.js";
import { accessOptions } from "./access.js";
import { CHANNELS } from "./channels.js";
import { type Cluster, statusOf, watchCluster } from "./cluster.js";
import { followConfiguration } from "./configuration.js";
import { type DiskRoom, watchDisk } from "./disk-room.js";
import { claimDataDir, releaseDataDir, secretFile, writeInstance } from "./instance.js";
import { refuseBetweenLayouts } from "./layout.js";
import { type LogServer, openLogServer } from "./log-server.js";
import { type LogWrites, watchLogWrites } from "./log-writes.js";
import { foreignMetrics } from "./metrics.js";
import { startNotify } from "./notify.js";
import { reasonsNotReady, waitsOf } from "./readiness.js";
import { type ReplayRun, startReplay } from "./replay.js";
import { sabotageOf } from "./sabotage.js";
import { assembleStats } from "./stats.js";
import { startWorkers } from "./workers.js";

/** GitHub delivers no more; what the server does not take as one message goes to the object store. */
const MAX_PAYLOAD_BYTES = 25 * 1024 * 1024 + 4_096;
/** A query may take ten seconds by itself, and wait for its turn. */
const QUERY_MS = 60_000;
/** How long an interrupted start may take to notice. */
const LATE_MS = 1_000;
/** The door goes on trying; readiness says meanwhile that the broker is not connected. */
const MQTT_WAIT_MS = 5_000;

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
 * What was started is stopped again when a later step fails, or the signal aborts before all is ready: then resolves with undefined.
 */
export async function start(
  config: Config,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<Running | undefined> {
  const startedMs = Date.now();
  const logger = createLogger(config.logLevel);
  claimDataDir(config.dataDir);
  const closers: (() => Promise<void>)[] = [async () => releaseDataDir(config.dataDir)];
  const close = (closer: () => Promise<void>): Promise<void> =>
    closer().catch((error: unknown) => logger.error({ err: error }, "stopping"));
  let isStopped = false;
  const stop = async (): Promise<void> => {
    isStopped = true;
    for (let closer = closers.pop(); closer; closer = closers.pop()) await close(closer);
  };
  const late: Promise<void>[] = [];
  const defer = (closer: () => Promise<void>): void => {
    if (!isStopped) {
      closers.push(closer);
      return;
    }
    late.push(close(closer));
    throw new Error("stopped while starting"); // nothing more is started
  };
  const interrupted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    const running = startAll({ config, report, startedMs, logger, stop, defer });
    running.catch(() => undefined); // what fails after the interruption fails because of it
    const first = await Promise.race([running, interrupted]);
    if (first === undefined) {
      await stop();
      // What was about to be ready is closed as well; what waits for something that never comes is left.
      await Promise.race([Promise.allSettled([running]), systemClock.sleep(LATE_MS)]);
      await Promise.allSettled(late);
    }
    return first;
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
  const tracing = await openTracing(process.env);
  defer(() => tracing.close());
  const disk = await untilStopped(context, (signal) => watchDisk({ path: config.dataDir, logger, signal }));
  const server = await openLogServer(config, key, report);
  defer(() => server.stop());
  const connection = await connectLog({ ...server.log, name: "millrace" });
  defer(() => connection.close());
  const logWrites = await untilStopped(context, async (signal) =>
    watchLogWrites({ server, connection, disk, logger, signal }),
  );
  await refuseBetweenLayouts(connection.registers);
  for (const spec of streamSpecs(config.partitions)) await connection.log.ensureStream(spec);

  await followRouting(context, connection);
  await followRules(context, connection);
  const ackSecret = secretFile(config.dataDir, "ack.secret");
  const sabotage = sabotageOf(process.env);
  const { partitions } = config;
  const workers = startWorkers({ config, log: server.log, connection, partitions, sinks: "must", sabotage, logger });
  defer(() => workers.stop());
  const file = await readRoutingFile(config.routing ?? shippedRouting());
  const { publicUrl } = config;
  const notifying = { ...connection, log: tracing.log(connection.log, { verb: "notify" }) };
  defer(startNotify({ connection: notifying, file, publicUrl, ackSecret, holder: workers.holder, logger }));
  await Promise.race([workers.ready(), workers.broken.then(brokenStart)]);
  const cluster = watchCluster(connection, () => statusOf(workers));
  defer(async () => cluster.stop());

  let replay: ReplayRun | undefined;
  const stats = (): Stats => {
    const idle: ReplayStats = { done: false, sent: 0, total: 0, clock: null };
    const { tasks, sinks } = cluster.view();
    const state = replay?.progress(tasks) ?? idle;
    return assembleStats({ tasks, sinks, replay: state, startedMs, nowMs: Date.now() });
  };
  const mqtt = openMqttDoor(
    server,
    tracing.log(disk.guarded(connection.log), { verb: "receive", roots: true }),
    logger,
  );
  if (mqtt) {
    defer(() => mqtt.close());
    const waiting = new AbortController(); // a broker that is away is waited for behind the page
    await Promise.race([mqtt.subscribed, systemClock.sleep(MQTT_WAIT_MS, waiting.signal)]);
    waiting.abort(); // a timer left behind would hold up the end
  }
  const gateway = await openGateway({
    context,
    connection,
    key,
    webhookSecret,
    ackSecret,
    stats,
    cluster,
    mqtt,
    disk,
    logWrites,
    tracing,
  });
  defer(() => gateway.close());

  replay = await startReplay({ config, connection, server, gatewayUrl: gateway.url, webhookSecret, key, logger });
  const stopping = new AbortController();
  workers.tellTime();
  const replaying = replay.run(stopping.signal);
  defer(async () => {
    stopping.abort();
    await Promise.allSettled([replaying]);
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
    database: cluster.view().sinks?.place ?? "",
    stats,
    broken: Promise.race([workers.broken, server.exited.then((how) => `nats-server ended: ${how}`)]),
    stop,
  };
}

/** The alarm desk's configuration, in the log before the desk reads anything else. */
function followRouting(context: Context, connection: Connection): Promise<void> {
  const path = context.config.routing ?? shippedRouting();
  const read = async () => ({ schema: "millrace.routing/1", routing: (await readRoutingFile(path)).routing });
  return follow(context, connection, { subjects: ["desk.0._ctl.routing"], path, read });
}

/** Rules of people's own, in the log of every partition before it is read. */
function followRules(context: Context, connection: Connection): Promise<void> {
  const { rules: path = shippedRules(), partitions } = context.config;
  const subjects = Array.from({ length: partitions }, (_, p) => `features.${p}._ctl.rules`);
  const read = async () => rulesMessage(enabledRules(await readRuleFiles(path)));
  return follow(context, connection, { subjects, path, read, without: rulesMessage([]) });
}

/** What goes on until its signal aborts ends with everything else. */
async function untilStopped<T extends { readonly ended: Promise<void> }>(
  { defer }: Context,
  begin: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stopping = new AbortController();
  const begun = await begin(stopping.signal);
  defer(async () => {
    stopping.abort();
    await begun.ended;
  });
  return begun;
}

async function follow(
  context: Context,
  { log }: Connection,
  what: Pick<Parameters<typeof followConfiguration>[0], "subjects" | "path" | "read" | "without">,
): Promise<void> {
  const { logger } = context;
  await untilStopped(context, (signal) => followConfiguration({ log, logger, signal, ...what }));
}

function brokenStart(reason: string): never {
  throw new Error(reason);
}

function openMqttDoor({ mqtt }: LogServer, log: Log, logger: Logger): MqttDoor | undefined {
  return mqtt && mqttDoor({ log, logger: logger.child({ component: "streams.mqtt" }), ...mqtt });
}

async function openGateway(parts: {
  context: Context;
  connection: Connection;
  key: string;
  webhookSecret: string;
  ackSecret: string;
  stats: () => Stats;
  cluster: Cluster;
  mqtt: MqttDoor | undefined;
  disk: DiskRoom;
  logWrites: LogWrites;
  tracing: Tracing;
}): Promise<Gateway> {
  const { context, connection, key, webhookSecret, ackSecret, stats, cluster, mqtt, disk, logWrites, tracing } = parts;
  const { host, port, transport } = context.config;
  const { log, registers } = connection;
  // uWebSockets.js takes 4 KB of headers unless told otherwise: cookies of other programs on localhost can exceed that.
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= "16384";
  const entrance = tracing.log(disk.guarded(log), { verb: "receive" });
  return createGateway({
    log: tracing.log(log, { verb: "deliver" }),
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
      tracing.route(
        githubDoor({ log: entrance, secrets: [webhookSecret], localKey: key, maxPayloadBytes: MAX_PAYLOAD_BYTES }),
      ),
      tracing.route(telemetryDoor({ log: entrance, localKey: key })),
      ...ackRoutes(log, ackSecret),
    ],
    stats,
    query: (sql) => connection.requests.ask<QueryAnswer>("query", { sql }, QUERY_MS),
    readiness: () =>
      reasonsNotReady(cluster.view(), context.config.partitions, mqtt, [disk.reason(), logWrites.reason()]),
    waits: () => waitsOf(cluster.view()),
    collect: async () => foreignMetrics({ ...cluster.view(), stats: stats(), logWrites, nowMs: Date.now() }),
  });
}
