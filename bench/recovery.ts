import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { type Lease, systemClock } from "../src/core/index.js";
import { readPointer, Task } from "../src/runtime/index.js";
import { type Connection, connectLog, streamSpecs } from "../src/streams/index.js";
import { temporaryDir } from "../test/support/millrace.js";
import { startNats } from "../test/support/nats.js";
import { seededRandom } from "../test/support/random.js";
import { median, type Result, report } from "./support/report.js";
import { type Runner, startRunner } from "./support/runner.js";
import { manyKeys, PROBE_EVERY } from "./wire/many-keys.js";

/**
 * npm run bench:recovery -- [--rounds 3] [--keys 1000000] [--pairs 3] [--passes 36] [--json]
 *
 * One partition with a million keys, two processes of the product, 20,000 events a second. The owner is killed (`kill -9`) at a random moment between
 * two snapshots. detect: from the kill until the other process has the lease and begins. load: until its state is loaded. tail: until an
 * event published after that has come out, so everything since the snapshot has been applied again.
 * Then what snapshots cost: the same log read from its start by a task of its own, without snapshots and with one after the other, in
 * turn: the processor time from the first commit to the last beyond what as many events take without, as a share of 10 s for each.
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    keys: { type: "string", default: "1000000" },
    pairs: { type: "string", default: "3" },
    passes: { type: "string", default: "36" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean" },
  },
});
const KEYS = Number(flags.keys);
const RATE_PER_S = 20_000;
const PACK = 500;
const WINDOW = 16;
const TASK = "keys.day/0";
const EVERY_MS = 10_000;
/** In the passes that tell their cost: all keys are there after the first. */
const OFTEN_MS = 500;
const TOPOLOGIES = fileURLToPath(new URL("wire/many-keys.js", import.meta.url));
const BASE_MS = Date.now();
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const random = seededRandom(Number(flags.seed));

let published = 0;
function pack(events: number): Buffer {
  const lines: string[] = [];
  for (const end = published + events; published < end; published++) {
    const key = `key-${String((published * 7_919) % KEYS).padStart(12, "0")}`;
    lines.push(`{"key":"${key}","n":${published},"ts":${BASE_MS + (published >> 4)}}`);
  }
  return Buffer.from(lines.join("\n"));
}

const publish = ({ log }: Connection, events: number): Promise<number> =>
  log.publish({ subject: "telemetry.0.pack", data: pack(events) });

