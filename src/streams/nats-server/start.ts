import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MillraceError } from "../../core/index.js";
import { configText } from "./config.js";
import { type Endpoint, endStaleServer, removeEndpoint, writeEndpoint } from "./endpoint.js";
import { writeFailures } from "./health.js";
import { answersNats, answersTcp } from "./probe.js";

export interface NatsServerOptions {
  /** The program, from `obtainNatsServer`. */
  readonly bin: string;
  /** Holds the log's data and everything about the running server. Created when missing. One server at a time. */
  readonly storeDir: string;
  /** Of the MQTT listener on 127.0.0.1. 0: any free port. Undefined: no MQTT. */
  readonly mqttPort: number | undefined;
  /** What devices give as password of the user "mqtt". */
  readonly mqttPassword: string;
  /** A message is on disk before it is acknowledged: survives a power cut, at the price of a sync each. @default false */
  readonly syncAlways?: boolean;
  /** The largest message. @default 8 MiB */
  readonly maxPayloadBytes?: number;
  /** Recovery of a large store counts. @default 120000 */
  readonly readyTimeoutMs?: number;
  /** The server's whole environment, for example GOMEMLIMIT. @default empty */
  readonly env?: Readonly<Record<string, string>>;
  /** How long an orderly end may take before the server is killed. @default 3000 */
  readonly stopTimeoutMs?: number;
}

export interface NatsServer extends Endpoint {
  /** Of the process that runs now. */
  readonly pid: number;
  /** True when a server of a killed predecessor had to be ended first. */
  readonly endedStale: boolean;
  /** Resolves when the process has ended, asked or not, but for `restart`, with how it did ("exit code 1", "SIGKILL"). */
  readonly exited: Promise<string>;
  /** What it cannot write any more, until a restart; empty when all is well, undefined while it does not answer. See health.ts. */
  writeFailures(): Promise<readonly string[] | undefined>;
  /**
   * Ends the server in order and starts it again on the same ports with the same passwords: clients reconnect. When it cannot be
   * started again this rejects as `startNatsServer` does, and may be called again.
   */
  restart(): Promise<void>;
  /** Ends the server in order, or kills it after `stopTimeoutMs`. Safe to call twice. */
  stop(): Promise<void>;
}

const POLL_MS = 10;
const LOG_TAIL_LINES = 5;
/** For a store that has its streams: started with little room left it would refuse what was promised to them, also when there is more. */
const MAX_FILE_BYTES = 2 ** 50;

/**
 * Starts nats-server with JetStream on 127.0.0.1 and resolves when it answers. It runs in a process group of its own, so a
 * Ctrl-C at the terminal reaches only us, and we stop it after draining. If we are killed it goes on running, and the next
 * start on the same folder ends it.
 *
 * Errors: MR_PORT_IN_USE for the MQTT port, MR_DATA_DIR_IN_USE, MR_SERVER_FAILED with the last lines of the server's log.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const stopTimeoutMs = options.stopTimeoutMs ?? 3_000;
  await mkdir(options.storeDir, { recursive: true, mode: 0o700 });
  const storeDir = await realpath(options.storeDir);
  const endedStale = (await endStaleServer(storeDir, stopTimeoutMs)) === "ended";
  const password = randomBytes(24).toString("base64url");
  const launch = (ports: Ports): Promise<Launched> =>
    launchServer({ options, ports, storeDir, password, stopTimeoutMs });

  let running: Launched | undefined = await launch({ mqtt: options.mqttPort });
  const { endpoint } = running;
  let pid = endpoint.pid;
  let over: (how: string) => void = () => undefined;
  const exited = new Promise<string>((resolve) => {
    over = resolve;
  });
  const follow = (launched: Launched): void => {
    void launched.process.exited.then((how) => launched === running && over(how));
  };
  follow(running);
  const replace = async (): Promise<void> => {
    const before = running;
    running = undefined; // its end is asked for
    await before?.process.end();
    running = await launch({ client: Number(new URL(endpoint.url).port), mqtt: endpoint.mqttPort });
    pid = running.endpoint.pid;
    follow(running);
  };
  let replacing: Promise<void> = Promise.resolve();
  return {
    ...endpoint,
    get pid() {
      return pid;
    },
    endedStale,
    exited,
    writeFailures: () => writeFailures(endpoint.url, password),
    restart: () => {
      replacing = replacing.catch(() => undefined).then(replace);
      return replacing;
    },
    stop: async () => {
      await replacing.catch(() => undefined);
      await running?.process.end();
      await removeEndpoint(storeDir);
    },
  };
}

interface Ports {
  /** Undefined: any free one. */
  readonly client?: number;
  /** As in `NatsServerOptions`. */
  readonly mqtt: number | undefined;
}

