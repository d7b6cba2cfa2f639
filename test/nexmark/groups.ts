import { rowHash } from "../../bench/nexmark/checksum.js";
import { type Event, nexmarkSource } from "../../bench/nexmark/events.js";
import { QUERIES } from "../../bench/nexmark/queries.js";
import { type CustomRow, partitionOf } from "../../src/core/index.js";
import { pipeline, type Target, type Topology } from "../../src/operators/engine/index.js";

/** Where every row of every query goes. */
export const ROWS = "rows";

/** Queries by what their rows depend on: all events of one such key must be in one partition. */
export interface Group {
  /** The input stream. */
  readonly stream: string;
  readonly keyOf: (event: Event) => unknown;
  readonly queries: readonly string[];
}

const auctionOf = (event: Event): unknown =>
  event.event_type === 0 ? "" : event.event_type === 1 ? event.id : event.auction;

/** `everyone`: rows of all keys meet (an average, a maximum or a count over all), so one partition has all the work. */
export const GROUPS: readonly Group[] = [
  {
    stream: "by-auction",
    keyOf: auctionOf,
    queries: ["q0", "q1", "q2", "q9", "q13", "q14", "q17", "q19", "q20", "q21", "q22"],
  },
  { stream: "by-bidder", keyOf: (event) => (event.event_type === 2 ? event.bidder : ""), queries: ["q11", "q18"] },
  {
    stream: "by-person",
    keyOf: (event) => (event.event_type === 0 ? event.id : event.event_type === 1 ? event.seller : ""),
    queries: ["q3", "q8"],
  },
  { stream: "by-channel", keyOf: (event) => (event.event_type === 2 ? event.channel : ""), queries: ["q16"] },
  { stream: "everyone", keyOf: () => "", queries: ["q4", "q5", "q7", "q15"] },
];

export function partitionFor({ keyOf }: Group, event: Event, partitions: number): number {
  return partitionOf([String(keyOf(event))], partitions);
}

/** The query as a pipeline that reads its group's stream and writes the hash of each row, with its sign. */
export function queryPipeline(query: string): Topology {
  const group = GROUPS.find(({ queries }) => queries.includes(query));
  const found = QUERIES[query];
  if (group === undefined || found === undefined) throw new RangeError(`there is no query ${query}`);
  const hash = rowHash<unknown>(found.columns);
  const into = <R>(): Target<R> => ({
    stream: ROWS,
    write: (row, { partition }) => ({
      stream: ROWS,
      subject: `${ROWS}.${partition}.${query}`,
      record: {
        kind: "row",
        hash: hash(row) >>> 0,
        sign: (row as { sign?: number }).sign ?? 1,
      } as unknown as CustomRow,
      pack: true,
    }),
  });
  const topology = pipeline(`nexmark.${query}`);
  found.build(topology.from({ ...nexmarkSource(found.reads), stream: group.stream }), into, topology);
  return topology;
}
