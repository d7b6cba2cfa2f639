import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";

export interface PublishToFrame {
  /** As printed by `millrace up`, without a path. */
  readonly url: string;
  readonly key: string;
  readonly channel: string;
  readonly clients: number;
  readonly ratePerS: number;
  readonly seconds: number;
  /** Sent but not measured, before that. @default 1 */
  readonly warmUpSeconds?: number;
  /** Writes one record to the channel's stream. `mark` must come back inside the record, at any depth. */
  readonly publish: (mark: string) => Promise<unknown>;
}

export interface LatencyReport {
  readonly clients: number;
  readonly ratePerS: number;
  /** Frames received by all clients, and how many there should have been. */
  readonly frames: number;
  readonly expected: number;
  /** From when the record was due to when the client had its frame: a late publisher counts against us. */
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  readonly latencyMsP999: number;
  readonly latencyMsMax: number;
}

const MARK = /"due:(\d+)"/;

/**
 * Publishes at a fixed rate and times every frame on every client. Publisher and clients share this process and its clock, so a
 * busy load generator shows as latency: keep `clients × ratePerS` below what one core parses (about 100 K a second).
 */
export async function measurePublishToFrame(options: PublishToFrame): Promise<LatencyReport> {
  const { clients, ratePerS, seconds, warmUpSeconds = 1 } = options;
  const total = Math.round(ratePerS * (seconds + warmUpSeconds));
  const skip = Math.round(ratePerS * warmUpSeconds);
  let startMs = 0;
  const dueMs = (i: number) => startMs + (i * 1_000) / ratePerS;
  const latencies: number[] = [];
  let frames = 0;
  const sockets = await Promise.all(
    Array.from({ length: clients }, () =>
      subscribe(options, (text) => {
        const index = Number(MARK.exec(text)?.[1] ?? -1);
        if (index < skip) return;
        frames++;
        latencies.push(performance.now() - dueMs(index));
      }),
    ),
  );
  startMs = performance.now() + 50;
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < total; ) {
    const waitMs = dueMs(i) - performance.now();
    if (waitMs > 0) await sleep(Math.ceil(waitMs));
    for (; i < total && dueMs(i) <= performance.now(); i++) sent.push(options.publish(`due:${i}`));
  }
  await Promise.all(sent);
  const expected = (total - skip) * clients;
  for (let i = 0; i < 100 && frames < expected; i++) await sleep(50);
  for (const socket of sockets) socket.terminate();
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
  return {
    clients,
    ratePerS,
    frames,
    expected,
    latencyMsP50: quantile(0.5),
    latencyMsP99: quantile(0.99),
    latencyMsP999: quantile(0.999),
    latencyMsMax: quantile(1),
  };
}

async function subscribe({ url, key, channel }: PublishToFrame, onEvent: (text: string) => void): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, { headers: { authorization: `Bearer ${key}` } });
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.once("open", () => socket.send(JSON.stringify({ op: "subscribe", id: 1, channel })));
    socket.once("message", (data) => {
      if (data.toString().includes('"op":"subscribed"')) resolve();
      else reject(new Error(`subscribing to ${channel}: ${data}`));
    });
  });
  socket.on("message", (data) => onEvent(data.toString()));
  return socket;
}
