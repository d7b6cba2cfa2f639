import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "../../test/support/nats.js";
import { connectClients, sleep, startServer } from "./rig.js";
import type { Kind } from "./server.js";

export interface RelayRound {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly delivered01: number;
}

/** Publish to the log → frame received, at a fixed rate: the gateway and a bare relay in turns, on one log. */
export async function relayRounds(options: {
  readonly rounds: number;
  readonly clients: number;
  readonly ratePerS: number;
  readonly seconds: number;
}): Promise<Readonly<Record<"millrace-log" | "relay-log", readonly RelayRound[]>>> {
  const nats = await startNats();
  const writer = await connectLog({ url: nats.url, name: "bench-publisher" });
  const found = { "millrace-log": [] as RelayRound[], "relay-log": [] as RelayRound[] };
  try {
    for (const spec of streamSpecs(2)) if (["alerts", "audit"].includes(spec.name)) await writer.log.ensureStream(spec);
    const kinds = ["millrace-log", "relay-log"] as const;
    for (let round = 0; round < options.rounds; round++)
      for (const kind of round % 2 === 0 ? kinds : [...kinds].reverse())
        found[kind].push(await oneRound(kind, nats.url, options, (text) => publish(writer, text)));
  } finally {
    await writer.close();
    await nats.stop();
  }
  return found;
}

function publish({ log }: Awaited<ReturnType<typeof connectLog>>, text: string): void {
  void log.publish({ subject: "alerts.0.mine", data: Buffer.from(text) });
}

async function oneRound(
  kind: Kind,
  url: string,
  {
    clients: connections,
    ratePerS,
    seconds,
  }: { readonly clients: number; readonly ratePerS: number; readonly seconds: number },
  send: (text: string) => void,
): Promise<RelayRound> {
  const server = await startServer(kind, url);
  let timer: NodeJS.Timeout | undefined;
  try {
    await sleep(300); // until the consumers stand
    const clients = await connectClients(server, { connections, flushMs: 0 });
    const startMs = performance.now();
    let sent = 0;
    timer = setInterval(() => {
      for (const due = ((performance.now() - startMs) * ratePerS) / 1_000; sent < due; sent++) {
        const stampUs = Math.round((performance.timeOrigin + performance.now()) * 1_000);
        send(`{"t":${stampUs},"severity":"critical","text":"${"x".repeat(200)}"}`);
      }
    }, 1);
    await sleep(1_500);
    const { frames, seconds: measuredS, p50Ms, p99Ms } = await clients.measure(seconds);
    clients.stop();
    return { p50Ms, p99Ms, delivered01: frames / measuredS / (ratePerS * connections) };
  } finally {
    clearInterval(timer);
    await server.stop();
  }
}
