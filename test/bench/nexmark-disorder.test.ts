import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { Checksum, rowHash } from "../../bench/nexmark/checksum.js";
import { type Bid, isBid, nexmarkSource } from "../../bench/nexmark/events.js";
import { generate } from "../../bench/nexmark/generator.js";
import { nexmarkMessages } from "../../bench/nexmark/messages.js";
import { duckdbOracle, type Oracle } from "../../bench/nexmark/oracle.js";
import { QUERIES } from "../../bench/nexmark/queries.js";
import {
  count,
  max,
  mean,
  min,
  pipeline,
  seconds,
  session,
  sumIntegers,
  type Topology,
  tumbling,
  type WindowRow,
} from "../../src/operators/engine/index.js";
import { answer, answerOf, type Duckdb, loadDuckdb, seqOfIds, writeNexmark } from "./support/nexmark.js";

/** 1 % of the events up to 4 s out of order, 0.1 % late by 10 to 30 s. */
const OPTIONS = { events: 40_000, seed: 8, ratePerS: 1_000, disorder01: 0.01, late01: 0.001 };
const GAP_MS = 10_000;
const DAY_MS = 86_400_000;
const COLUMNS = (query: string): readonly string[] => QUERIES[query]?.columns ?? [];

t.setTimeout(180_000);
const duckdb = await loadDuckdb();
const skip = duckdb === undefined ? "@duckdb/node-api is not installed" : false;
const directory = mkdtempSync(join(tmpdir(), "millrace-nexmark-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const { messages } = nexmarkMessages(OPTIONS);
const seqs = seqOfIds(messages);
let opened: Promise<Oracle> | undefined;
const oracle = (): Promise<Oracle> => {
  opened ??= duckdbOracle(duckdb as Duckdb, writeNexmark(join(directory, "disorder.ndjson"), OPTIONS));
  return opened;
};

interface Arrival {
  readonly seq: number;
  readonly markMs: number;
  readonly timeMs: number;
  readonly event_type: number;
  readonly bidder: number;
}

/** The file once more, for a reader that knows nothing of the engine: each event with the latest mark before it. */
function arrivals(): readonly Arrival[] {
  let markMs = Number.NEGATIVE_INFINITY;
  let seq = 0;
  return [...generate(OPTIONS)].flatMap((line): Arrival[] => {
    if (line.kind === "mark") {
      markMs = line.timeMs;
      return [];
    }
    const { event_type, bidder } = JSON.parse(line.json) as { event_type: number; bidder: number };
    return [{ seq: ++seq, markMs, timeMs: line.timeMs, event_type, bidder }];
  });
}

const floorTo = (timeMs: number, sizeMs: number): number => Math.floor(timeMs / sizeMs) * sizeMs;
const tenSeconds = (timeMs: number): number => floorTo(timeMs, 10_000) + 10_000;
const lastHop = (timeMs: number): number => floorTo(timeMs, 2_000) + 10_000;
const day = (timeMs: number): number => floorTo(timeMs, DAY_MS) + DAY_MS;

t.test(
  "windows: late by the definition alone is late by id; DuckDB gets the rest and the rows are equal",
  { skip },
  async (t) => {
    // Late: the last window that holds the event ended at or before the latest mark.
    for (const [query, endOf, types] of [
      ["q5", lastHop, [2]],
      ["q7", tenSeconds, [2]],
      ["q8", tenSeconds, [0, 1]],
      ["q15", day, [2]],
      ["q16", day, [2]],
      ["q17", day, [2]],
    ] as const) {
      const late = arrivals().filter(
        ({ timeMs, markMs, event_type }) =>
          (types as readonly number[]).includes(event_type) && endOf(timeMs) <= markMs,
      );
      const found = answer(query, messages, 71);
      t.ok(late.length > 1, `${query}: ${late.length} late events planted`);
      t.same(
        found.lateIds.map((id) => seqs.get(id)),
        late.map(({ seq }) => seq),
        `${query}: late by id`,
      );
      t.equal(found.late, late.length);
      const inTime = `seq NOT IN (${late.map(({ seq }) => seq).join(", ")})`;
      t.equal(found.text, await (await oracle()).answer(query, inTime), query);
    }
  },
);

t.test("queries without windows: nothing is late, and every row is DuckDB's", { skip }, async (t) => {
  for (const query of ["q0", "q1", "q2", "q3", "q4", "q9", "q13", "q14", "q18", "q19", "q20", "q21", "q22"]) {
    const { text, late, dead } = answer(query, messages, 72);
    t.same({ text, late, dead }, { text: await (await oracle()).answer(query), late: 0, dead: 0 }, query);
  }
});

interface OpenSession {
  startMs: number;
  lastMs: number;
  n: number;
}

/**
 * Sessions straight from their definition, one bidder at a time: a session is over once the mark has reached its end. What comes then
 * for the time before it is late, or the beginning of a session of its own: so the rows are a matter of arrival, and no
 * query over the sorted file can give them.
 */
function sessionsByHand(): { readonly checksum: Checksum; readonly late: readonly number[] } {
  const checksum = new Checksum();
  const hash = rowHash<object>(COLUMNS("q11"));
  const open = new Map<number, OpenSession[]>();
  const late: number[] = [];
  const close = (key: number, { startMs, lastMs, n }: OpenSession): void =>
    checksum.add(hash({ key, n, startMs, endMs: lastMs + GAP_MS }), 1);
  for (const { seq, timeMs, markMs, event_type, bidder } of arrivals()) {
    if (event_type !== 2) continue;
    const sessions = open.get(bidder) ?? [];
    for (const over of sessions.filter(({ lastMs }) => lastMs + GAP_MS <= markMs)) close(bidder, over);
    const live = sessions.filter(({ lastMs }) => lastMs + GAP_MS > markMs);
    const joined = live.filter(({ startMs, lastMs }) => timeMs > startMs - GAP_MS && timeMs < lastMs + GAP_MS);
    if (joined.length === 0 && timeMs + GAP_MS <= markMs) {
      late.push(seq);
      open.set(bidder, live);
      continue;
    }
    const whole = joined.reduce(
      (sum, { startMs, lastMs, n }) => ({
        startMs: Math.min(sum.startMs, startMs),
        lastMs: Math.max(sum.lastMs, lastMs),
        n: sum.n + n,
      }),
      { startMs: timeMs, lastMs: timeMs, n: 1 },
    );
    open.set(bidder, [...live.filter((one) => !joined.includes(one)), whole]);
  }
  for (const [bidder, sessions] of open) for (const one of sessions) close(bidder, one);
  return { checksum, late };
}

t.test("q11: late ids and sessions are those of a script that knows only the definition", async (t) => {
  const { checksum, late } = sessionsByHand();
  const found = answer("q11", messages, 73);
  t.ok(late.length > 1, `${late.length} late events planted`);
  t.same(
    found.lateIds.map((id) => seqs.get(id)),
    late,
  );
  t.equal(found.text, checksum.toString());
});

/** Bids in windows that take corrections for longer than any event of the file is late; a row taken back counts −1. */
function corrected(query: string, checksum: Checksum): Topology {
  const hash = rowHash<object>(COLUMNS(query));
  const latenessMs = seconds(60);
  const bids = pipeline(`corrected.${query}`)
    .from(nexmarkSource({ bid: ["auction", "bidder", "price"] }))
    .filter(isBid);
  const into = {
    stream: "",
    write: (row: WindowRow<number, object>) => {
      checksum.add(hash(row), row.kind === "retract" ? -1 : 1);
      return undefined;
    },
  };
  if (query === "q11") {
    return bids
      .keyBy(({ bidder }) => bidder)
      .window("sessions", session({ gapMs: GAP_MS, latenessMs }))
      .aggregate({ n: count() })
      .to(into);
  }
  return bids
    .keyBy(({ auction }) => auction)
    .window("days", tumbling({ sizeMs: DAY_MS, latenessMs, retract: true }))
    .aggregate({
      total: count(),
      rank1: sumIntegers<Bid>(({ price }) => (price < 10_000 ? 1 : 0)),
      rank2: sumIntegers<Bid>(({ price }) => (price >= 10_000 && price < 1_000_000 ? 1 : 0)),
      rank3: sumIntegers<Bid>(({ price }) => (price >= 1_000_000 ? 1 : 0)),
      low: min("price"),
      high: max("price"),
      mean: mean("price"),
      sum: sumIntegers("price"),
    })
    .to(into);
}

t.test(
  "with lateness: after applying updates and retractions the rows are DuckDB's over all events",
  { skip },
  async (t) => {
    for (const query of ["q11", "q17"]) {
      const checksum = new Checksum();
      const { text, late } = answerOf(corrected(query, checksum), checksum, messages, 74);
      t.same({ text, late }, { text: await (await oracle()).answer(query), late: 0 }, query);
      t.ok(checksum.writes > checksum.rows, `${query}: ${checksum.writes - checksum.rows} writes were corrections`);
    }
  },
);
