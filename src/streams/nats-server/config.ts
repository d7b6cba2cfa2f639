import { MillraceError } from "../../core/index.js";

export interface ServerConfig {
  readonly serverName: string;
  readonly storeDir: string;
  /** Of the clients' listener on 127.0.0.1. Undefined: any free port. */
  readonly port: number | undefined;
  /** Undefined: no MQTT listener. 0: any free port. */
  readonly mqttPort: number | undefined;
  readonly maxPayloadBytes: number;
  /** What its streams may hold together. Undefined: three quarters of what is free on the disk at its start. */
  readonly maxFileBytes: number | undefined;
  /** Sync to disk before each acknowledgement. */
  readonly syncAlways: boolean;
  /** Password of the user "millrace", who may do everything, and of "system", who may ask the server how it is. */
  readonly password: string;
  /** Password of the user "mqtt": devices, which may publish readings over MQTT and do nothing else. */
  readonly mqttPassword: string;
}

/** The only subjects a device may publish to: the topics `millrace/v1/…`. */
export const DEVICE_SUBJECTS = "millrace.v1.>";

/** Of nats-server's own account, which holds no data. */
export const SYSTEM_USER = "system";

/** nats-server's configuration file. It holds two passwords: write it with mode 0600. */
export function configText(config: ServerConfig): string {
  const { serverName, storeDir, port = -1, mqttPort, maxPayloadBytes, password, mqttPassword, syncAlways } = config;
  const maxFile = config.maxFileBytes === undefined ? "" : `, max_file: ${config.maxFileBytes}`;
  const lines = [
    "# Written by Millrace on every start; changes are lost.",
    `server_name: ${quote(serverName)}`,
    `listen: "127.0.0.1:${port}"`,
    `pid_file: ${quote(`${storeDir}/nats-server.pid`)}`,
    `ports_file_dir: ${quote(storeDir)}`,
    `log_file: ${quote(`${storeDir}/nats-server.log`)}`,
    "logfile_size_limit: 16MB",
    "logfile_max_num: 2",
    `max_payload: ${maxPayloadBytes}`,
    `jetstream { store_dir: ${quote(storeDir)}${syncAlways ? ', sync_interval: "always"' : ""}${maxFile} }`,
    ...(mqttPort === undefined
      ? []
      : [
          // What is not acknowledged comes again after ack_wait, 30 s if unset: too long behind newer readings.
          `mqtt { listen: "127.0.0.1:${mqttPort === 0 ? -1 : mqttPort}", ack_wait: "5s" }`,
        ]),
    "authorization {",
    "  users: [",
    `    { user: "millrace", password: ${quote(password)} }`,
    `    { user: "mqtt", password: ${quote(mqttPassword)}, allowed_connection_types: ["MQTT"]`,
    `      permissions: { publish: { allow: [${quote(DEVICE_SUBJECTS)}] }, subscribe: { deny: [">"] } } }`,
    "  ]",
    "}",
    `accounts { "$SYS": { users: [ { user: ${quote(SYSTEM_USER)}, password: ${quote(password)} } ] } }`,
  ];
  return `${lines.join("\n")}\n`;
}

/** A string of nats-server's configuration language. */
function quote(text: string): string {
  // A leading "$2a$" would be read as a bcrypt hash, a control character cannot be written.
  if (/[\p{Cc}]|^\$2/u.test(text))
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `${JSON.stringify(text)} cannot be written into nats-server's configuration`,
    );
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
