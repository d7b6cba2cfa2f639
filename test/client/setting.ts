import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/index.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { createGateway, type Gateway } from "../../src/ws/index.js";
import { startNats, type TestServer } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";

export const KEY = "0123456789abcdef0123456789abcdef";
const logger = createLogger("silent");
const nobody = { received: 0, stored: 0, duplicates: 0, deadLettered: 0 };

type Scope = { teardown(work: () => unknown): void };

/** A real log, somebody who writes alerts into it, a gateway that can be killed and a wire to it that can be cut. */
export interface Setting {
  readonly nats: TestServer;
  readonly epoch: string;
  /** Where clients connect: the wire. */
  readonly url: string;
  /** Writes alerts with the next numbers; goes on when the log is away for a while. */
  write(count: number): Promise<void>;
  /** The numbers of all alerts, in the log's order. */
  written(): Promise<number[]>;
  startGateway(): Promise<void>;
  stopGateway(): Promise<void>;
  /** Cuts every connection, and new ones too until `mend`. */
  cut(): void;
  mend(): void;
}

export async function setting(t: Scope, { staticDir }: { staticDir?: string } = {}): Promise<Setting> {
  const nats = await startNats();
  const writer = await connectLog({ url: nats.url, name: "test-writer", timeoutMs: 2_000 });
  const reader = await connectLog({ url: nats.url, name: "test-gateway" });
  for (const spec of streamSpecs(1)) await writer.log.ensureStream(spec);
  const { incarnation } = await writer.log.info("alerts");
  const wire = await startProxy("http://127.0.0.1:0");
  let gateway: Gateway | undefined;
  let n = 0;
  t.teardown(async () => {
    await gateway?.close();
    await wire.stop();
    await Promise.all([writer.close(), reader.close()]);
    await nats.stop();
  });
  const one = async (): Promise<void> => {
    n++;
    const data = Buffer.from(JSON.stringify({ n, severity: "warning", key: "truck-07", title: `alert ${n}` }));
    await writer.log.publish({ subject: "alerts.0.mine", data }).catch(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await one();
    });
  };
  const self: Setting = {
    nats,
    epoch: incarnation,
    url: wire.url,
    async write(count) {
      for (let i = 0; i < count; i++) await one();
    },
    async written() {
      const { lastSequence } = await writer.log.info("alerts");
      const numbers: number[] = [];
      const log = await writer.log.read({ stream: "alerts", subjects: ["alerts.>"], fromSequence: 1 });
      for (let at = 0; at < lastSequence; ) {
        for (const { data, sequence } of await log.next(512)) {
          numbers.push((JSON.parse(Buffer.from(data).toString()) as { n: number }).n);
          at = sequence;
        }
      }
      await log.close();
      return numbers;
    },
    async startGateway() {
      gateway = await createGateway({
        log: reader.log,
        channels: CHANNELS,
        routes: [],
        host: "127.0.0.1",
        port: 0,
        localKey: KEY,
        logger,
        stats: () => ({
          ...{ github: nobody, telemetry: nobody, late: 0, uptimeS: 1 },
          ...{ features: { stored: 0 }, anomalies: { stored: 0 }, alerts: { stored: 0 }, plans: { stored: 0 } },
          replay: { done: false, sent: 0, total: 0, clock: null },
        }),
        readiness: () => [],
        query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
        allowedOrigins: [self.url],
        ...(staticDir === undefined ? {} : { staticDir }),
      });
      wire.retarget(gateway.port);
    },
    async stopGateway() {
      await gateway?.close();
      gateway = undefined;
    },
    cut: () => wire.close(),
    mend: () => wire.open(),
  };
  await self.startGateway();
  return self;
}
