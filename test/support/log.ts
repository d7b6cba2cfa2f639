import type { Test } from "tap";
import type { Log, LogMessage } from "../../src/core/index.js";
import { type Connection, connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "./nats.js";

/** A server of the test's own with Millrace's streams of one partition in it. */
export async function emptyLog(t: Test): Promise<Connection> {
  const server = await startNats();
  const connection = await connectLog({ url: server.url, name: "test" });
  t.teardown(async () => {
    await connection.close();
    await server.stop();
  });
  for (const spec of streamSpecs(1)) await connection.log.ensureStream(spec);
  return connection;
}

/** Everything a stream holds on the subjects, in order. With a filter, only as much as matches it. */
export async function readAll(log: Log, stream: string, subject: string): Promise<readonly LogMessage[]> {
  const newest = await log.last(stream, subject);
  if (newest === undefined) return [];
  const reader = await log.read({ stream, subjects: [subject], fromSequence: 1 });
  const found: LogMessage[] = [];
  while ((found.at(-1)?.sequence ?? 0) < newest.sequence) found.push(...(await reader.next(1_000)));
  await reader.close();
  return found;
}
