import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Connection, connectLog, streamSpecs } from "../src/streams/index.js";
import { temporaryDir } from "../test/support/millrace.js";
import { startNats } from "../test/support/nats.js";
import { type Result, report } from "./support/report.js";
import { processorS, startRunner } from "./support/runner.js";

/**
 * npm run bench:latency -- [--seconds 15] [--burst 300000] [--rounds 1] [--json]
 *
 * Two stages of the real runner on a real nats-server, 100,000 keys in each, an output for each event, snapshots as usual. First the most they
 * take: a burst, from its first publish to its last output. Then half of that at a fixed rate: each event is timed from when it was *due*
 * to be published, however late the publisher is, to when a reader has the output of the second stage. No output waits for the watermark,
 * so the watermark's delay is none. Events due within the same two ms share a message, as at a door.
 * Beside it, at the same rate through the same server: a bare client's publish until a bare reader has it.
 */
const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "15" },
    burst: { type: "string", default: "200000" },
    json: { type: "boolean" },
  },
});
const KEYS = 100_000;
const BURST = Number(flags.burst);
const SECONDS = Number(flags.seconds);
const WARM_UP_S = 3;
/** Events of one message of the burst, and how many messages wait for their acknowledgement. */
const PACK = 250;
const WINDOW = 32;
const LINGER_MS = 2;
const TOPOLOGIES = fileURLToPath(new URL("wire/two-stages.js", import.meta.url));
const N = /"n":(\d+)/g;

/** The events' numbers in order of publishing; each knows its key and, as a reader finds it again, its number. */
let published = 0;
function pack(events: number): Buffer {
  const lines: string[] = [];
  for (const end = published + events; published < end; published++)
    lines.push(`{"key":"key-${(published * 7_919) % KEYS}","n":${published},"ts":${Date.now()}}`);
  return Buffer.from(lines.join("\n"));
}

/** Calls `onEvent` with every event's number as it comes. */
async function watch({ log }: Connection, stream: string, onEvent: (n: number) => void): Promise<() => Promise<void>> {
  const fromSequence = (await log.info(stream)).lastSequence + 1;
  const reader = await log.read({ stream, subjects: [`${stream}.0.>`], fromSequence });
  const run = async (): Promise<void> => {
    for (;;) {
      const messages = await reader.next(1_000);
      if (messages.length === 0) return;
      for (const { data } of messages)
        for (const [, n] of Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1").matchAll(N))
          onEvent(Number(n));
    }
  };
  const running = run();
  return async () => {
    await reader.close();
    await running;
  };
}

/** Publishes `events` as fast as they are taken. */
async function publishAll({ log }: Connection, events: number): Promise<void> {
  const end = published + events;
  const lane = async (): Promise<void> => {
    while (published < end)
      await log.publish({ subject: "telemetry.0.pack", data: pack(Math.min(PACK, end - published)) });
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
}

/** Seconds from the first publish to the last output. */
async function burst(connection: Connection, events: number): Promise<number> {
  let seen = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const end = await watch(connection, "features", () => {
    if (++seen === events) done();
  });
  const startedMs = performance.now();
  await publishAll(connection, events);
  await all;
  const seconds = (performance.now() - startedMs) / 1_000;
  await end();
  return seconds;
}

/** ms from when each event was due to when it was read from `to`, at a fixed rate; ascending. */
async function latencies(
  connection: Connection,
  { ratePerS, subject, to }: { ratePerS: number; subject: string; to: string },
): Promise<Float64Array> {
  const total = Math.round(ratePerS * (SECONDS + WARM_UP_S));
  const skip = Math.round(ratePerS * WARM_UP_S);
  const first = published;
  const took = new Float64Array(total - skip);
  let seen = 0;
  let startMs = 0;
  const dueMs = (i: number) => startMs + (i * 1_000) / ratePerS;
  const end = await watch(connection, to, (n) => {
    const i = n - first;
    seen++;
    if (i >= skip) took[i - skip] = performance.now() - dueMs(i);
  });
  startMs = performance.now() + 50;
  const failures: unknown[] = [];
  for (let i = 0; i < total; ) {
    const now = performance.now();
    let due = 0;
    while (i + due < total && dueMs(i + due) <= now) due++;
    i += due;
    if (due > 0) connection.log.publish({ subject, data: pack(due) }).catch((error: unknown) => failures.push(error));
    await sleep(LINGER_MS);
  }
  for (const givenUpMs = performance.now() + 30_000; seen < total && performance.now() < givenUpMs; ) await sleep(20);
  await end();
  if (failures.length > 0) throw failures[0];
  if (seen !== total) throw new Error(`${to}: ${seen} of ${total} events came out: void`);
  return took.sort();
}

const quantile = (sorted: Float64Array, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;

const nats = await startNats();
const dataDir = temporaryDir("bench-latency");
const connection = await connectLog({ url: nats.url, name: "bench" });
const results: Result[] = [];
try {
  for (const spec of streamSpecs(1)) await connection.log.ensureStream(spec);
  const runner = await startRunner({ natsUrl: nats.url, dataDir, partitions: 1, topologies: TOPOLOGIES });
  try {
    await burst(connection, KEYS); // every key once: state, and warm code
    const perS = BURST / (await burst(connection, BURST));
    const ratePerS = Math.round(perS / 2);
    const [beforeS, serverS] = [runner.processorS(), processorS(nats.pid())];
    const ours = await latencies(connection, { ratePerS, subject: "telemetry.0.pack", to: "features" });
    const busy01 = (runner.processorS() - beforeS) / (SECONDS + WARM_UP_S);
    const serverBusy01 = (processorS(nats.pid()) - serverS) / (SECONDS + WARM_UP_S);
    const raw = await latencies(connection, { ratePerS, subject: "late.0.row", to: "late" });
    const reported = (
      name: string,
      metric: string,
      value: number,
      unit: string,
      limit: number | null = null,
    ): Result => ({
      ...{ name, metric, value, unit, limit },
      better: unit === "events/s" ? "higher" : "lower",
    });
    results.push(reported("two stages, burst", "throughput", perS, "events/s"));
    const name = `two stages at ${ratePerS} events/s, ${KEYS} keys`;
    for (const q of [0.5, 0.99, 0.999])
      results.push(reported(name, `p${q * 100}`, quantile(ours, q), "ms", q === 0.99 ? 20 : null));
    results.push(
      reported(name, "processor, runner", busy01, "s/s"),
      reported(name, "processor, nats-server", serverBusy01, "s/s"),
    );
    for (const q of [0.5, 0.99])
      results.push(reported("bare publish to bare reader, same rate", `p${q * 100}`, quantile(raw, q), "ms"));
  } finally {
    await runner.stop();
  }
} finally {
  await connection.close();
  await nats.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
report("latency", results);
