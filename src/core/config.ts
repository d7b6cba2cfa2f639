import { z } from "zod";
import { MillraceError } from "./errors.js";
import { ROLES } from "./roles.js";

const port = z.coerce.number().int().min(0).max(65_535);
const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
const url = (protocols: string): z.ZodType<string> =>
  z
    .string()
    .regex(
      new RegExp(`^(?:${protocols})://.+`),
      `must be a URL beginning with ${protocols.replaceAll("|", ":// or ")}://`,
    );

/** In the environment a list is written with commas. */
const list = z.union([
  z.array(z.string().min(1)),
  z.string().transform((text) => text.split(",").map((entry) => entry.trim())),
]);
const rate = z.coerce.number().int().positive().max(1_000_000);
const channelRule = z.strictObject({
  channel: z.string().min(1),
  role: z.enum(ROLES),
  subjects: z.array(z.string().min(1)).optional(),
});
/** In the environment the rules are JSON. */
const channelRules = z.preprocess((given, context) => {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given) as unknown;
  } catch {
    context.addIssue("must be JSON");
    return z.NEVER;
  }
}, z.array(channelRule).max(1_000));

/** Of the input streams. */
export const PARTITIONS_MOST = 64;

/** Every option: the same names in flags (`--mqtt-port`), in the environment (see `env`) and in `millrace.yaml` (`mqttPort`). */
export const configSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1"),
  port: port.default(8080),
  mqttPort: port.default(1883),
  dataDir: z.string().min(1).default("data"),
  speed: z.union([z.literal("max"), z.coerce.number().positive().max(100_000)]).default(1),
  replay: z.union([flag, z.string().min(1)]).default(true),
  rebase: z.enum(["now", "none"]).default("now"),
  partitions: z.coerce.number().int().min(1).max(PARTITIONS_MOST).default(4),
  workers: z.coerce.number().int().min(1).max(64).default(1),
  topologies: z.string().min(1).optional(),
  routing: z.string().min(1).optional(),
  rules: z.string().min(1).optional(),
  publicUrl: url("http|https").optional(),
  retentionDays: z.coerce.number().positive().max(36_500).default(30),
  natsUrl: url("nats|tls").optional(),
  replicas: z.coerce.number().int().min(1).max(5).optional(),
  durability: z.enum(["relaxed", "strict"]).default("relaxed"),
  natsServerBin: z.string().min(1).optional(),
  clickhouseUrl: url("http|https").optional(),
  mqttUrl: url("mqtt|mqtts").optional(),
  githubWebhookSecret: z.string().min(8, "must have at least 8 characters").optional(),
  jwtSecret: z.string().min(32, "must have at least 32 characters").optional(),
  jwtPublicKey: z.string().min(1).optional(),
  jwksUrl: url("http|https").optional(),
  jwtIssuer: z.string().min(1).optional(),
  jwtAudience: z.string().min(1).optional(),
  jwtAlgorithms: list.optional(),
  jwtRolesClaim: z.string().min(1).default("roles"),
  channelRules: channelRules.default([]),
  allowedOrigins: list.default([]),
  trustedProxies: list.default([]),
  requestsPerSecond: rate.default(100),
  ingestPerSecond: rate.default(2_000),
  connectionsPerIdentity: rate.default(200),
  connectionsPerAddress: rate.default(1_000),
  transport: z.enum(["auto", "uws", "node"]).default("auto"),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("warn"),
});

export type Config = Readonly<z.output<typeof configSchema>>;
export type ConfigKey = keyof Config;

interface OptionHelp {
  readonly env: string;
  /** Placeholder of the flag's value; none for what is set by environment or file only. */
  readonly flag?: string;
  readonly help: string;
}

