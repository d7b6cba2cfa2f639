/**
 * A program with the embedded database in a worker thread, ending in one of several ways: `node thread-child.js <directory> <way>`.
 * Prints how long opening took.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { connectClickhouse, createClickhouseSink, createQueryRunner } from "../../../src/sinks/index.js";

const FOREVER = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 3 = 1";

if (isMainThread) {
  const [, , path, way] = process.argv;
  // Set before the engine is loaded, which installs handlers of its own for the signals of a crash.
  process.on("SIGTERM", () => worker.postMessage("close"));
  const worker = new Worker(new URL(import.meta.url), { workerData: { path, way } });
  worker.on("message", (message) => {
    console.log(message);
    if (way === "exit") process.exit(0);
    if (way === "terminate") void worker.terminate();
  });
  worker.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  const { path, way } = workerData as { path: string; way: string };
  const startedMs = performance.now();
  const clickhouse = await connectClickhouse({ path });
  await createClickhouseSink(clickhouse).open();
  const openedMs = performance.now() - startedMs;
  const query = createQueryRunner(clickhouse);
  const stored = (await query("SELECT count() FROM readings")).rows[0]?.[0];
  const running = way === "busy" ? query(FOREVER).catch(() => undefined) : undefined;
  if (way === "busy") await new Promise((resolve) => setTimeout(resolve, 200));
  parentPort?.once("message", async () => {
    await clickhouse.close();
    process.exit(0);
  });
  parentPort?.postMessage(JSON.stringify({ openedMs, stored }));
  if (way === "close" || way === "busy") {
    await clickhouse.close();
    await running;
    parentPort?.close();
  }
}
