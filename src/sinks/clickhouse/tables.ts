/** One column as the database, the writer and docs/tables.md know it. */
export interface Column {
  readonly name: string;
  /** ClickHouse type. */
  readonly type: string;
  /** Unit or notation of a value; empty when it has none. */
  readonly unit: string;
  readonly about: string;
  /** True: depends on the order in which the log received things, so two runs of one sample may differ here and only here. */
  readonly arrival?: true;
  /** Computed on reading from this expression; never written. */
  readonly alias?: string;
}

export interface Table {
  readonly name: TableName;
  readonly about: string;
  /** The output stream its rows come from; undefined for the writer's own bookkeeping. */
  readonly stream?: string;
  readonly columns: readonly Column[];
  readonly orderBy: readonly string[];
  readonly engine: "MergeTree" | "ReplacingMergeTree(sequence)";
}

export type TableName =
  | "github_events"
  | "readings"
  | "features"
  | "anomalies"
  | "alerts"
  | "plans"
  | "plan_requests"
  | "dead_letters"
  | "late_events"
  | "sink_progress";

type Extra = Pick<Column, "arrival" | "alias">;

const column = (name: string, type: string, unit: string, about: string, extra: Extra = {}): Column => ({
  name,
  type,
  unit,
  about,
  ...extra,
});
const text = (name: string, about: string) => column(name, "String", "", about);
const word = (name: string, about: string) => column(name, "LowCardinality(String)", "", about);
const time = (name: string, about: string) => column(name, "DateTime64(3, 'UTC')", "UTC, ms", about);
const amount = (name: string, unit: string, about: string) => column(name, "Float64", unit, about);
const maybe = (name: string, unit: string, about: string) => column(name, "Nullable(Float64)", unit, about);
const count = (name: string, unit: string, about: string) => column(name, "UInt32", unit, about);
const numbers = (name: string, about: string) =>
  column(name, "Map(LowCardinality(String), Float64)", "unit ends each name", about);
const labels = (about: string) => column("labels", "Map(LowCardinality(String), String)", "", about);
const json = (name: string, about: string) => column(name, "String", "JSON", about);

const EVIDENCE = column(
  "_evidence",
  "Array(Tuple(stream LowCardinality(String), sequence UInt64, `index` UInt32))",
  "log positions",
  "messages of the log this follows from",
  { arrival: true },
);

const ARRIVAL: readonly Column[] = [
  column("_part", "UInt16", "", "partition whose task wrote the record", { arrival: true }),
  column("_seq", "UInt64", "stream sequence", "message of the output stream that carried the row", { arrival: true }),
  column("_index", "UInt32", "", "place of the record within that message, from 0", { arrival: true }),
  column("_id", "String", "", "incarnation/pipeline/partition/sequence/index of the record: unique", { arrival: true }),
  column("_incarnation", "LowCardinality(String)", "", "identity of the output stream `_seq` counts in", {
    arrival: true,
  }),
];

function table(
  name: TableName,
  stream: string,
  about: string,
  orderBy: readonly string[],
  columns: readonly Column[],
): Table {
  return { name, stream, about, orderBy, columns: [...columns, ...ARRIVAL], engine: "MergeTree" };
}

