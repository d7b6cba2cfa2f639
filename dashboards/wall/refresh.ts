import type { Ask, Asked } from "./api.js";
import { printable } from "./format.js";
import { buildSeries, busiestSql, marksSql, pointsSql, readMarks, type Series, type Subject } from "./series.js";
import type { DeadLetter } from "./state.js";
import type { Alert, Plan, PlanSide, QueryAnswer } from "./wire.js";

type Rows = QueryAnswer["rows"];

/** A read either gives something or says why not; `refused` and `failed` pass through. */
export type Read<Value> = { readonly kind: "value"; readonly value: Value } | Exclude<Asked, { kind: "rows" }>;

const ALERT_COLUMNS = `fingerprint, revision, state, rule, pipeline, severity, domain, key, labels, title, toUnixTimestamp64Milli(ts),
toUnixTimestamp64Milli(window_start), toUnixTimestamp64Milli(window_end), detector, score, value, expected_low, expected_high, _evidence`;

/** The newest revision of each alert, the last change first. More than the page lists: charts of a quiet domain look for theirs here. */
export async function readAlerts(ask: Ask): Promise<Read<readonly Alert[]>> {
  const sql = `SELECT ${ALERT_COLUMNS} FROM alerts ORDER BY _seq DESC, _index DESC LIMIT 1 BY fingerprint LIMIT 100`;
  return mapRows(await ask(sql), (rows) => rows.map(alertOf));
}

export async function readAlertTotals(ask: Ask): Promise<Read<{ open: number; total: number }>> {
  const sql =
    "SELECT count(), countIf(state = 'firing') FROM (SELECT argMax(state, revision) AS state FROM alerts GROUP BY fingerprint)";
  return mapRows(await ask(sql), ([row]) => ({ total: Number(row?.[0] ?? 0), open: Number(row?.[1] ?? 0) }));
}

export async function readPlan(ask: Ask): Promise<Read<Plan | undefined>> {
  const sql = `SELECT site, toUnixTimestamp64Milli(ts), reason, status, before, after, target_t, shortfall_t, saved_litres, saved_ratio01, gap01
FROM plans ORDER BY plans.ts DESC, _seq DESC LIMIT 1`;
  return mapRows(await ask(sql), ([row]) => (row === undefined ? undefined : planOf(row)));
}

export async function readDeadLetters(ask: Ask): Promise<Read<readonly DeadLetter[]>> {
  const sql = `SELECT _id, domain, reason, door, bytes_total, substring(bytes_base64, 1, 240) FROM dead_letters ORDER BY _seq DESC, _index DESC LIMIT 12`;
  return mapRows(await ask(sql), (rows) =>
    rows.map((row) => ({
      id: String(row[0]),
      domain: String(row[1]),
      reason: String(row[2]),
      door: String(row[3]),
      bytesTotal: Number(row[4]),
      preview: printable(String(row[5])),
    })),
  );
}

/** The chart of a domain: about the alert, or about its busiest key while there is none. Undefined before the first window. */
export async function readSeries(ask: Ask, subject: Subject): Promise<Read<Series | undefined>> {
  const { domain, alert } = subject;
  const sql = marksSql(subject);
  const marks = sql === undefined ? ({ kind: "rows", rows: [] } as const) : await ask(sql);
  if (marks.kind !== "rows") return marks;
  const found = readMarks(marks.rows);
  let feature = featureOf(found, alert);
  let key = alert?.key;
  if (feature === undefined || key === undefined) {
    const busiest = await ask(busiestSql(domain));
    if (busiest.kind !== "rows") return busiest;
    const [row] = busiest.rows;
    if (row === undefined) return { kind: "value", value: undefined };
    feature = String(row[0]);
    key = String(row[1]);
  }
  const points = await ask(pointsSql(domain, feature, key));
  return mapRows(points, (rows) => buildSeries(subject, feature ?? "", key ?? "", rows, found));
}

/** Of several features of one key, the one in the alert's own window. */
function featureOf(found: ReturnType<typeof readMarks>, alert: Alert | undefined): string | undefined {
  const endMs = alert === undefined ? undefined : Date.parse(alert.window.end);
  return (found.find(({ mark }) => mark.endMs === endMs) ?? found[0])?.feature;
}

function mapRows<Value>(asked: Asked, read: (rows: Rows) => Value): Read<Value> {
  return asked.kind === "rows" ? { kind: "value", value: read(asked.rows) } : asked;
}

function alertOf(row: readonly unknown[]): Alert {
  const [low, high] = [row[16], row[17]];
  return {
    fingerprint: String(row[0]),
    revision: Number(row[1]),
    state: row[2] === "firing" ? "firing" : "resolved",
    rule: String(row[3]),
    pipeline: String(row[4]),
    severity: row[5] as Alert["severity"],
    domain: row[6] as Alert["domain"],
    key: String(row[7]),
    labels: (row[8] ?? {}) as Alert["labels"],
    title: String(row[9]),
    ts: iso(row[10]),
    window: { start: iso(row[11]), end: iso(row[12]) },
    detector: row[13] === null ? null : String(row[13]),
    score: maybe(row[14]),
    value: maybe(row[15]),
    expected: low === null || low === undefined ? null : { low: Number(low), high: Number(high) },
    evidence: (Array.isArray(row[18]) ? row[18] : []).map(originOf),
  };
}

/** A tuple comes as an object or as an array, by a setting of the server. */
function originOf(tuple: unknown): Alert["evidence"][number] {
  const { stream, sequence, index } = tuple as Record<string, unknown>;
  const [first, second, third] = Array.isArray(tuple) ? tuple : [stream, sequence, index];
  return { stream: String(first), sequence: Number(second), index: Number(third) };
}

function planOf(row: readonly unknown[]): Plan {
  return {
    site: String(row[0]),
    ts: iso(row[1]),
    reason: String(row[2]),
    status: row[3] as Plan["status"],
    before: JSON.parse(String(row[4])) as PlanSide,
    after: JSON.parse(String(row[5])) as PlanSide,
    targetT: Number(row[6]),
    shortfallT: Number(row[7]),
    savedLitres: Number(row[8]),
    savedRatio01: Number(row[9]),
    gap01: Number(row[10]),
  };
}

const iso = (ms: unknown) => new Date(Number(ms)).toISOString();
const maybe = (value: unknown) => (value === null || value === undefined ? null : Number(value));
