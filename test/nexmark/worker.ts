// A process that runs queries on a log: worker.js URL PARTITIONS QUERY... It ends when it is killed.
import { setMaxListeners } from "node:events";
import { createLogger, systemClock } from "../../src/core/index.js";
import { Task, whileHeld } from "../../src/runtime/index.js";
import { connectLog } from "../../src/streams/index.js";
import { queryPipeline } from "./groups.js";

const [url = "", count = "1", ...queries] = process.argv.slice(2);
const partitions = Number(count);
const connection = await connectLog({ url, name: "nexmark" });
const inference = { run: async () => new Float32Array() };
/** Often: a kill must meet snapshots, and outputs beyond them. */
const snapshotEvery = { messages: 20, busyMs: 150, quietMs: 300 };
const shared = { ...connection, inference, clock: systemClock, logger: createLogger("silent"), snapshotEvery };
const pipelines = queries.map(queryPipeline);

await Promise.all(
  Array.from({ length: partitions }, (_, partition) =>
    whileHeld({
      leases: connection.leases,
      clock: systemClock,
      name: `partition/${partition}`,
      holder: `nexmark/${process.pid}`,
      signal: new AbortController().signal,
      work: async (lease, signal) => {
        setMaxListeners(0, signal, lease.lost); // every task listens
        const tasks = pipelines.map((pipeline) => new Task({ ...shared, pipeline, partition, partitions }));
        await Promise.all(tasks.map((task) => task.run(lease, signal)));
      },
    }),
  ),
);
