import { type Connection, connectLog } from "../streams/index.js";
import type { RunningInstance } from "./client.js";

/** The log of a running instance. */
export function connectInstance({ natsUrl, natsUser, natsPassword }: RunningInstance): Promise<Connection> {
  return connectLog({
    url: natsUrl,
    name: "millrace-cli",
    ...(natsUser === null ? {} : { user: natsUser }),
    ...(natsPassword === null ? {} : { password: natsPassword }),
  });
}