interface Launched {
  readonly process: OwnedProcess;
  readonly endpoint: Endpoint;
}

/** Starts the program once, and waits until it answers. */
async function launchServer(what: {
  options: NatsServerOptions;
  ports: Ports;
  storeDir: string;
  password: string;
  stopTimeoutMs: number;
}): Promise<Launched> {
  const { options, ports, storeDir, password, stopTimeoutMs } = what;
  await clearRunFiles(storeDir);
  const confPath = join(storeDir, "nats-server.conf");
  const { mqttPassword, maxPayloadBytes = 8 << 20, syncAlways = false } = options;
  const mqttPort = ports.mqtt;
  const serverName = `millrace-${randomBytes(4).toString("hex")}`;
  await writeFile(
    confPath,
    configText({
      ...{ serverName, storeDir, mqttPort, maxPayloadBytes, password, mqttPassword, syncAlways },
      port: ports.client,
      maxFileBytes: (await holdsStreams(storeDir)) ? MAX_FILE_BYTES : undefined,
    }),
    { mode: 0o600 },
  );

  const child = await spawnDetached(options.bin, {
    args: ["-c", confPath],
    outPath: join(storeDir, "nats-server.out"),
    env: options.env ?? {},
  });
  const server = own(child, stopTimeoutMs);
  try {
    const ready = await waitUntilReady({ storeDir, password, mqttPort, options, exited: server.exited });
    const endpoint: Endpoint = { ...ready, user: "millrace", password, pid: server.pid, parentPid: process.pid };
    await writeEndpoint(storeDir, endpoint);
    return { process: server, endpoint };
  } catch (error) {
    await server.end();
    throw error;
  }
}

/** Streams have limits of their own; one of the server, taken from what is free, only decides whether they are made at all. */
async function holdsStreams(storeDir: string): Promise<boolean> {
  const names = await readdir(join(storeDir, "jetstream", "$G", "streams")).catch(() => []);
  return names.length > 0;
}

/** Removes what the last run said about itself; its log stays as `nats-server.log.1`. */
async function clearRunFiles(storeDir: string): Promise<void> {
  for (const name of await readdir(storeDir))
    if (name.endsWith(".ports") || name === "nats-server.conf") await rm(join(storeDir, name));
  await removeEndpoint(storeDir);
  const log = join(storeDir, "nats-server.log");
  await rename(log, `${log}.1`).catch(() => undefined); // there is none at the first start
}

async function spawnDetached(
  bin: string,
  { args, outPath, env }: { args: readonly string[]; outPath: string; env: Readonly<Record<string, string>> },
): Promise<ChildProcess> {
  // A file, not a pipe: when we are killed the server must not die of a broken pipe in the middle of a write.
  const out = await open(outPath, "w", 0o600);
  try {
    const child = spawn(bin, args, { detached: true, stdio: ["ignore", out.fd, out.fd], env });
    await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
    return child;
  } catch (cause) {
    throw new MillraceError("MR_SERVER_FAILED", `${bin} could not be started: ${(cause as Error).message}`, { cause });
  } finally {
    await out.close();
  }
}

