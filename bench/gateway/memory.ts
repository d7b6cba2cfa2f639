import { connectClients, sleep, startServer } from "./rig.js";
import type { Kind } from "./server.js";

/** Resident bytes a connection adds, connected and (for Millrace) let in by its key and subscribed. Warmed with a tenth of them first. */
export async function bytesPerConnection(kind: Kind, connections: number): Promise<number> {
  const server = await startServer(kind);
  try {
    const first = await connectClients(server, { connections: connections / 10 });
    server.offer(50, 256);
    await sleep(500);
    server.offer(0, 0);
    await sleep(300);
    const before = await settled(server);
    const rest = await connectClients(server, { connections });
    await sleep(500);
    const after = await settled(server);
    first.stop();
    rest.stop();
    return (after - before) / connections;
  } finally {
    await server.stop();
  }
}

export interface Overload {
  /** Growth of the server while readers stood still. */
  readonly grownBytes: number;
  /** Frames the readers that went on got, of those they should have got. */
  readonly delivered01: number;
  readonly p99Ms: number;
}

/** A part of the readers stops reading for good while the rest goes on. */
export async function overload(
  kind: Kind,
  options: {
    readonly connections: number;
    readonly stalled: number;
    readonly ratePerS: number;
    readonly bytes: number;
    readonly seconds: number;
  },
): Promise<Overload> {
  const { connections, stalled, ratePerS, bytes, seconds } = options;
  const server = await startServer(kind);
  try {
    const clients = await connectClients(server, { connections, stalled });
    const before = (await server.usage(true)).rssBytes;
    server.offer(ratePerS, bytes);
    await sleep(500);
    const { frames, p99Ms, seconds: measuredS } = await clients.measure(seconds);
    const after = (await server.usage(true)).rssBytes;
    clients.stop();
    return {
      grownBytes: after - before,
      delivered01: frames / measuredS / (ratePerS * (connections - stalled)),
      p99Ms,
    };
  } finally {
    await server.stop();
  }
}

/** After a garbage collection or two. */
async function settled(server: Awaited<ReturnType<typeof startServer>>): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await server.usage(true);
    await sleep(150);
  }
  return (await server.usage(true)).rssBytes;
}
