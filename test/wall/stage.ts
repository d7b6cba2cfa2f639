import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Alert, createLogger, type Plan, packageRoot, type Stats } from "../../src/core/index.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { connectClickhouse, createClickhouseSink, createQueryRunner, createSinkTask } from "../../src/sinks/index.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { createGateway, type Gateway } from "../../src/ws/index.js";
import { startNats } from "../support/nats.js";
import { scene, statsAt } from "./scene.js";

const KEY = "stage-key-0123456789abcdef";

export interface Stage {
  /** Address of the page, with the key. */
  readonly address: string;
  /** The gateway's address without anything. */
  url(): string;
  setStats(stats: Stats): void;
  publish(record: Alert | Plan): Promise<void>;
  stopGateway(): Promise<void>;
  /** On the same port again. */
  startGateway(): Promise<void>;
  close(): Promise<void>;
}

/** The page in front of a real log, a real database and the real gateway; only who writes to the log is played. */
export async function openStage({ empty = false }: { empty?: boolean } = {}): Promise<Stage> {
  const logger = createLogger("silent");
  const server = await startNats();
  const directory = await mkdtemp(join(tmpdir(), "millrace-wall-"));
  const { log, registers, close: closeLog } = await connectLog({ url: server.url, name: "stage" });
  for (const spec of streamSpecs(4)) await log.ensureStream(spec);
  const clickhouse = await connectClickhouse({ path: join(directory, "clickhouse") });
  const sink = createClickhouseSink(clickhouse);
  await sink.open();
  const streams = ["features", "alerts", "plans", "dead"] as const;
  const onPoison = async (_row: unknown, reason: string) => {
    throw new Error(`the scene holds a record that no table takes: ${reason}`);
  };
  const tasks = streams.map((stream) => createSinkTask({ log, registers, sink, stream, onPoison, logger }));
  const stopping = new AbortController();
  const runs = tasks.map((task) => task.run(stopping.signal));

  let numbered = 0;
  const write = async (subject: string, records: readonly object[]) => {
    const lines = records.map((record) => JSON.stringify({ id: `stage/stage/0/${++numbered}/0`, ...record }));
    await log.publish({ subject, data: Buffer.from(lines.join("\n")) });
  };
  const query = createQueryRunner(clickhouse);
  const rows = async (table: string) => Number((await query(`SELECT count() FROM ${table}`)).rows[0]?.[0]);
  if (!empty) {
    const { features, alerts, plans, dead } = await scene();
    for (const alert of alerts) await write(`alerts.0.${alert.domain}`, [alert]);
    await write("plans.minez.ready", plans);
    await write("dead.telemetry", dead);
    for (let i = 0; i < features.length; i += 200) await write("features.0.stage.all", features.slice(i, i + 200));
    const wanted = {
      features: features.length - anomalies(features),
      anomalies: anomalies(features),
      alerts: alerts.length,
      plans: plans.length,
      dead_letters: dead.length,
    };
    for (const [table, count] of Object.entries(wanted)) {
      while ((await rows(table)) < count) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  let stats: Stats = empty ? { ...statsAt(0), replay: { done: false, sent: 0, total: 0, clock: null } } : statsAt(0.42);
  const staticDir = join(packageRoot(), "build", "wall");
  if (!existsSync(join(staticDir, "index.html"))) throw new Error(`${staticDir} is empty: run npm run build first`);
  const startGateway = (port: number): Promise<Gateway> =>
    createGateway({
      channels: CHANNELS,
      log,
      logger,
      routes: [],
      staticDir,
      host: "127.0.0.1",
      port,
      // Not uWebSockets.js: it cannot listen again on a port whose last connections the kernel still remembers, for 60 s.
      transport: "node",
      localKey: KEY,
      readiness: () => [],
      stats: () => stats,
      query: async (sql) => {
        const { columns, ...rest } = await query(sql);
        return { columns: columns.map(({ name }) => name), ...rest };
      },
    });
  let gateway = await startGateway(0);
  const { port } = gateway;
  return {
    address: `${gateway.url}/?key=${KEY}`,
    url: () => gateway.url,
    setStats(next) {
      stats = next;
    },
    publish: (record) => write("targetT" in record ? "plans.minez.ready" : `alerts.0.${record.domain}`, [record]),
    stopGateway: () => gateway.close(),
    async startGateway() {
      gateway = await startGateway(port);
    },
    async close() {
      await gateway.close();
      stopping.abort();
      await Promise.all(runs);
      await clickhouse.close();
      await closeLog();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const anomalies = (records: readonly { readonly kind: string }[]) =>
  records.filter(({ kind }) => kind === "anomaly").length;