async function fill(connection: Connection, events: number): Promise<void> {
  const end = published + events;
  const lane = async (): Promise<void> => {
    while (published < end) await publish(connection, Math.min(PACK, end - published));
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
}

/** Publishes at the rate until stopped. */
function keepPublishing(connection: Connection): () => Promise<void> {
  let isOver = false;
  const run = async (): Promise<void> => {
    const [startMs, first] = [performance.now(), published];
    while (!isOver) {
      const due = first + Math.floor(((performance.now() - startMs) * RATE_PER_S) / 1_000) - published;
      if (due > 0) await publish(connection, due);
      await sleep(10);
    }
  };
  const running = run();
  return () => {
    isOver = true;
    return running;
  };
}

/** When the first probe from number `n` on came out, by the wall clock. */
async function probe({ log }: Connection, n: number): Promise<number> {
  const fromSequence = (await log.info("accepted")).lastSequence + 1;
  const reader = await log.read({ stream: "accepted", subjects: ["accepted.0.>"], fromSequence });
  try {
    for (;;) {
      for (const { data } of await reader.next(100))
        for (const line of Buffer.from(data).toString().split("\n"))
          if ((JSON.parse(line) as { n: number }).n >= n) return Date.now();
    }
  } finally {
    await reader.close();
  }
}

/** Resolves when a snapshot beyond `sequence` is committed. */
async function saved({ registers }: Connection, task: string, sequence: number): Promise<void> {
  for (;;) {
    const { pointer } = await readPointer(registers, task);
    if ((pointer?.kept.at(-1)?.sequence ?? 0) > sequence) return;
    await sleep(50);
  }
}

interface Times {
  readonly detectS: number;
  readonly loadS: number;
  readonly tailS: number;
  readonly tailEvents: number;
}

async function takeOver(connection: Connection, owner: Runner, heir: Runner): Promise<Times> {
  const { lastSequence } = await connection.log.info("telemetry");
  await saved(connection, TASK, lastSequence);
  say(`snapshot beyond ${lastSequence}`);
  const savedAt = published;
  await sleep(random() * EVERY_MS * 0.8);
  const killedMs = Date.now();
  owner.kill();
  const starting = await heir.logged("task starting", killedMs);
  const running = await heir.logged("task running", killedMs);
  const tailEvents = published - savedAt;
  say(`running again after ${running.atMs - killedMs} ms`);
  const caughtUpMs = await probe(connection, published + PROBE_EVERY);
  return {
    detectS: (starting.atMs - killedMs) / 1_000,
    loadS: (running.atMs - starting.atMs) / 1_000,
    tailS: (caughtUpMs - running.atMs) / 1_000,
    tailEvents,
  };
}

async function measureTakeOvers(connection: Connection, natsUrl: string): Promise<Times[]> {
  const start = () => startRunner({ natsUrl, dataDir, partitions: 1, topologies: TOPOLOGIES });
  let owner = await start();
  await owner.logged("task running");
  let heir = await start();
  const stop = keepPublishing(connection);
  const times: Times[] = [];
  try {
    for (let round = 0; round < Number(flags.rounds); round++) {
      times.push(await takeOver(connection, owner, heir));
      owner = heir;
      heir = await start();
    }
    return times;
  } finally {
    await stop();
    await Promise.all([owner.stop(), heir.stop()]);
  }
}

/** How far a pass was, and what it had taken of the processor. */
interface Place {
  readonly position: number;
  readonly processorS: number;
}

/** Reads everything in the log once. @returns where it was at the commit of each snapshot, and at its end */
async function pass(connection: Connection, name: string, snapshots: boolean) {
  const forever = Number.POSITIVE_INFINITY;
  const everyMs = snapshots ? OFTEN_MS : forever;
  const places: Place[] = [];
  const before = process.cpuUsage();
  const note = (): void => {
    const { user, system } = process.cpuUsage(before);
    places.push({ position: task.status().position, processorS: (user + system) / 1e6 });
  };
  const { lastSequence } = await connection.log.info("telemetry");
  const registers = {
    ...connection.registers,
    set: (key: string, value: Uint8Array, expected: number) => {
      if (key.startsWith("snapshot/") && expected > 0) note();
      return connection.registers.set(key, value, expected);
    },
  };
  const task = new Task({
    ...{ ...connection, registers, pipeline: manyKeys(name), partition: 0, partitions: 1, clock: systemClock },
    inference: { run: () => Promise.reject(new Error("none")) },
    logger: pino({ level: "silent" }),
    snapshotEvery: { messages: 1, busyMs: everyMs, quietMs: everyMs },
  });
  const lease: Lease = {
    name,
    holder: "",
    epoch: 1,
    lost: new AbortController().signal,
    release: async () => undefined,
  };
  const stop = new AbortController();
  const running = task.run(lease, stop.signal);
  while (task.status().position < lastSequence) await sleep(20);
  note();
  const noted = [...places];
  stop.abort();
  await running;
  return noted;
}

async function measureCost(connection: Connection): Promise<{ cost01: number; perS: number }> {
  await fill(connection, Math.max(0, Number(flags.passes) * KEYS - published));
  const costs: number[] = [];
  const rates: number[] = [];
  for (let pair = 0; pair < Number(flags.pairs); pair++) {
    say(`pass without and with snapshots, ${published} events`);
    const [whole] = await pass(connection, `keys.without${pair}`, false);
    const commits = (await pass(connection, `keys.with${pair}`, true)).slice(0, -1);
    const [first, last] = [commits[0], commits.at(-1)];
    if (whole === undefined || first === undefined || last === undefined || commits.length < 2)
      throw new Error(`${commits.length} snapshots in a pass, two are needed: raise --passes`);
    rates.push(published / whole.processorS);
    const expectedS = ((last.position - first.position) / whole.position) * whole.processorS;
    const extraS = last.processorS - first.processorS - expectedS;
    say(`${commits.length} snapshots, ${(extraS / (commits.length - 1)).toFixed(2)} s each after the first`);
    costs.push((extraS * 1_000) / (commits.length - 1) / EVERY_MS);
  }
  return { cost01: median(costs), perS: median(rates) };
}

const nats = await startNats();
const dataDir = temporaryDir("bench-recovery");
const connection = await connectLog({ url: nats.url, name: "bench" });
const results: Result[] = [];
try {
  for (const spec of streamSpecs(1)) await connection.log.ensureStream(spec);
  await fill(connection, KEYS);
  say(`${KEYS} keys in the log`);
  const times = await measureTakeOvers(connection, nats.url);
  const add = (metric: string, values: readonly number[], limit: number | null, unit = "s"): void => {
    results.push({
      name: `${KEYS} keys, ${values.length} kills`,
      metric: `${metric}, median`,
      value: median(values),
      unit,
      limit,
      better: "lower",
    });
    results.push({
      name: `${KEYS} keys, ${values.length} kills`,
      metric: `${metric}, worst`,
      value: Math.max(...values),
      unit,
      limit: null,
      better: "lower",
    });
  };
  add(
    "detect",
    times.map(({ detectS }) => detectS),
    2,
  );
  add(
    "load",
    times.map(({ loadS }) => loadS),
    2,
  );
  add(
    "tail",
    times.map(({ tailS }) => tailS),
    1,
  );
  add(
    "tail",
    times.map(({ tailEvents }) => tailEvents),
    null,
    "events",
  );
  const { cost01, perS } = await measureCost(connection);
  const name = "a snapshot every 10 s";
  results.push({ name, metric: "processor time", value: cost01 * 100, unit: "%", limit: 5, better: "lower" });
  results.push({
    name: "the same log without",
    metric: "throughput",
    value: perS,
    unit: "events/processor s",
    limit: null,
    better: "higher",
  });
} finally {
  await connection.close();
  await nats.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
report("recovery", results);
