import type {
  AcceptedDelivery,
  AcceptedReading,
  Alert,
  Anomaly,
  DeadLetter,
  Feature,
  LateEvent,
  LogMessage,
  Origin,
  Plan,
  PlanRequest,
} from "../../core/index.js";
import { parseTimeMs, reasonOf } from "../../core/index.js";
import type { TableName } from "./tables.js";

/** Values by column name, every column that is written and no other. Times are integer ms, as the column type reads them. */
export type Row = Readonly<Record<string, unknown>> & { readonly _seq: number; readonly _index: number };

export interface TableRow {
  readonly table: TableName;
  readonly row: Row;
}

/** A record that no table can take. */
export interface Misfit {
  readonly index: number;
  readonly reason: string;
  /** The record as it stood in the message. */
  readonly text: string;
}

export interface MessageRows {
  readonly rows: readonly TableRow[];
  readonly misfits: readonly Misfit[];
}

type AnyRecord = { readonly id?: unknown } & (
  | AcceptedDelivery
  | AcceptedReading
  | Feature
  | Anomaly
  | Alert
  | DeadLetter
  | LateEvent
  | Plan
  | PlanRequest
);
type Values = Record<string, unknown>; // filled in place: a copy of every row costs as much as parsing it

const NOTHING: MessageRows = { rows: [], misfits: [] };
/** Markers (`alerts._at.<task>`), stage marks (`features.<p>._mark.<task>`), ticks and control messages carry no rows. */
const HOUSEKEEPING_SUBJECT = /^[^.]+\.(?:_at\.|\d+\._(?:mark|tick|ctl)(?:\.|$))/;
/** What `DateTime64(3)` holds; beyond, ClickHouse stores another time without a word. */
const EARLIEST_MS = Date.parse("1900-01-01T00:00:00.000Z");
const LATEST_MS = Date.parse("2299-12-31T23:59:59.999Z");

/**
 * Rows of one message of an output stream: one record, or several as NDJSON (a pack).
 *
 * Out: rows in record order; `_index` counts the message's records from 0, also those that became misfits.
 *      Nothing for markers, marks and ticks.
 * Pure, O(bytes).
 */
export function rowsOf(message: LogMessage, incarnation: string): MessageRows {
  if (HOUSEKEEPING_SUBJECT.test(message.subject)) return NOTHING;
  const rows: TableRow[] = [];
  const misfits: Misfit[] = [];
  let index = -1;
  for (const text of Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength)
    .toString("utf8")
    .split("\n")) {
    if (text === "") continue;
    index += 1;
    try {
      const found = rowOf(JSON.parse(text) as AnyRecord);
      if (found === undefined) continue;
      const [table, row] = found;
      row["_part"] = partitionOf(message.subject, row["_id"]);
      row["_seq"] = message.sequence;
      row["_index"] = index;
      row["_incarnation"] = incarnation;
      rows.push({ table, row: row as Row });
    } catch (error) {
      misfits.push({ index, reason: reasonOf(error), text });
    }
  }
  return { rows, misfits };
}

/** From the subject (`features.<p>.…`), else from the record's id, else 0 (`plans.<site>.ready` comes from no partition). */
function partitionOf(subject: string, id: unknown): number {
  const inSubject = /^[^.]+\.(\d{1,5})\./.exec(subject)?.[1];
  if (inSubject !== undefined) return Number(inSubject);
  const inId = typeof id === "string" ? /^[^/]+\/[^/]+\/(\d{1,5})\/\d+\/\d+$/.exec(id)?.[1] : undefined;
  return inId === undefined ? 0 : Number(inId);
}

function rowOf(record: AnyRecord): [TableName, Values] | undefined {
  const found = tableAndValues(record);
  if (found !== undefined) found[1]["_id"] = typeof record.id === "string" ? record.id : "";
  return found;
}

function tableAndValues(record: AnyRecord): [TableName, Values] | undefined {
  if ("schema" in record) {
    if (record.schema === "millrace.alert/1") return ["alerts", alertRow(record)];
    if (record.schema === "millrace.plan/1") return ["plans", planRow(record)];
    throw new Error(`no table for schema ${JSON.stringify((record as { schema: unknown }).schema)}`);
  }
  switch (record.kind) {
    case "delivery":
      return ["github_events", deliveryRow(record)];
    case "reading":
      return ["readings", readingRow(record)];
    case "feature":
      return ["features", featureRow(record)];
    case "anomaly":
      return ["anomalies", anomalyRow(record)];
    case "dead":
      return ["dead_letters", deadRow(record)];
    case "late":
      return ["late_events", lateRow(record)];
    case "plan-request":
      return ["plan_requests", requestRow(record)];
    default:
      if ((record as { kind?: unknown }).kind === "mark") return undefined;
      throw new Error(`no table for kind ${JSON.stringify((record as { kind?: unknown }).kind)}`);
  }
}

