import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Checksum } from "../../bench/nexmark/checksum.js";
import type { Event } from "../../bench/nexmark/events.js";
import { BASE_MS, type GeneratorOptions, generate } from "../../bench/nexmark/generator.js";
import type { Log, LogReader } from "../../src/core/index.js";
import { readPointer } from "../../src/runtime/index.js";
import { type Connection, connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { GROUPS, type Group, partitionFor, ROWS } from "./groups.js";

const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
const PACK_EVENTS = 100;
const MAX_BYTES = 1024 ** 3;
const DONE_MS = 240_000;

export interface NexmarkRun {
  /** By query: `<rows> rows, checksum <sum>`. */
  readonly answers: Readonly<Record<string, string>>;
  /** Rows in the log when the process was killed, and at the end. */
  readonly rowsAtKill: number;
  readonly rows: number;
  readonly idsTwice: number;
}

/**
 * Puts the file into a real log, each event into the partition of its group's key and every mark into all of them, runs the queries
 * in a process that is killed in the middle, and adds up what the log holds when another one has finished.
 */
export async function runNexmark(options: {
  readonly partitions: number;
  readonly queries: readonly string[];
  readonly input: GeneratorOptions;
  /** Part of the file that is in the log when the process is killed. */
  readonly killAt01: number;
}): Promise<NexmarkRun> {
  const { partitions, queries, input, killAt01 } = options;
  const server = await startNats();
  const connection = await connectLog({ url: server.url, name: "test" });
  const start = () =>
    spawn(process.execPath, [WORKER, server.url, String(partitions), ...queries], { stdio: "inherit" });
  let worker: ChildProcess | undefined;
  try {
    const { log } = connection;
    const groups = GROUPS.filter((group) => group.queries.some((query) => queries.includes(query)));
    for (const name of [ROWS, "dead", "late", ...groups.map(({ stream }) => stream)])
      await log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: MAX_BYTES });
    worker = start();
    let rowsAtKill = 0;
    let events = 0;
    const killAfter = Math.floor(killAt01 * input.events);
    await fill(log, groups, partitions, input, queries.includes("q13"), async (more) => {
      events += more;
      if (events < killAfter || rowsAtKill > 0) return;
      rowsAtKill = await rowsAfter(log, 1); // it is at work
      worker?.kill("SIGKILL");
      worker = start();
    });
    await finished(connection, groups, partitions, queries);
    return { rowsAtKill, ...(await addUp(log, queries)) };
  } finally {
    worker?.kill("SIGKILL");
    if (worker !== undefined && worker.exitCode === null && worker.signalCode === null) await once(worker, "exit");
    await connection.close();
    await server.stop();
  }
}

/** Calls `sent` after each part of the file, with its number of events. */
async function fill(
  log: Log,
  groups: readonly Group[],
  partitions: number,
  input: GeneratorOptions,
  hasSide: boolean,
  sent: (events: number) => Promise<void>,
): Promise<void> {
  const everywhere = (rest: string, body: object) =>
    Promise.all(
      groups.flatMap(({ stream }) =>
        Array.from({ length: partitions }, (_, p) =>
          log.publish({ subject: `${stream}.${p}.${rest}`, data: Buffer.from(JSON.stringify(body)) }),
        ),
      ),
    );
  const tick = (t: number) => everywhere("_tick.file", { source: "file", t, mark: t });
  if (hasSide) {
    const { stream } = GROUPS[0] as Group;
    const side = Array.from({ length: 10_000 }, (_, key) => Buffer.from(JSON.stringify({ key, value: `side ${key}` })));
    for (let p = 0; p < partitions; p++)
      for (let from = 0; from < side.length; from += 500)
        await Promise.all(
          side.slice(from, from + 500).map((data) => log.publish({ subject: `${stream}.${p}._ctl.side`, data })),
        );
  }
  await tick(BASE_MS - 1);
  let lines: string[] = [];
  for (const line of generate(input)) {
    if (line.kind === "event") {
      lines.push(line.json);
      continue;
    }
    for (const group of groups) await publishPacks(log, group, partitions, lines);
    await tick(line.timeMs);
    await sent(lines.length);
    lines = [];
  }
}

/** In the order of the file, by partition. */
async function publishPacks(log: Log, group: Group, partitions: number, lines: readonly string[]): Promise<void> {
  const packs = Array.from({ length: partitions }, (): string[] => []);
  for (const line of lines) packs[partitionFor(group, JSON.parse(line) as Event, partitions)]?.push(line);
  for (const [p, pack] of packs.entries())
    for (let from = 0; from < pack.length; from += PACK_EVENTS) {
      const data = Buffer.from(pack.slice(from, from + PACK_EVENTS).join("\n"));
      await log.publish({ subject: `${group.stream}.${p}.pack`, data });
    }
}

/** Resolves with how many messages of rows there are, once there are `least`. */
async function rowsAfter(log: Log, least: number): Promise<number> {
  for (const endMs = performance.now() + DONE_MS; ; await delay(10)) {
    const count = await countRows(log);
    if (count >= least) return count;
    if (performance.now() > endMs) throw new Error(`only ${count} messages of rows after ${DONE_MS} ms`);
  }
}

async function countRows(log: Log): Promise<number> {
  let count = 0;
  for (const [subject, messages] of await log.countSubjects(ROWS, `${ROWS}.>`))
    if (!subject.startsWith(`${ROWS}._at.`)) count += messages;
  return count;
}

/** Every task has a snapshot at the end of its partition: all its outputs are in the log. */
async function finished(
  { log, registers }: Connection,
  groups: readonly Group[],
  partitions: number,
  queries: readonly string[],
): Promise<void> {
  for (const endMs = performance.now() + DONE_MS; ; await delay(50)) {
    const behind: string[] = [];
    for (const group of groups) {
      for (let p = 0; p < partitions; p++) {
        const end = (await log.last(group.stream, `${group.stream}.${p}.>`))?.sequence ?? 0;
        for (const query of group.queries.filter((each) => queries.includes(each))) {
          const { pointer } = await readPointer(registers, `nexmark.${query}/${p}`);
          const at = pointer?.kept.at(-1)?.sequence ?? 0;
          if (at < end) behind.push(`${query}/${p} at ${at} of ${end}`);
        }
      }
    }
    if (behind.length === 0) return;
    if (performance.now() > endMs) throw new Error(`not finished: ${behind.join("; ")}`);
  }
}

/** All of them at once: a pack that carries its marker stands under its task, and only its reader sees the query's subject. */
async function addUp(log: Log, queries: readonly string[]): Promise<Omit<NexmarkRun, "rowsAtKill">> {
  const sums = new Map(queries.map((query) => [query, new Checksum()]));
  const ids = new Set<string>();
  let rows = 0;
  let left = await countRows(log);
  const reader: LogReader = await log.read({ stream: ROWS, subjects: [`${ROWS}.>`], fromSequence: 1 });
  while (left > 0) {
    const slice = await reader.next(Math.min(left, 512));
    left -= slice.length;
    for (const { subject, data } of slice) {
      const sum = sums.get(subject.slice(subject.lastIndexOf(".") + 1));
      for (const line of Buffer.from(data).toString().split("\n")) {
        const { id, hash, sign } = JSON.parse(line) as { id: string; hash: number; sign: number };
        sum?.add(hash, sign);
        ids.add(id);
        rows++;
      }
    }
  }
  await reader.close();
  const answers = Object.fromEntries([...sums].map(([query, sum]) => [query, sum.toString()]));
  return { answers, rows, idsTwice: rows - ids.size };
}
