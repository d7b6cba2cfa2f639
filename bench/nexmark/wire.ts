import { fork } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { connectClickhouse } from "../../src/sinks/index.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { temporaryDir } from "../../test/support/millrace.js";
import { startNats } from "../../test/support/nats.js";
import { median, type Result, report } from "../support/report.js";
import { Checksum, rowHash } from "./checksum.js";
import { BASE_MS, generate } from "./generator.js";
import { duckdbOracle } from "./oracle.js";
import { QUERIES } from "./queries.js";

/**
 * JetStream in, the product's tasks and writer, rows in embedded ClickHouse. nats-server and the generator are processes beside and not
 * counted; everything else is: processor seconds of all threads of the engine's process, from the first message to the last row stored.
 * Two inputs: messages of 500 events, and messages of one. Beside it, in turn, what a bare client consumes of the same stream.
 * The rows are read back and compared with DuckDB's over the same events: a wrong result voids the run.
 */
const PACK_EVENTS = 500;
/** Sent between two acknowledgements: what the server's queue has no room for it drops without a word. */
const UNACKNOWLEDGED = { messages: 2_000, bytes: 8 * 1024 * 1024 };
/** The log holds each with its headers and index: more would say no more. */
const SINGLES_MOST = 500_000;
const FLOOR_PACKED_PER_S: Readonly<Record<string, number>> = { q2: 200_000, q5: 200_000, q8: 200_000 };
const FLOOR_SINGLE_01: Readonly<Record<string, number>> = { q2: 0.6, q5: 0.6 };
const ENGINE = fileURLToPath(new URL("wire-engine.js", import.meta.url));
const TOPOLOGY = new URL("wire-topology.js", import.meta.url).href;
const TABLE = "features";

export interface WireOptions {
  readonly queries: readonly string[];
  readonly events: number;
  readonly seed: number;
  readonly ratePerS: number;
  readonly runs: number;
}

interface Measured {
  readonly processorS: number;
  readonly seconds: number;
  readonly messagesPerS: number;
}

