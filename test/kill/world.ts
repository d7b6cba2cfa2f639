import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isMillraceError } from "../../src/core/index.js";
import { type Connection, connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats, type TestServer } from "../support/nats.js";
import { type Cluster, startCluster } from "./cluster.js";
import type { Rows } from "./expected.js";
import { FIRST_MS, tickBody } from "./input.js";
import { type WorkerProcess, workerProcess } from "./processes.js";
import { PARTITIONS, WINDOW_MS } from "./topologies.js";

const WORKERS = 2;
/** Sixty units a window, two stages: far below the limit of one answer. */
const PAGE_WINDOWS = 50;

/** What can be struck beside the workers. */
export type Kill =
  | { readonly kind: "one"; readonly server: TestServer }
  | { readonly kind: "cluster"; readonly cluster: Cluster };

/** A real server, two real worker processes, an embedded database (or CLICKHOUSE_URL), and a client of our own. */
export interface World {
  readonly kill: Kill;
  /** Replaced by `startWorkers`. */
  readonly workers: readonly WorkerProcess[];
  /** Other processes, for another number of partitions; the former ones must have ended. */
  startWorkers(partitions: number): Promise<void>;
  readonly connection: Connection;
  readonly directory: string;
  /** A round's rows, windows by their start in `[fromMs, toMs)`. Undefined while nobody answers. */
  found(round: number, fromMs: number, toMs: number): Promise<Rows | undefined>;
  /** Ids that stand in a table more than once, over everything so far. Undefined while nobody answers. */
  idsTwice(): Promise<number | undefined>;
  stop(): Promise<void>;
}

export async function startWorld(): Promise<World> {
  const server = await startNats();
  return populate(server.url, 1, { kind: "one", server }, () => server.stop());
}

/** The same on a cluster of three servers, every stream on each of them. */
export async function startClusterWorld(options: { strict?: boolean } = {}): Promise<World> {
  const cluster = await startCluster(options);
  return populate(cluster.url, 3, { kind: "cluster", cluster }, () => cluster.stop());
}

async function populate(url: string, replicas: number, kill: Kill, stopLog: () => Promise<void>): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-kill-"));
  const servers = url.split(",");
  const connection = await elected(() => connectLog({ servers, name: "kill", timeoutMs: 2_000, replicas }));
  const env = { MILLRACE_REPLICAS: String(replicas) };
  for (const spec of streamSpecs(PARTITIONS)) await elected(() => connection.log.ensureStream(spec));
  // The input's time is announced first: the live clock alone would make everything late.
  for (let p = 0; p < PARTITIONS; p++)
    await connection.log.publish({ subject: `telemetry.${p}._tick.kill`, data: tickBody(FIRST_MS) });
  const workers: WorkerProcess[] = [];
  const startWorkers = async (partitions: number): Promise<void> => {
    const others = Array.from({ length: WORKERS }, () =>
      workerProcess({ natsUrl: url, dataDir: directory, partitions, env }),
    );
    workers.splice(0, workers.length, ...others);
    for (const worker of workers) await worker.start();
  };
  await startWorkers(PARTITIONS);

  const query = async (sql: string): Promise<(string | number)[][] | undefined> => {
    try {
      const { rows } = await connection.requests.ask<{ rows: (string | number)[][] }>("query", { sql }, 5_000);
      return rows;
    } catch (error) {
      if (isMillraceError(error)) return undefined; // away, being handed over, cancelled by its end
      throw error;
    }
  };
  return {
    kill,
    workers,
    startWorkers,
    connection,
    directory,
    async found(round, fromMs, toMs) {
      const counts = await query(
        `SELECT (SELECT count() FROM readings WHERE startsWith(event_id, '${round}-')), (SELECT count() FROM late_events WHERE startsWith(event_id, '${round}-'))`,
      );
      const windows: string[] = [];
      for (let from = fromMs; from < toMs; from += PAGE_WINDOWS * WINDOW_MS) {
        const to = Math.min(toMs, from + PAGE_WINDOWS * WINDOW_MS);
        const rows = await query(
          `SELECT feature, key, toUnixTimestamp64Milli(window_start) AS s, values['events'], values['total'] FROM features WHERE s >= ${from} AND s < ${to}`,
        );
        if (rows === undefined) return undefined;
        for (const row of rows) windows.push(row.join(" "));
      }
      const [row] = counts ?? [];
      return row && { readings: Number(row[0]), late: Number(row[1]), windows: windows.sort() };
    },
    async idsTwice() {
      const tables = ["readings", "features", "late_events"].map(
        (name) => `(SELECT count() - uniqExact(_id) FROM ${name})`,
      );
      const rows = await query(`SELECT ${tables.join(" + ")} + (SELECT count() - uniqExact(event_id) FROM readings)`);
      return rows && Number(rows[0]?.[0]);
    },
    async stop() {
      for (const worker of workers) await worker.stop();
      await connection.close();
      await stopLog();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A young cluster answers nothing before it has elected its leader. */
async function elected<T>(ask: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + 60_000; ; await delay(200)) {
    try {
      return await ask();
    } catch (error) {
      if (!isMillraceError(error) || performance.now() > endMs) throw error;
    }
  }
}
