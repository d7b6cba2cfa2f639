import { join } from "node:path";
import { type Config, formatTime, type Logger, packageRoot, type ReplayStats, systemClock } from "../../core/index.js";
import type { TaskStatus } from "../../runtime/index.js";
import { type Connection, createReplay, type Replay } from "../../streams/index.js";
import type { LogServer } from "./log-server.js";

const SOURCE = "sample";
const STREAMS = ["github", "telemetry"];

export interface ReplayRun {
  /** Done when every task has seen the end of the sample, not when the last record was sent. */
  progress(tasks: readonly TaskStatus[]): ReplayStats;
  /** Plays to the end or until aborted. A door that refuses for good ends it; that is logged, everything else goes on. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ReplayRunOptions {
  readonly config: Config;
  readonly connection: Connection;
  readonly server: LogServer;
  readonly gatewayUrl: string;
  readonly webhookSecret: string;
  readonly key: string;
  readonly logger: Logger;
}

/**
 * Prepares the replay that the configuration asks for and announces it to every partition: that must happen before live time is
 * told, or the sample would be late from its first record. Without a replay a sample left half played is retired, because its
 * silence would hold every window.
 */
export async function startReplay(options: ReplayRunOptions): Promise<ReplayRun> {
  const { config, connection, logger } = options;
  const { mqtt } = options.server;
  if (config.replay !== false && mqtt === undefined) {
    logger.warn("no MQTT broker is known (set MQTT_URL), so nothing is played");
  }
  const replay = mqtt && (await prepare(options, mqtt));
  if (config.replay === false || replay === undefined) {
    await replay?.retire();
    return { progress: () => ({ done: true, sent: 0, total: 0, clock: null }), run: async () => undefined };
  }
  await replay.announce();
  let endOf: ReadonlyMap<string, number> | undefined;
  return {
    progress(tasks) {
      const { sent, total, clockMs } = replay.progress();
      const clock = clockMs === undefined ? null : formatTime(clockMs);
      return { done: endOf !== undefined && allPast(endOf, tasks), sent, total, clock };
    },
    async run(signal) {
      try {
        await replay.run(signal);
        if (replay.progress().done) endOf = await lastTicks(connection, config.partitions);
      } catch (error) {
        if (!signal.aborted) logger.error({ err: error }, "the replay ended early");
      }
    },
  };
}

async function prepare(options: ReplayRunOptions, mqtt: NonNullable<LogServer["mqtt"]>): Promise<Replay> {
  const { config, connection, gatewayUrl, webhookSecret, key } = options;
  const { url: mqttUrl, user, password } = mqtt;
  return createReplay({
    path: typeof config.replay === "string" ? config.replay : join(packageRoot(), "samples"),
    speed: config.speed,
    rebase: config.rebase,
    source: SOURCE,
    webhookUrl: `${gatewayUrl}/hooks/github`,
    secret: webhookSecret,
    localKey: key,
    mqttUrl,
    ...(user === undefined ? {} : { mqttUser: user }),
    ...(password === undefined ? {} : { mqttPassword: password }),
    log: connection.log,
    registers: connection.registers,
    partitions: config.partitions,
    clock: systemClock,
  });
}

/** The position of the sample's last tick, by `<stream>/<partition>`. */
async function lastTicks({ log }: Connection, partitions: number): Promise<ReadonlyMap<string, number>> {
  const ends = new Map<string, number>();
  for (const stream of STREAMS) {
    for (let p = 0; p < partitions; p++) {
      const tick = await log.last(stream, `${stream}.${p}._tick.${SOURCE}`);
      if (tick) ends.set(`${stream}/${p}`, tick.sequence);
    }
  }
  return ends;
}

function allPast(ends: ReadonlyMap<string, number>, tasks: readonly TaskStatus[]): boolean {
  return (
    tasks.length > 0 && tasks.every((task) => task.position >= (ends.get(`${task.source}/${task.partition}`) ?? 0))
  );
}
