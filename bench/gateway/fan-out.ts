import { connectClients, type Load, sleep, startServer } from "./rig.js";
import type { Kind } from "./server.js";

export interface Setting {
  readonly kind: Kind;
  readonly flushMs?: number;
}

export interface Round {
  /** Server CPU a frame delivered. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Frames delivered of those that should have been. */
  readonly delivered01: number;
  /** Above 0.85 the load client was the limit. */
  readonly clientBusy01: number;
  readonly rssBytes: number;
}

export interface Shape {
  readonly connections: number;
  readonly ratePerS: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly stalled?: number;
}

/** One server, one load: started, connected, warmed up, measured, ended. */
export async function fanOutRound(setting: Setting, shape: Shape): Promise<Round> {
  const server = await startServer(setting.kind);
  try {
    const { connections, stalled = 0 } = shape;
    const clients = await connectClients(server, { connections, stalled, flushMs: setting.flushMs ?? 0 });
    try {
      server.offer(shape.ratePerS, shape.bytes);
      await sleep(shape.warmUpSeconds * 1_000);
      const before = await server.usage();
      const load = await clients.measure(shape.seconds);
      const after = await server.usage();
      return toRound(load, after.cpuUs - before.cpuUs, after.rssBytes, shape.ratePerS * (connections - stalled));
    } finally {
      clients.stop();
    }
  } finally {
    await server.stop();
  }
}

function toRound(load: Load, cpuUs: number, rssBytes: number, duePerS: number): Round {
  return {
    cpuUs: cpuUs / load.frames,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    delivered01: load.frames / load.seconds / duePerS,
    clientBusy01: load.cpuS / load.seconds,
    rssBytes,
  };
}
