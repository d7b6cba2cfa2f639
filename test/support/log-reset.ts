import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { RunningMillrace } from "./millrace.js";

/** Removes every snapshot and lease, so that the next start runs all tasks from the log's beginning. */
export async function removeSnapshots({ instance }: RunningMillrace): Promise<void> {
  const { natsUrl, natsUser, natsPassword } = instance;
  const nc = await connect({ servers: natsUrl, user: natsUser ?? "", pass: natsPassword ?? "" });
  try {
    const manager = await jetstreamManager(nc);
    for await (const { config } of manager.streams.list()) {
      if (/^(KV|OBJ)_/.test(config.name)) await manager.streams.delete(config.name);
    }
  } finally {
    await nc.close();
  }
}
