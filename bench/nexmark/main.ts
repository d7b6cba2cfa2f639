import { parseArgs } from "node:util";
import type { LogMessage, TaskContext } from "../../src/core/index.js";
import type { Decoder } from "../../src/operators/engine/index.js";
import { parseEverything } from "../raw/json-parse.js";
import { median, type Result, report } from "../support/report.js";
import { Checksum } from "./checksum.js";
import type { Event } from "./events.js";
import { BY_HAND } from "./hand.js";
import { type NexmarkInput, nexmarkMessages } from "./messages.js";
import { nexmarkTopology, QUERIES } from "./queries.js";

/**
 * npm run bench:nexmark -- --lane op|bytes|wire --query q0,q5 --events 600000 --json
 *
 * wire: see wire.ts.
 * bytes: JSON bytes in memory in, state saved every 10 s of event time, checksum out; beside it `JSON.parse` of every event of the
 * same bytes, interleaved run by run. Each run has to have saved five times: fewer events or a higher rate miss that.
 * op: the same with a decoder that hands out decoded events; beside it a hand-written loop with the same rows.
 * Every run's checksum must be the first run's, and `test/bench` holds the queries against DuckDB.
 */

/** Floors: times the speed of JSON.parse (bytes), times the time of the loop by hand (op). */
const BYTES_FLOOR: Readonly<Record<string, number>> = {
  q0: 0.65,
  q1: 0.65,
  q2: 2,
  q22: 2,
  q5: 1,
  q7: 1,
  q8: 1,
  q11: 1,
  q17: 1,
  q18: 0.5,
  q19: 0.5,
  q4: 0.25,
  q9: 0.25,
  q20: 0.25,
};
const OP_LIMIT: Readonly<Record<string, number>> = { q0: 5, q1: 5, q2: 5, q5: 3, q7: 3, q8: 3 };

const CONTEXT: TaskContext = {
  task: "nexmark/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
const SAVE_EVERY_MS = 10_000;
const SAVES_LEAST = 5;

type Lane = "bytes" | "op";

interface Run {
  readonly seconds: number;
  readonly checksum: string;
  readonly saves: number;
}

/** One pass over the input. Saves count in the time. */
function runQuery(query: string, messages: readonly LogMessage[], decode?: Decoder<unknown>): Run {
  const checksum = new Checksum();
  const topology = nexmarkTopology(query, checksum);
  if (decode !== undefined) topology.decodeWith(decode);
  const program = topology.create(CONTEXT);
  const ignore = (): void => undefined;
  let savedMs = Number.NEGATIVE_INFINITY;
  let saves = 0;
  const startedAt = process.hrtime.bigint();
  for (const message of messages) {
    program.apply(message, undefined, ignore);
    const watermarkMs = program.watermarkMs();
    if (watermarkMs === undefined || watermarkMs < savedMs + SAVE_EVERY_MS) continue;
    program.saveParts();
    saves++;
    savedMs = watermarkMs;
  }
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  return { seconds, checksum: checksum.toString(), saves };
}

function timed(work: () => unknown): number {
  const startedAt = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - startedAt) / 1e9;
}

function measure(query: string, lane: Lane, input: NexmarkInput, runs: number): Result[] {
  const { messages, events } = input;
  const decoded = lane === "op" ? decodeAll(messages) : undefined;
  const decode: Decoder<unknown> | undefined =
    decoded &&
    ((message, found) => {
      for (const event of decoded.get(message) ?? []) found.event(event, 0, 0);
    });
  const flat = decoded && [...decoded.values()].flat();
  const byHand = BY_HAND[query];
  const ours: number[] = [];
  const raw: number[] = [];
  let first: Run | undefined;
  for (let i = -1; i < runs; i++) {
    const run = runQuery(query, messages, decode);
    first ??= run;
    if (run.checksum !== first.checksum)
      throw new Error(`${query}: run ${i} gave ${run.checksum}, the first ${first.checksum}: void`);
    const rawS =
      lane === "bytes"
        ? timed(() => parseEverything(messages))
        : timed(() => handChecked(query, byHand, flat as Event[], run.checksum));
    if (i < 0) continue; // warm-up
    ours.push(run.seconds);
    raw.push(rawS);
  }
  const { checksum, saves } = first as Run;
  console.error(`${query}, ${lane}: checksum ${checksum}, ${saves} saves`);
  return judged(query, lane, { events, saves, ourS: median(ours), rawS: median(raw) });
}

interface Measured {
  readonly events: number;
  readonly saves: number;
  readonly ourS: number;
  readonly rawS: number;
}

function judged(query: string, lane: Lane, { events, saves, ourS, rawS }: Measured): Result[] {
  const bytes = lane === "bytes";
  const higher = { name: `${query}, ${lane}`, better: "higher" } as const;
  const ratio: Result = bytes
    ? { ...higher, metric: "speed over JSON.parse", value: rawS / ourS, unit: "x", limit: BYTES_FLOOR[query] ?? null }
    : {
        ...{ ...higher, metric: "time over the loop by hand", value: ourS / rawS, unit: "x" },
        ...{ limit: OP_LIMIT[query] ?? null, better: "lower" },
      };
  return [
    ratio,
    { ...higher, metric: "engine", value: events / ourS, unit: "events/s", limit: null },
    {
      ...{ ...higher, metric: bytes ? "JSON.parse" : "loop by hand", value: events / rawS },
      ...{ unit: "events/s", limit: null },
    },
    { ...higher, metric: "saves in a run", value: saves, unit: "saves", limit: bytes ? SAVES_LEAST : null },
  ];
}

function handChecked(
  query: string,
  byHand: ((events: readonly Event[]) => Checksum) | undefined,
  events: readonly Event[],
  expected: string,
): void {
  const found = byHand?.(events).toString();
  if (found !== undefined && found !== expected)
    throw new Error(`${query}: the loop by hand gave ${found}, the engine ${expected}: void`);
}

function decodeAll(messages: readonly LogMessage[]): Map<LogMessage, Event[]> {
  const decoded = new Map<LogMessage, Event[]>();
  for (const message of messages) {
    if (message.subject.includes("._")) continue;
    decoded.set(
      message,
      Buffer.from(message.data)
        .toString()
        .split("\n")
        .map((line) => JSON.parse(line) as Event),
    );
  }
  return decoded;
}

const ALL = Object.keys(QUERIES).join(",");
const { values } = parseArgs({
  options: {
    lane: { type: "string", default: "bytes" },
    query: { type: "string", default: ALL },
    events: { type: "string", default: "600000" },
    rate: { type: "string", default: "10000" },
    runs: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
if (values.lane === "wire") {
  const { wireLane } = await import("./wire.js");
  await wireLane({
    queries: values.query === ALL ? ["q0", "q2", "q5", "q8"] : values.query.split(","),
    events: Number(values.events),
    seed: Number(values.seed),
    ratePerS: Number(values.rate),
    runs: Math.min(3, Number(values.runs)),
  });
} else if (values.lane === "bytes" || values.lane === "op") {
  measureLane(values.lane);
} else {
  throw new RangeError(`--lane must be op, bytes or wire, got ${values.lane}`);
}

function measureLane(lane: Lane): void {
  const input = nexmarkMessages({
    events: Number(values.events),
    seed: Number(values.seed),
    ratePerS: Number(values.rate),
  });
  const wanted = values.query.split(",").filter((query) => lane === "bytes" || query in BY_HAND);
  const results = wanted.flatMap((query) => measure(query, lane, input, Number(values.runs)));
  report(`nexmark ${lane}`, results);
}
