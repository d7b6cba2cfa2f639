import { connectClients, type Load, type ServerUnderTest, sleep, startServer, type Want } from "./rig.js";
import type { Kind, Usage } from "./server.js";

export interface Setting {
  readonly kind: Kind;
  readonly flushMs?: number;
}

export interface Round {
  /** Server CPU a frame delivered. */
  readonly cpuUs: number;
  /** Of that, in the kernel: mostly `send`. */
  readonly kernel01: number;
  /** Server CPU a text offered. */
  readonly cpuUsPerText: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Frames delivered of those that should have been. */
  readonly delivered01: number;
  /** Above 0.85 the load client was the limit. */
  readonly clientBusy01: number;
  readonly rssBytes: number;
  /** Of the time: server or load client, whichever was kept more from its core by other programs. Latencies mean nothing then. */
  readonly heldUp01: number;
}

export interface Shape {
  readonly connections: number;
  readonly ratePerS: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly stalled?: number;
  /** Texts and connections are of so many groups. @default 1 */
  readonly groups?: number;
  readonly want?: Want;
}

/** One server, one load: started, connected, warmed up, measured, ended. */
export async function fanOutRound(setting: Setting, shape: Shape): Promise<Round> {
  const server = await startServer(setting.kind);
  try {
    const { connections, stalled = 0, groups = 1, want = "everything" } = shape;
    await compileCode(server);
    const clients = await connectClients(server, { connections, stalled, groups, want, flushMs: setting.flushMs ?? 0 });
    try {
      server.offer(shape.ratePerS, shape.bytes, groups, want === "channel");
      await sleep(shape.warmUpSeconds * 1_000);
      const before = await server.usage();
      const load = await clients.measure(shape.seconds);
      const after = await server.usage();
      const share01 = want === "everything" || (want === "filtered" && !hasFilters(setting.kind)) ? 1 : 1 / groups;
      const duePerS = shape.ratePerS * (connections - stalled) * share01;
      return toRound(load, { before, after }, duePerS);
    } finally {
      clients.stop();
    }
  } finally {
    await server.stop();
  }
}

/** Two clients and many texts first: a program that has just started is busy compiling itself, which is no cost of a delivery. */
export async function compileCode(server: ServerUnderTest): Promise<void> {
  const few = await connectClients(server, { connections: 2 });
  server.offer(4_000, 256);
  await sleep(2_000);
  server.offer(0, 0);
  few.stop();
  await sleep(100);
}

const hasFilters = (kind: Kind) => kind.startsWith("millrace");

function toRound(load: Load, { before, after }: Record<"before" | "after", Usage>, duePerS: number): Round {
  const cpuUs = after.cpuUs - before.cpuUs;
  return {
    cpuUs: cpuUs / load.frames,
    kernel01: (after.systemUs - before.systemUs) / cpuUs,
    cpuUsPerText: cpuUs / (after.offered - before.offered),
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    delivered01: load.frames / load.seconds / duePerS,
    clientBusy01: load.cpuS / load.seconds,
    rssBytes: after.rssBytes,
    heldUp01: Math.max((after.waitedUs - before.waitedUs) / 1e6 / load.seconds, load.waited01),
  };
}
