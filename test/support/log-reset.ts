import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { RunningMillrace } from "./millrace.js";

/** What is neither input nor derived from it by us: the broker's own streams for MQTT sessions. */
const INPUTS = new Set(["github", "telemetry"]);
const SNAPSHOTS = /^(KV_|snapshots$)/;

/** Removes every snapshot and lease, so that the next start runs all tasks from the log's beginning. */
export async function removeSnapshots(millrace: RunningMillrace): Promise<void> {
  await removeStreams(millrace, (name) => SNAPSHOTS.test(name));
}

/** Removes snapshots and every output stream: only what the doors wrote is left. */
export async function removeResults(millrace: RunningMillrace): Promise<void> {
  await removeStreams(millrace, (name) => !INPUTS.has(name) && !name.startsWith("$"));
}

async function removeStreams({ instance }: RunningMillrace, isRemoved: (name: string) => boolean): Promise<void> {
  const { natsUrl, natsUser, natsPassword } = instance;
  const nc = await connect({ servers: natsUrl, user: natsUser ?? "", pass: natsPassword ?? "" });
  try {
    const manager = await jetstreamManager(nc);
    for await (const { config } of manager.streams.list()) {
      if (isRemoved(config.name)) await manager.streams.delete(config.name);
    }
  } finally {
    await nc.close();
  }
}