export async function wireLane(options: WireOptions): Promise<void> {
  const dir = temporaryDir("bench-nexmark");
  const results: Result[] = [];
  try {
    const expected = await oracleAnswers(options, join(dir, "events.ndjson"));
    for (const packEvents of [PACK_EVENTS, 1])
      results.push(...(await measureInput(options, packEvents, dir, expected)));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  report("nexmark wire", results);
}

async function oracleAnswers(options: WireOptions, file: string): Promise<ReadonlyMap<string, string>> {
  const out = createWriteStream(file);
  for (const line of generate(options))
    if (!out.write(line.kind === "event" ? `${line.json}\n` : `{"mark":${line.timeMs}}\n`)) await once(out, "drain");
  out.end();
  await once(out, "close");
  const oracle = await duckdbOracle(await import("@duckdb/node-api"), file);
  const answers = new Map<string, string>();
  for (const query of options.queries) answers.set(query, await oracle.answer(query));
  rmSync(file);
  return answers;
}

async function measureInput(
  options: WireOptions,
  packEvents: number,
  dir: string,
  expected: ReadonlyMap<string, string>,
): Promise<Result[]> {
  const single = packEvents === 1;
  const queries = options.queries.filter((query) => !single || query in FLOOR_SINGLE_01);
  if (queries.length === 0) return [];
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  try {
    const events = single ? Math.min(options.events, SINGLES_MOST) : options.events;
    const whole = events === options.events;
    const answers = whole ? expected : await oracleAnswers({ ...options, events, queries }, join(dir, "single.ndjson"));
    const messages = await load(nats.url, nc, { ...options, events }, packEvents);
    const results: Result[] = [];
    for (const query of queries) {
      const ours: Measured[] = [];
      const bare: Measured[] = [];
      for (let run = 0; run < options.runs; run++) {
        bare.push(await consume(nc, messages, single ? 8_192 : 64));
        ours.push(
          await runEngine({
            nats: nats.url,
            nc,
            dir,
            query,
            run: `${single ? "s" : "p"}${run}`,
            answer: answers.get(query) ?? "",
          }),
        );
      }
      results.push(...judged(query, single, events, messages, ours, bare));
    }
    return results;
  } finally {
    await nc.close();
    await nats.stop();
  }
}

function judged(
  query: string,
  single: boolean,
  events: number,
  messages: number,
  ours: readonly Measured[],
  bare: readonly Measured[],
): Result[] {
  const name = `${query}, ${single ? "one event" : `${PACK_EVENTS} events`} a message`;
  const middle = (of: readonly Measured[], what: keyof Measured): number => median(of.map((each) => each[what]));
  const add = (metric: string, value: number, unit: string, limit: number | null = null): Result => ({
    ...{ name, metric, value, unit, limit, better: "higher" },
  });
  const perProcessorS = events / middle(ours, "processorS");
  const share01 = middle(ours, "messagesPerS") / middle(bare, "messagesPerS");
  return [
    add(
      "engine and database",
      perProcessorS,
      "events/processor s",
      single ? null : (FLOOR_PACKED_PER_S[query] ?? null),
    ),
    add("start to last row", events / middle(ours, "seconds"), "events/s"),
    add("tasks, by the wall clock", middle(ours, "messagesPerS"), "messages/s"),
    add("bare client, by the wall clock", middle(bare, "messagesPerS"), "messages/s"),
    add("bare client", messages / middle(bare, "processorS"), "messages/processor s"),
    ...(single ? [add("tasks over bare client", share01, "ratio", FLOOR_SINGLE_01[query] ?? null)] : []),
  ];
}

/** Fills `telemetry`; resolves with how many messages it holds. */
async function load(natsUrl: string, nc: NatsConnection, options: WireOptions, packEvents: number): Promise<number> {
  const connection = await connectLog({ url: natsUrl, name: "bench-load" });
  for (const spec of streamSpecs(1)) await connection.log.ensureStream(spec);
  let messages = 0;
  let sent = 0;
  let bytes = 0;
  const send = async (token: string, body: string): Promise<void> => {
    const [subject, data] = [`telemetry.0.${token}`, Buffer.from(body)];
    messages++;
    sent++;
    bytes += data.length;
    if (sent < UNACKNOWLEDGED.messages && bytes < UNACKNOWLEDGED.bytes) {
      nc.publish(subject, data);
      return;
    }
    await nc.request(subject, data, { timeout: 30_000 }); // on the same connection: it is behind all before it
    [sent, bytes] = [0, 0];
  };
  const tick = (t: number): Promise<void> => send("_tick.file", JSON.stringify({ source: "file", t, mark: t }));
  let lines: string[] = [];
  const flush = async (): Promise<void> => {
    if (lines.length > 0) await send("pack", lines.join("\n"));
    lines = [];
  };
  await tick(BASE_MS - 60_000);
  for (const line of generate(options)) {
    if (line.kind === "event") {
      lines.push(line.json);
      if (lines.length === packEvents) await flush();
    } else {
      await flush();
      await tick(line.timeMs);
    }
  }
  await flush();
  await nc.flush();
  while ((await connection.log.info("telemetry")).messages < messages) await sleep(20);
  await connection.close();
  return messages;
}

/** What a client that does nothing with them takes, asking for so many at a time: the server ends one that lets too much pile up. */
async function consume(nc: NatsConnection, messages: number, atATime: number): Promise<Measured> {
  const jsm = await jetstreamManager(nc);
  const { name } = await jsm.consumers.add("telemetry", { ack_policy: "none", mem_storage: true });
  const consumer = await jetstream(nc).consumers.get("telemetry", name);
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  let left = messages;
  await new Promise<void>((resolve, reject) => {
    consumer
      .consume({
        max_messages: atATime,
        callback: () => {
          if (--left === 0) resolve();
        },
      })
      .catch(reject);
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(before);
  await jsm.consumers.delete("telemetry", name);
  return { seconds, processorS: (user + system) / 1e6, messagesPerS: messages / seconds };
}

interface Answer {
  readonly result: { readonly task: number; readonly sink: number };
  readonly processorS: number;
  readonly wallMs: number;
}

/** One query over the whole stream into an empty database. Throws when the rows are wrong. */
async function runEngine(what: {
  readonly nats: string;
  readonly nc: NatsConnection;
  readonly dir: string;
  readonly query: string;
  readonly run: string;
  readonly answer: string;
}): Promise<Measured> {
  const { nats, nc, dir, query, run } = what;
  const name = `nexmark.${query}.${run}`;
  const dataDir = join(dir, name);
  mkdirSync(dataDir, { recursive: true });
  const topologies = join(dataDir, "topology.mjs");
  const code = `import { wireTopology } from ${JSON.stringify(TOPOLOGY)};\nexport const pipelines = [wireTopology("${query}", "${name}")];\n`;
  writeFileSync(topologies, code);
  const jsm = await jetstreamManager(nc);
  await jsm.streams.purge(TABLE);
  const child = fork(ENGINE, [JSON.stringify({ natsUrl: nats, dataDir, topologies })]);
  let answered: (answer: Answer) => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  child.on("message", (answer: Answer) => answered(answer));
  const exited = once(child, "exit").then(() => failed(new Error(`${name}: the engine ended`)));
  const ask = (command: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      [answered, failed] = [resolve, reject];
      child.send(command);
    });
  await ask("open");
  const last = (await jsm.streams.info("telemetry")).state.last_seq;
  const began = await ask("run");
  let now = began;
  const steps: Answer[] = [];
  const isDone = async (): Promise<boolean> => {
    now = await ask("status");
    const { task } = now.result;
    if (task > (steps.at(-1)?.result.task ?? 0)) steps.push(now);
    if (now.result.task < last) return false;
    const { state } = await jsm.streams.info(TABLE, { subjects_filter: "features.0.>" });
    const newest = Object.keys(state.subjects ?? {}).length === 0 ? 0 : await lastRow(jsm);
    return now.result.sink >= newest;
  };
  while (!(await isDone())) await sleep(25);
  await ask("stop");
  await exited;
  const found = await rowsOf(dataDir, query, name);
  if (found !== what.answer) throw new Error(`${name}: the table holds ${found}, DuckDB ${what.answer}: void`);
  rmSync(dataDir, { recursive: true, force: true });
  const messagesPerS = rateOf(steps.slice(0, -1)); // at the last step it may have been done for a while
  return {
    processorS: now.processorS - began.processorS,
    seconds: (now.wallMs - began.wallMs) / 1_000,
    messagesPerS,
  };
}

/** Messages a second between the first and the last time it was seen to have moved: start and end of the task are not in it. */
function rateOf(steps: readonly Answer[]): number {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined || first === last) return Number.NaN;
  return ((last.result.task - first.result.task) * 1_000) / (last.wallMs - first.wallMs);
}

async function lastRow(jsm: Awaited<ReturnType<typeof jetstreamManager>>): Promise<number> {
  return (await jsm.streams.getMessage(TABLE, { last_by_subj: "features.0.>" }))?.seq ?? 0;
}

/** Rows and checksum of what the table holds. */
async function rowsOf(dataDir: string, query: string, name: string): Promise<string> {
  const columns = QUERIES[query]?.columns ?? [];
  const hash = rowHash<Record<string, unknown>>(columns);
  const checksum = new Checksum();
  const clickhouse = await connectClickhouse({ path: join(dataDir, "clickhouse") });
  try {
    const sql = `SELECT values, labels FROM features WHERE pipeline = '${name}'`;
    const answer = await clickhouse.client.query({ query: sql, format: "JSONEachRow" });
    for (const { values, labels } of await answer.json<{ values: object; labels: object }>())
      checksum.add(hash({ ...values, ...labels }), 1);
  } finally {
    await clickhouse.close();
  }
  return checksum.toString();
}
