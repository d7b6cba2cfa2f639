import { setTimeout as delay } from "node:timers/promises";
import { type ClusterVictim, strikeCluster } from "./cluster-victims.js";
import type { World } from "./world.js";

/** Who is hit in a round, and how. */
export const VICTIMS = [
  "kill worker",
  "pause worker",
  "kill server",
  "pause server",
  "kill worker and server",
  "pause worker, kill the other",
  "kill both workers",
  "kill everything",
] as const;
/** What shows a missing fence, a worker that is paused and goes on, is picked more often. */
export const USUAL: readonly Victim[] = [...VICTIMS, "pause worker", "pause worker, kill the other"];
export type Victim = (typeof VICTIMS)[number] | ClusterVictim;

/** Strikes, waits, and brings everything back to life. */
export async function strike(world: World, victim: Victim, random: () => number): Promise<void> {
  const { kill, workers } = world;
  if (kill.kind === "cluster") return strikeCluster(world, kill.cluster, victim as ClusterVictim, random);
  const { server } = kill;
  const first = Math.floor(random() * workers.length);
  const [one, other] = [workers[first], workers[1 - first]];
  if (one === undefined || other === undefined) throw new Error("there are two workers");
  // Around the lease's period of 3 s: shorter than a failover, and longer, when somebody else has taken over meanwhile.
  const pauseMs = 2_500 + random() * 5_500;
  const soonMs = 100 + random() * 900;
  const serverAgain = async (): Promise<void> => {
    await delay(soonMs);
    await server.start();
  };
  switch (victim) {
    case "kill worker":
      await one.kill();
      await delay(soonMs);
      return one.start();
    case "pause worker":
      one.pause();
      await delay(pauseMs);
      return one.resume();
    case "kill server":
      await server.kill();
      return serverAgain();
    case "pause server":
      process.kill(server.pid(), "SIGSTOP");
      await delay(pauseMs);
      process.kill(server.pid(), "SIGCONT");
      return;
    case "kill worker and server":
      await Promise.all([one.kill(), server.kill()]);
      await serverAgain();
      return one.start();
    case "pause worker, kill the other":
      one.pause();
      await other.kill();
      await other.start();
      await delay(pauseMs);
      return one.resume();
    case "kill both workers":
      await Promise.all([one.kill(), other.kill()]);
      await delay(soonMs);
      return void (await Promise.all([one.start(), other.start()]));
    case "kill everything":
      await Promise.all([one.kill(), other.kill(), server.kill()]);
      await serverAgain();
      return void (await Promise.all([one.start(), other.start()]));
  }
}