function deliveryRow(r: AcceptedDelivery): Values {
  return {
    event_id: r.eventId,
    event: r.event,
    action: r.action,
    owner: r.owner,
    repo: r.repo,
    actor: r.actor,
    ts: time(r.tsMs),
    source: r.source,
    body: r.body,
  };
}

function readingRow(r: AcceptedReading): Values {
  return {
    event_id: r.eventId,
    site: r.site,
    equipment: r.equipment,
    group: r.group,
    ts: time(r.tsMs),
    values: r.values,
    labels: r.labels,
    source: r.source,
    door: r.door,
  };
}

function featureRow(r: Feature): Values {
  return {
    feature: r.feature,
    pipeline: r.pipeline,
    domain: r.domain,
    site: r.site,
    key: r.key,
    window_start: time(r.startMs),
    window_end: time(r.endMs),
    values: r.values,
    labels: r.labels,
    scores: r.scores,
  };
}

function anomalyRow(r: Anomaly): Values {
  return {
    detector: r.detector,
    pipeline: r.pipeline,
    domain: r.domain,
    feature: r.feature,
    site: r.site,
    key: r.key,
    window_start: time(r.startMs),
    window_end: time(r.endMs),
    ts: time(r.tsMs),
    score: r.score,
    threshold: r.threshold,
    value: r.value,
    expected_low: r.expectedLow,
    expected_high: r.expectedHigh,
    _evidence: evidence(r.evidence),
  };
}

function alertRow(r: Alert): Values {
  return {
    fingerprint: r.fingerprint,
    revision: r.revision,
    state: r.state,
    rule: r.rule,
    pipeline: r.pipeline,
    severity: r.severity,
    domain: r.domain,
    key: r.key,
    labels: r.labels,
    title: r.title,
    ts: time(r.ts),
    window_start: time(r.window.start),
    window_end: time(r.window.end),
    detector: r.detector,
    score: r.score,
    value: r.value,
    expected_low: r.expected?.low ?? null,
    expected_high: r.expected?.high ?? null,
    _evidence: evidence(r.evidence),
  };
}

function planRow(r: Plan): Values {
  return {
    request_id: r.requestId,
    site: r.site,
    ts: time(r.ts),
    reason: r.reason,
    status: r.status,
    before: JSON.stringify(r.before),
    after: JSON.stringify(r.after),
    litres_before: r.before.litres,
    litres_after: r.after.litres,
    tonnes_before: r.before.tonnes,
    tonnes_after: r.after.tonnes,
    target_t: r.targetT,
    shortfall_t: r.shortfallT,
    saved_litres: r.savedLitres,
    saved_ratio01: r.savedRatio01,
    gap01: r.gap01,
  };
}

function requestRow(r: PlanRequest): Values {
  return {
    site: r.site,
    ts: time(r.ts),
    reason: r.reason,
    trigger_kind: r.trigger.kind,
    trigger_key: r.trigger.key,
    horizon_min: r.horizonMin,
    trucks: r.trucks,
    target_t: r.targetT,
    shovels: JSON.stringify(r.shovels),
    dumps: JSON.stringify(r.dumps),
    routes: JSON.stringify(r.routes),
  };
}

function deadRow(r: DeadLetter): Values {
  return {
    domain: r.domain,
    event_id: r.eventId,
    reason: r.reason,
    source: r.source,
    door: r.door,
    subject: r.subject,
    bytes_base64: r.bytesBase64,
    bytes_total: r.bytesTotal,
    _origin_stream: r.origin.stream,
    _origin_seq: r.origin.sequence,
    _origin_index: r.origin.index,
  };
}

function lateRow(r: LateEvent): Values {
  return {
    pipeline: r.pipeline,
    domain: r.domain,
    key: r.key,
    event_id: r.eventId,
    ts: time(r.tsMs),
    late_by_ms: r.lateByMs,
  };
}

function evidence(origins: readonly Origin[]): readonly Origin[] {
  return origins.map(({ stream, sequence, index }) => ({ stream, sequence, index }));
}

function time(value: number | string): number {
  const ms = parseTimeMs(value);
  if (ms === undefined) throw new Error(`${JSON.stringify(value)} is not a time`);
  if (ms < EARLIEST_MS || ms > LATEST_MS)
    throw new Error(`time ${ms} ms lies outside the years 1900 to 2299 a table can hold`);
  return ms;
}
