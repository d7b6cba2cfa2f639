import { setTimeout as delay } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { Cluster } from "./cluster.js";
import type { World } from "./world.js";

/** What happens to a cluster of three servers in a round. */
export const CLUSTER_VICTIMS = ["kill leader", "cut one off", "rolling restart"] as const;
export type ClusterVictim = (typeof CLUSTER_VICTIMS)[number];

/** Strikes, waits, and brings everything back to life. */
export async function strikeCluster(
  _world: World,
  cluster: Cluster,
  victim: ClusterVictim,
  random: () => number,
): Promise<void> {
  const awayMs = 2_000 + random() * 4_000;
  switch (victim) {
    case "kill leader": {
      const leader = await insisting(() => leaderOf(cluster, "accepted"));
      await cluster.kill(leader);
      await delay(awayMs);
      return cluster.start(leader);
    }
    case "cut one off":
      cluster.cutOff();
      await delay(awayMs + 5_000); // longer than an election
      try {
        await insisting(() => checkCutOff(cluster));
      } finally {
        cluster.heal();
      }
      return;
    case "rolling restart":
      for (const name of cluster.names) {
        await cluster.end(name);
        await delay(500);
        await cluster.start(name);
        await delay(2_000); // an operator waits until it is back in the group
      }
  }
}

/** A group that still elects its leader answers nobody: it is asked again, within reason. */
async function insisting<T>(ask: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + 30_000; ; await delay(500)) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
  }
}

/** Servers of a group hear of each other every second. */
const UNHEARD_NS = 3e9;

/** The others must have lost sight of it, or the round shows nothing. */
async function checkCutOff({ url, remote }: Cluster): Promise<void> {
  const connection = await connect({ servers: url.split(",").slice(0, 1) });
  try {
    const { cluster } = await (await jetstreamManager(connection)).streams.info("accepted");
    const peer = cluster?.replicas?.find(({ name }) => name === remote);
    const unheard = peer !== undefined && (!peer.current || peer.active > UNHEARD_NS);
    if (cluster?.leader === remote || !unheard)
      throw new Error(`${remote} is not cut off: leader ${cluster?.leader}, its peer ${JSON.stringify(peer)}`);
  } finally {
    await connection.close();
  }
}

async function leaderOf({ url, names }: Cluster, stream: string): Promise<string> {
  const connection = await connect({ servers: url.split(",") });
  try {
    const { cluster } = await (await jetstreamManager(connection)).streams.info(stream);
    return cluster?.leader ?? (names[0] as string);
  } finally {
    await connection.close();
  }
}