interface OwnedProcess {
  readonly pid: number;
  readonly exited: Promise<string>;
  end(): Promise<void>;
}

function own(child: ChildProcess, stopTimeoutMs: number): OwnedProcess {
  const killWithUs = (): void => void child.kill("SIGTERM"); // process.exit() without stop(): better than an orphan
  process.once("exit", killWithUs);
  const exited = new Promise<string>((resolve) => {
    const gone = (code: number | null, signal: NodeJS.Signals | null): void => {
      process.removeListener("exit", killWithUs);
      resolve(signal ?? `exit code ${code}`);
    };
    if (child.exitCode === null && child.signalCode === null) child.once("exit", gone);
    else gone(child.exitCode, child.signalCode); // some end sooner than they are looked at
  });
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    await exited;
    clearTimeout(timer);
  };
  return { pid: child.pid as number, exited, end };
}

async function waitUntilReady(context: {
  storeDir: string;
  password: string;
  mqttPort: number | undefined;
  options: NatsServerOptions;
  exited: Promise<string>;
}): Promise<{ url: string; mqttPort?: number }> {
  const { storeDir, password, mqttPort, options, exited } = context;
  const { readyTimeoutMs = 120_000 } = options;
  let ended: string | undefined;
  void exited.then((how) => {
    ended = how;
  });
  for (const deadlineMs = performance.now() + readyTimeoutMs; performance.now() < deadlineMs; ) {
    if (ended !== undefined) throw await startError(storeDir, `ended with ${ended}`, mqttPort);
    const url = await readUrl(storeDir);
    if (url !== undefined && (await answersNats(url, "millrace", password))) {
      if (mqttPort === undefined) return { url };
      const bound = mqttPort === 0 ? await readMqttPort(storeDir) : mqttPort;
      if (bound !== undefined && (await answersTcp(bound))) return { url, mqttPort: bound };
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw await startError(storeDir, `did not answer within ${readyTimeoutMs / 1000} s`, mqttPort);
}

/** From the ports file, which the server writes when every listener accepts. */
async function readUrl(storeDir: string): Promise<string | undefined> {
  const name = (await readdir(storeDir)).find((candidate) => candidate.endsWith(".ports"));
  if (name === undefined) return undefined;
  const text = await readFile(join(storeDir, name), "utf8");
  return /"(nats:\/\/[^"]+)"/.exec(text)?.[1];
}

/** The ports file leaves MQTT out, so a port the server chose is only in its log. */
async function readMqttPort(storeDir: string): Promise<number | undefined> {
  const match = /Listening for MQTT clients on mqtt:\/\/[^\s]*:(\d+)/.exec(await readLog(storeDir));
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

async function startError(storeDir: string, how: string, mqttPort: number | undefined): Promise<MillraceError> {
  const said = `${await readFile(join(storeDir, "nats-server.out"), "utf8").catch(() => "")}\n${await readLog(storeDir)}`;
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  if (/MQTT.*address already in use/.test(said))
    return new MillraceError(
      "MR_PORT_IN_USE",
      `the MQTT port ${mqttPort} is taken. Choose another with --mqtt-port; 0 takes any free port`,
    );
  if (/MQTT.*permission denied/.test(said))
    return new MillraceError(
      "MR_OPTION_INVALID",
      `the MQTT port ${mqttPort} needs more rights. Choose one above 1023 with --mqtt-port; 0 takes any free port`,
    );
  const tail = lines.slice(-LOG_TAIL_LINES).join("\n  ");
  return new MillraceError(
    "MR_SERVER_FAILED",
    `nats-server ${how}; the end of ${storeDir}/nats-server.log:\n  ${tail}`,
  );
}

async function readLog(storeDir: string): Promise<string> {
  return readFile(join(storeDir, "nats-server.log"), "utf8").catch(() => "");
}
