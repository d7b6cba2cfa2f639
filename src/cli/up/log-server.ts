import { join } from "node:path";
import { type Config, MillraceError } from "../../core/index.js";
import { type LogOptions, type NatsServer, obtainNatsServer, startNatsServer } from "../../streams/index.js";
import { cacheDir } from "../cache-dir.js";

/** The log and the broker, ours or given. */
export interface LogServer {
  readonly log: Omit<LogOptions, "name">;
  /** Undefined: no broker, so no MQTT door. */
  readonly mqtt: { readonly url: string; readonly user?: string; readonly password?: string } | undefined;
  /** Of the embedded listener; undefined when the broker is given. */
  readonly mqttPort: number | undefined;
  /** Resolves with how the server ended, if it ends by itself. */
  readonly exited: Promise<string>;
  /** The server that we have started; undefined when it is given. */
  readonly own: Pick<NatsServer, "writeFailures" | "restart"> | undefined;
  stop(): Promise<void>;
}

const NEVER = new Promise<string>(() => undefined);

/** Uses NATS_URL, or finds or obtains nats-server and starts it on loopback with its data under the data directory. */
export async function openLogServer(
  config: Config,
  mqttPassword: string,
  report: (line: string) => void,
): Promise<LogServer> {
  const givenMqtt = config.mqttUrl === undefined ? undefined : brokerAt(config.mqttUrl);
  if (config.natsUrl !== undefined) {
    return {
      log: logAt(config.natsUrl, replicasOf(config)),
      mqtt: givenMqtt,
      mqttPort: undefined,
      exited: NEVER,
      own: undefined,
      stop: async () => undefined,
    };
  }
  const env = {
    ...process.env,
    ...(config.natsServerBin === undefined ? {} : { NATS_SERVER_BIN: config.natsServerBin }),
  };
  const found = await obtainNatsServer({ env, cacheDir: cacheDir(), report });
  if (found.kind === "url")
    throw new MillraceError("MR_OPTION_INVALID", `NATS_URL ${found.url} was not read as an option`);
  const mqttPort = givenMqtt === undefined ? config.mqttPort : undefined;
  const server = await startNatsServer({
    bin: found.path,
    storeDir: join(config.dataDir, "nats"),
    mqttPort,
    mqttPassword,
    syncAlways: config.durability === "strict",
  });
  if (server.endedStale) report("nats-server: ended the one a killed run had left");
  const { user, password } = server;
  const ownMqtt =
    server.mqttPort === undefined ? undefined : { url: `mqtt://127.0.0.1:${server.mqttPort}`, user, password };
  return {
    log: { url: server.url, user, password },
    mqtt: givenMqtt ?? ownMqtt,
    mqttPort: server.mqttPort,
    exited: server.exited,
    own: server,
    stop: () => server.stop(),
  };
}

/** On how many servers streams are kept. */
export function replicasOf({ replicas, durability }: Pick<Config, "replicas" | "durability">): number {
  return replicas ?? (durability === "strict" ? 3 : 1);
}

/** One server, or several of a cluster separated by commas. Credentials are taken out of the URLs, so that they can be shown. */
export function logAt(text: string, replicas = 1): Omit<LogOptions, "name"> {
  const servers = text.split(",").map(brokerAt);
  const { url, user, password } = servers[0] as (typeof servers)[number];
  return {
    url,
    ...(servers.length === 1 ? {} : { servers: servers.map(({ url }) => url) }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    replicas,
  };
}

function brokerAt(text: string): { url: string; user?: string; password?: string } {
  const url = new URL(text);
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  url.username = "";
  url.password = "";
  return { url: url.href.replace(/\/$/, ""), ...(user ? { user } : {}), ...(password ? { password } : {}) };
}