/** Every table in this build: the DDL, the writer and docs/tables.md are made from this list and nothing else. */
export const TABLES: readonly Table[] = [
  table(
    "github_events",
    "accepted",
    "GitHub deliveries after duplicates and invalid ones are gone, bodies as signed.",
    ["owner", "repo", "ts", "event_id"],
    [
      text("event_id", "delivery id: X-GitHub-Delivery, or a hash of the content"),
      word("event", "X-GitHub-Event, e.g. pull_request"),
      word("action", "action field of the body; empty when it has none"),
      word("owner", "repository owner"),
      word("repo", "repository name"),
      text("actor", "login of the sender"),
      time("ts", "event time"),
      word("source", "time source the event belongs to, e.g. live or sample"),
      column("body", "String", "JSON", "the delivery's body, byte for byte"),
    ],
  ),
  table(
    "readings",
    "accepted",
    "Telemetry readings after duplicates and invalid ones are gone.",
    ["site", "equipment", "group", "ts"],
    [
      text("event_id", "id of the reading, or a hash of its content"),
      word("site", "site the equipment stands on"),
      word("equipment", "machine or sensor"),
      word("group", "group of values that are sent together, e.g. status, refuel, engine"),
      time("ts", "event time"),
      numbers("values", "measured values by name"),
      labels("measured states by name, e.g. status"),
      word("source", "time source the reading belongs to"),
      word("door", "way in: mqtt or http"),
    ],
  ),
  table(
    "features",
    "features",
    "What a window says about a key.",
    ["pipeline", "feature", "key", "window_start"],
    [
      word("feature", "name of the feature"),
      word("pipeline", "pipeline that computed it"),
      word("domain", "github, mine or sensor"),
      word("site", "site, or the repository's owner"),
      text("key", "what the window was filed under, e.g. a repository or a truck"),
      time("window_start", "start of the window, included"),
      time("window_end", "end of the window, not included"),
      numbers("values", "aggregates by name"),
      labels("descriptions by name"),
      column(
        "scores",
        "Map(LowCardinality(String), Float64)",
        "higher is more anomalous",
        "detector scores by detector; no entry during warm-up",
      ),
    ],
  ),
  table(
    "anomalies",
    "features",
    "Features and events a detector called out, before rules make alerts of them.",
    ["domain", "key", "ts"],
    [
      word("detector", "detector that fired, e.g. lof or adwin"),
      word("pipeline", "pipeline that ran it"),
      word("domain", "github, mine or sensor"),
      word("feature", "feature it looked at"),
      word("site", "site, or the repository's owner"),
      text("key", "what the feature was filed under"),
      time("window_start", "start of the window, included"),
      time("window_end", "end of the window, not included"),
      time("ts", "event time of the anomaly"),
      amount("score", "higher is more anomalous", "detector score"),
      amount("threshold", "same as score", "score from which it counts as an anomaly"),
      amount("value", "unit of the feature", "observed value"),
      maybe("expected_low", "unit of the feature", "lower end of what was expected; null when the detector has none"),
      maybe("expected_high", "unit of the feature", "upper end of what was expected; null when the detector has none"),
      EVIDENCE,
    ],
  ),
  table(
    "alerts",
    "alerts",
    "Alerts, one row a revision; the newest revision of a fingerprint is in force.",
    ["domain", "key", "ts", "fingerprint", "revision"],
    [
      text("fingerprint", "identity of the condition; returns with a larger revision"),
      count("revision", "", "counts from 1 within a fingerprint"),
      word("state", "firing or resolved"),
      word("rule", "rule that raised it"),
      word("pipeline", "pipeline that raised it"),
      word("severity", "info, warning or critical"),
      word("domain", "github, mine, sensor or system"),
      text("key", "what it is about"),
      labels("descriptions by name"),
      text("title", "one sentence for people"),
      time("ts", "event time of this revision"),
      time("window_start", "start of the window, included"),
      time("window_end", "end of the window, not included"),
      column("detector", "LowCardinality(Nullable(String))", "", "detector behind it; null when a rule alone decided"),
      maybe("score", "higher is more anomalous", "detector score; null without detector"),
      maybe("value", "unit of the feature", "observed value; null when it is not about a number"),
      maybe("expected_low", "unit of the feature", "lower end of what was expected; null when unknown"),
      maybe("expected_high", "unit of the feature", "upper end of what was expected; null when unknown"),
      EVIDENCE,
    ],
  ),
  table(
    "plans",
    "plans",
    "Dispatch plans the solver returned: trips before and after, and what they cost.",
    ["site", "ts"],
    [
      text("request_id", "id of the plan request it answers"),
      word("site", "mine site"),
      time("ts", "event time of the request"),
      text("reason", "why it was asked for, one sentence"),
      word("status", "optimal, feasible or infeasible"),
      json("before", "plan in force until then: {trips, litres, tonnes, truckHours}"),
      json("after", "new plan: {trips, litres, tonnes, truckHours}"),
      amount("litres_before", "L", "fuel of the plan in force over the horizon"),
      amount("litres_after", "L", "fuel of the new plan over the horizon"),
      amount("tonnes_before", "t", "tonnes the plan in force moves over the horizon"),
      amount("tonnes_after", "t", "tonnes the new plan moves over the horizon"),
      amount("target_t", "t", "tonnes wanted over the horizon"),
      amount("shortfall_t", "t", "tonnes of the target the new plan does not move"),
      amount("saved_litres", "L", "litres_before minus litres_after, at equal tonnes"),
      amount("saved_ratio01", "ratio 0..1", "saved_litres divided by litres_before"),
      amount("gap01", "ratio 0..1", "proven distance from the best plan"),
    ],
  ),
  table(
    "plan_requests",
    "plans",
    "What the solver was asked, with everything it was told.",
    ["site", "ts"],
    [
      word("site", "mine site"),
      time("ts", "event time of the request"),
      text("reason", "why it was asked for, one sentence"),
      word("trigger_kind", "shovel-silent, fuel-drift or start"),
      text("trigger_key", "what triggered it, e.g. the shovel"),
      amount("horizon_min", "min", "length of time planned for"),
      count("trucks", "trucks", "trucks available"),
      amount("target_t", "t", "tonnes wanted over the horizon"),
      json("shovels", "[{shovel, loadMin, available}]"),
      json("dumps", "[{dump, dumpMin}]"),
      json("routes", "[{shovel, dump, cycleMin, litres, payloadT, trips}] as measured over the last hour"),
    ],
  ),
  table(
    "dead_letters",
    "dead",
    "Deliveries set aside because they could not be decoded or are invalid.",
    ["domain", "reason", "event_id"],
    [
      word("domain", "github or telemetry"),
      text("event_id", "id of the delivery, or a hash of its bytes"),
      text("reason", "why it was set aside"),
      word("source", "time source it belongs to"),
      word("door", "way in: webhook, mqtt or http"),
      text("subject", "subject it was received on"),
      column("bytes_base64", "String", "base64", "the first 64 KiB as received"),
      column("bytes", "String", "bytes", "the same, decoded", { alias: "base64Decode(bytes_base64)" }),
      count("bytes_total", "bytes", "size as received"),
      column("_origin_stream", "LowCardinality(String)", "", "input stream it was read from", { arrival: true }),
      column("_origin_seq", "UInt64", "stream sequence", "message it was read from", { arrival: true }),
      column("_origin_index", "UInt32", "", "event within that message, from 0", { arrival: true }),
    ],
  ),
  table(
    "late_events",
    "late",
    "Events that came after their window had taken its last correction.",
    ["pipeline", "key", "ts"],
    [
      word("pipeline", "pipeline whose window had closed"),
      word("domain", "github, mine or sensor"),
      text("key", "what the event was filed under"),
      text("event_id", "id of the event"),
      time("ts", "event time"),
      column("late_by_ms", "Int64", "ms", "watermark minus the end of its window"),
    ],
  ),
  {
    name: "sink_progress",
    about: "Bookkeeping of the writer: up to where every table of a stream is complete. Not a result.",
    orderBy: ["stream", "incarnation"],
    engine: "ReplacingMergeTree(sequence)",
    columns: [
      column("stream", "LowCardinality(String)", "", "output stream", { arrival: true }),
      column("incarnation", "LowCardinality(String)", "", "identity of the stream", { arrival: true }),
      column("sequence", "UInt64", "stream sequence", "every row up to here is stored", { arrival: true }),
    ],
  },
];

/** Tables of results, without bookkeeping: what runs are compared by. */
export const RESULT_TABLES: readonly Table[] = TABLES.filter(({ stream }) => stream !== undefined);

/** Tables filled from `stream`, in the order of the list; empty for a stream without tables. */
export function tablesOf(stream: string): readonly Table[] {
  return TABLES.filter((table) => table.stream === stream);
}

/** Throws for a name that is not in the list: a programming error. */
export function tableNamed(name: string): Table {
  const found = TABLES.find((table) => table.name === name);
  if (!found) throw new TypeError(`no table ${name}`);
  return found;
}

/** Columns a row has to bring, in the order of the DDL. */
export function writtenColumns(table: Table): readonly Column[] {
  return table.columns.filter(({ alias }) => alias === undefined);
}
