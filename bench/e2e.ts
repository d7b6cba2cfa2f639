import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Connection, connectLog } from "../src/streams/index.js";
import { removeResults } from "../test/support/log-reset.js";
import {
  type RunningMillrace,
  startMillrace,
  temporaryDir,
  waitFor,
  waitForSettled,
} from "../test/support/millrace.js";
import { median, type Result, report } from "./support/report.js";
import { measurePublishToFrame } from "./ws/publish-to-frame.js";

const ROUNDS = 3;
const RATE_PER_S = 2_000;
const SECONDS = 10;
const CLIENTS = 5;

/**
 * Throughput: the sample is played once at full speed; then everything derived is removed and the log alone is processed again, from
 * the first task reading to the last row committed. Beside it what a bare reader takes from the same log.
 * Latency: 2,000 readings a second, each with an alarm, timed from when it was due to be published until every client has its alert.
 */
const dataDir = temporaryDir("bench-e2e");
const results: Result[] = [];
try {
  let millrace = await startMillrace(dataDir, ["--speed", "max", "--rebase", "none"]);
  const expected = await waitForSettled(millrace, 300_000);
  const events = expected.github.received + expected.telemetry.received;
  const consumed: number[] = [];
  const processed: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    consumed.push(await bareRate(millrace));
    await removeResults(millrace);
    await millrace.killTree();
    await rm(join(dataDir, "clickhouse"), { recursive: true, force: true });
    millrace = await startMillrace(dataDir, ["--no-replay"]);
    const startMs = performance.now() - millrace.readyMs;
    await waitForSettled(millrace, 300_000, events);
    processed.push((events * 1_000) / (performance.now() - startMs));
  }
  results.push(
    {
      name: "log to committed rows, start included",
      metric: "throughput",
      value: median(processed),
      unit: "events/s",
      limit: null,
      better: "higher",
    },
    {
      name: "bare reader of the same log",
      metric: "raw limit",
      value: median(consumed),
      unit: "messages/s",
      limit: null,
      better: "higher",
    },
  );
  results.push(...(await latency(millrace)));
  await millrace.stop();
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
report("e2e", results);

function connect({ instance }: RunningMillrace): Promise<Connection> {
  const { natsUrl: url, natsUser, natsPassword } = instance;
  return connectLog({ url, name: "bench", user: natsUser ?? "", password: natsPassword ?? "" });
}

async function bareRate(millrace: RunningMillrace): Promise<number> {
  const { log, close } = await connect(millrace);
  const streams = ["github", "telemetry"];
  let messages = 0;
  const startMs = performance.now();
  for (const stream of streams) {
    let left = (await log.info(stream)).messages;
    const reader = await log.read({ stream, subjects: [`${stream}.>`], fromSequence: 1 });
    while (left > 0) {
      const slice = await reader.next(1_000);
      left -= slice.length;
      messages += slice.length;
    }
    await reader.close();
  }
  const rate = (messages * 1_000) / (performance.now() - startMs);
  await close();
  return rate;
}

async function latency(millrace: RunningMillrace): Promise<Result[]> {
  const { log, close } = await connect(millrace);
  let n = 0;
  const publish = (mark: string): Promise<number> => {
    n++;
    const reading = { id: `bench-${n}`, ts: Date.now(), labels: { alarm: mark } };
    return log.publish({ subject: `in.telemetry.bench.pump-${n}.engine`, data: Buffer.from(JSON.stringify(reading)) });
  };
  const { url, key } = { url: millrace.instance.url, key: millrace.key };
  const measured = await measurePublishToFrame({
    url,
    key,
    channel: "alerts",
    clients: CLIENTS,
    ratePerS: RATE_PER_S,
    seconds: SECONDS,
    publish,
  });
  await waitFor(10_000, async () => (await millrace.stats()).telemetry.received >= n || undefined);
  await close();
  const name = `publish to WebSocket frame at ${RATE_PER_S} events/s, ${CLIENTS} clients`;
  return [
    { name, metric: "p50", value: measured.latencyMsP50, unit: "ms", limit: null, better: "lower" },
    { name, metric: "p99", value: measured.latencyMsP99, unit: "ms", limit: null, better: "lower" },
    {
      name,
      metric: "frames missing",
      value: measured.expected - measured.frames,
      unit: "frames",
      limit: 0,
      better: "lower",
    },
  ];
}