/** How each option is named outside, and what it is for. */
export const CONFIG_HELP: Readonly<Record<ConfigKey, OptionHelp>> = {
  host: {
    env: "MILLRACE_HOST",
    flag: "address",
    help: "address to listen on; beyond loopback every call but /healthz needs a token or key of docs/access.md",
  },
  port: { env: "MILLRACE_PORT", flag: "port", help: "HTTP and WebSocket port, 0 = any free" },
  mqttPort: { env: "MILLRACE_MQTT_PORT", flag: "port", help: "port of the embedded MQTT listener, 0 = any free" },
  dataDir: { env: "MILLRACE_DATA_DIR", flag: "path", help: "where the log, the database and the keys live" },
  speed: {
    env: "MILLRACE_SPEED",
    flag: "n|max",
    help: "pace of the replay: 1 plays the sample in about 15 minutes, 2 twice as fast, max as fast as the log accepts",
  },
  replay: {
    env: "MILLRACE_REPLAY",
    flag: "path",
    help: "play this folder instead of the bundled sample; --no-replay plays nothing",
  },
  rebase: {
    env: "MILLRACE_REBASE",
    flag: "now|none",
    help: "now: shift each source by one fixed offset so that it ends now; none: keep recorded times",
  },
  partitions: {
    env: "MILLRACE_PARTITIONS",
    flag: "n",
    help: "partitions of the input streams, fixed at the first start",
  },
  workers: {
    env: "MILLRACE_WORKERS",
    flag: "n",
    help: "threads that run tasks; every thread of every process takes its share",
  },
  topologies: {
    env: "MILLRACE_TOPOLOGIES",
    flag: "path",
    help: "module that exports `pipelines` to run instead of the built-in applications",
  },
  routing: {
    env: "MILLRACE_ROUTING",
    flag: "path",
    help: "who is told of which alarms: a file like alerts/routing.yaml, which ships",
  },
  rules: {
    env: "MILLRACE_RULES",
    flag: "path",
    help: "rules over features (docs/rules.md): a file or a folder of them, read again whenever it changes",
  },
  publicUrl: {
    env: "MILLRACE_PUBLIC_URL",
    flag: "url",
    help: "where people find the page: for links in messages to Slack, Teams and e-mail",
  },
  retentionDays: {
    env: "MILLRACE_RETENTION_DAYS",
    flag: "days",
    help: "how long the log keeps what everybody has read; what somebody has not read is kept longer",
  },
  natsUrl: {
    env: "NATS_URL",
    flag: "url",
    help: "use this NATS server (>= 2.14), or several of a cluster separated by commas, and start none",
  },
  replicas: {
    env: "MILLRACE_REPLICAS",
    flag: "n",
    help: "servers of a NATS cluster that keep each stream, fixed at the first start; 1, or 3 when durability is strict",
  },
  durability: {
    env: "MILLRACE_DURABILITY",
    flag: "relaxed|strict",
    help: "strict: on disk (our own server) or on three servers (NATS_URL) before it is acknowledged; a disk sync a message",
  },
  natsServerBin: { env: "NATS_SERVER_BIN", flag: "path", help: "nats-server binary to start" },
  clickhouseUrl: { env: "CLICKHOUSE_URL", flag: "url", help: "use this ClickHouse server instead of the embedded one" },
  mqttUrl: { env: "MQTT_URL", flag: "url", help: "use this MQTT broker instead of the embedded listener" },
  githubWebhookSecret: {
    env: "GITHUB_WEBHOOK_SECRET",
    help: "secret of the GitHub webhook; generated into the data directory when unset",
  },
  jwtSecret: { env: "MILLRACE_JWT_SECRET", help: "shared secret of tokens (HS256), at least 32 characters" },
  jwtPublicKey: { env: "MILLRACE_JWT_PUBLIC_KEY", help: "file with the PEM public key of tokens" },
  jwksUrl: { env: "MILLRACE_JWKS_URL", help: "where the issuer of tokens publishes its keys" },
  jwtIssuer: { env: "MILLRACE_JWT_ISSUER", help: "issuer of tokens; alone, its OpenID configuration names the keys" },
  jwtAudience: { env: "MILLRACE_JWT_AUDIENCE", help: "audience that tokens must name" },
  jwtAlgorithms: { env: "MILLRACE_JWT_ALGORITHMS", help: "the only algorithms of tokens, when not what fits the key" },
  jwtRolesClaim: { env: "MILLRACE_JWT_ROLES_CLAIM", help: "claim with the roles, such as realm_access.roles" },
  channelRules: {
    env: "MILLRACE_CHANNEL_RULES",
    help: 'who may read which channel, as [{"channel": "plans.*", "role": "operator"}]',
  },
  allowedOrigins: { env: "MILLRACE_ALLOWED_ORIGINS", help: "origins whose pages may connect, beside our own" },
  trustedProxies: { env: "MILLRACE_TRUSTED_PROXIES", help: "addresses and networks whose X-Forwarded-For is believed" },
  requestsPerSecond: {
    env: "MILLRACE_REQUESTS_PER_SECOND",
    help: "requests an identity, or a nameless address, may make",
  },
  ingestPerSecond: { env: "MILLRACE_INGEST_PER_SECOND", help: "requests an API key may make" },
  connectionsPerIdentity: { env: "MILLRACE_CONNECTIONS_PER_IDENTITY", help: "WebSocket connections of one identity" },
  connectionsPerAddress: { env: "MILLRACE_CONNECTIONS_PER_ADDRESS", help: "WebSocket connections of one address" },
  transport: {
    env: "MILLRACE_TRANSPORT",
    flag: "auto|uws|node",
    help: "HTTP transport; auto takes uWebSockets.js where a binary fits",
  },
  logLevel: { env: "MILLRACE_LOG_LEVEL", flag: "level", help: "trace, debug, info, warn, error, fatal or silent" },
};

/** Options whose value no message repeats. */
const SECRET: ReadonlySet<ConfigKey> = new Set(["githubWebhookSecret", "jwtSecret"]);

/** The environment and `millrace.yaml` name options; where a value came from is part of every complaint about it. */
export interface ConfigSource {
  /** Shown in errors: `--port`, `MILLRACE_PORT`, `millrace.yaml`. */
  readonly label: (key: string) => string;
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Merges sources, first wins, and checks the result. Frozen.
 * Errors: MR_OPTION_INVALID naming the place, the value and what is accepted.
 */
export function resolveConfig(sources: readonly ConfigSource[]): Config {
  const merged: Record<string, unknown> = {};
  const from = new Map<string, string>();
  for (const { label, values } of sources) {
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined || key in merged) continue;
      merged[key] = value;
      from.set(key, label(key));
    }
  }
  const parsed = configSchema.safeParse(merged);
  if (parsed.success) return Object.freeze(parsed.data);
  const complaints = parsed.error.issues.flatMap((issue) => complaint(issue, merged, from));
  throw new MillraceError("MR_OPTION_INVALID", complaints.join("\n"));
}

function complaint(
  issue: z.core.$ZodIssue,
  merged: Record<string, unknown>,
  from: ReadonlyMap<string, string>,
): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(CONFIG_HELP).join(", ");
    return issue.keys.map((key) => `${from.get(key) ?? key}: there is no option ${key}; known are ${known}`);
  }
  const key = String(issue.path[0]) as ConfigKey;
  // A URL may hold a password.
  const shown = SECRET.has(key) ? "(hidden)" : JSON.stringify(merged[key])?.replace(/\/\/[^@/"]*@/g, "//(hidden)@");
  return [
    `${from.get(key) ?? key}: ${shown} is not accepted (${issue.message.toLowerCase()}); ${CONFIG_HELP[key].help}`,
  ];
}
