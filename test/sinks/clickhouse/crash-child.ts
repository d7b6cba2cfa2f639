/**
 * A program that copies a fixed log into an embedded database until it is killed: `node crash-child.js <directory> <messages>`.
 * Prints `running`, and `done` when everything is stored.
 */
import { connectClickhouse, createClickhouseSink, createSinkTask } from "../../../src/sinks/index.js";
import { memoryLog } from "../../support/memory-log.js";
import { memoryRegisters } from "../../support/memory-registers.js";
import { delivery, reading, silent, until } from "./support.js";

const [, , path = "", messages = "0"] = process.argv;
const log = memoryLog(() => "always-the-same");
await log.ensureStream({ name: "accepted", subjects: ["accepted.>"], maxBytes: 1e9 });
for (let m = 0; m < Number(messages); m++) {
  const records = [0, 1, 2].map((i) => reading(m * 3 + i));
  if (m % 5 === 0) records.push(delivery(m));
  const data = Buffer.from(records.map((record) => JSON.stringify(record)).join("\n"));
  await log.publish({ subject: "accepted.0.telemetry", data });
}
const clickhouse = await connectClickhouse({ path });
const sink = createClickhouseSink(clickhouse);
await sink.open();
const stopping = new AbortController();
const limits = { maxRows: 30, saveEveryMs: 50 };
const onPoison = async () => process.exit(1);
const task = createSinkTask({
  log,
  registers: memoryRegisters(),
  sink,
  stream: "accepted",
  logger: silent,
  onPoison,
  limits,
});
const ended = task.run(stopping.signal);
console.log("running");
await until("all stored", () => task.position() === Number(messages), 60_000);
stopping.abort();
await ended;
await clickhouse.close();
console.log("done");
