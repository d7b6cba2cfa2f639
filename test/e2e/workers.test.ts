import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { merge, type ProcessStatus } from "../../src/cli/up/cluster.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { workerProcess } from "../kill/processes.js";
import { startNats } from "../support/nats.js";

const PARTITIONS = 4;
/** Two topologies a partition. */
const TASKS = 2 * PARTITIONS;

t.test("processes share the partitions, hand them back and take them over", async (t) => {
  const server = await startNats();
  const dataDir = mkdtempSync(join(tmpdir(), "millrace-workers-"));
  const connection = await connectLog({ url: server.url, name: "test" });
  for (const spec of streamSpecs(PARTITIONS)) await connection.log.ensureStream(spec);
  const common = { natsUrl: server.url, dataDir, partitions: PARTITIONS };
  const one = workerProcess({ ...common, args: ["--workers", "2"] });
  const other = workerProcess(common);
  t.teardown(async () => {
    await Promise.all([one.stop(), other.stop()]);
    await connection.close();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const statuses = (): Promise<readonly ProcessStatus[]> => connection.requests.askAll("status", null, 200);
  /** Partitions that run, by process id; resolves when `so`. */
  const shares = async (so: (shares: ReadonlyMap<number, number>, running: number) => boolean): Promise<string> => {
    for (const endMs = performance.now() + 30_000; ; await delay(50)) {
      const all = await statuses();
      const running = merge(all).tasks.filter(({ state }) => state === "running");
      const found = new Map(
        all.map(({ process, tasks }) => [
          Number(process.slice(hostname().length + 1)),
          new Set(tasks.map(({ partition }) => partition)).size,
        ]),
      );
      if (so(found, running.length)) return JSON.stringify([...found]);
      if (performance.now() > endMs)
        throw new Error(`not so: ${so}; shares ${JSON.stringify([...found])}, ${running.length} tasks run`);
    }
  };

  await one.start();
  await shares((found, running) => found.get(one.pid()) === 4 && running === TASKS);
  t.pass("alone with two threads: all four partitions");

  await other.start();
  // Three workers on four partitions: 2, 1 and 1, the larger share to whoever is first by name.
  await shares(
    (found, running) => (found.get(other.pid()) ?? 0) >= 1 && (found.get(one.pid()) ?? 0) <= 3 && running === TASKS,
  );
  t.pass("a process that joins takes its share");

  await other.stop();
  await shares((found, running) => found.get(one.pid()) === 4 && running === TASKS);
  t.pass("one that leaves hands it back");

  await other.start();
  await shares((found, running) => (found.get(other.pid()) ?? 0) >= 1 && running === TASKS);
  await one.kill();
  const killedMs = performance.now();
  await shares((found, running) => found.get(other.pid()) === 4 && running === TASKS);
  const failoverMs = Math.round(performance.now() - killedMs);
  t.comment(`failover after kill -9: ${failoverMs} ms`);
  t.ok(failoverMs < 10_000, `failover in ${failoverMs} ms; 5 s on a free machine`);
});
