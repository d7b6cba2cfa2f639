import t from "tap";
import type { LogMessage } from "../../../src/core/index.js";
import { rowsOf } from "../../../src/sinks/clickhouse/rows.js";
import { RESULT_TABLES, tableNamed, writtenColumns } from "../../../src/sinks/clickhouse/tables.js";
import { delivery, reading } from "./support.js";

const message = (subject: string, ...records: unknown[]): LogMessage => ({
  sequence: 42,
  subject,
  data: Buffer.from(records.map((record) => (typeof record === "string" ? record : JSON.stringify(record))).join("\n")),
  header: () => undefined,
});
const evidence = [{ stream: "telemetry", sequence: 5, index: 1 }];
const side = { trips: [], litres: 10, tonnes: 20, truckHours: 3 };
const base = { pipeline: "p", domain: "mine", site: "minez", key: "truck-1" };

const records: readonly (readonly [subject: string, table: string, record: object, some: object])[] = [
  [
    "accepted.3.telemetry",
    "readings",
    reading(4),
    { event_id: "event-4", values: { payloadT: 2 }, _part: 3, _id: "inc/mine/0/4/0" },
  ],
  ["accepted.0.github", "github_events", delivery(4), { owner: "rust-lang", body: '{"n":4,"text":"say \\"hi\\"\\n"}' }],
  [
    "features.1.p.truck-1",
    "features",
    {
      id: "i/p/1/2/0",
      kind: "feature",
      feature: "f",
      ...base,
      startMs: 1,
      endMs: 2,
      values: { a: 1 },
      labels: { b: "c" },
      scores: {},
    },
    { window_start: 1, window_end: 2, scores: {}, _part: 1 },
  ],
  [
    "features.1.p.truck-1",
    "anomalies",
    {
      id: "i/p/1/2/1",
      kind: "anomaly",
      detector: "lof",
      feature: "f",
      ...base,
      startMs: 1,
      endMs: 2,
      tsMs: 2,
      score: 3,
      threshold: 2,
      value: 9,
      expectedLow: null,
      expectedHigh: 4,
      evidence,
    },
    { expected_low: null, expected_high: 4, _evidence: evidence },
  ],
  [
    "alerts.2.mine",
    "alerts",
    {
      id: "i/p/2/2/1",
      schema: "millrace.alert/1",
      fingerprint: "f",
      revision: 2,
      state: "firing",
      rule: "r",
      severity: "warning",
      ...base,
      labels: {},
      title: "t",
      ts: "2026-01-02T03:04:05.678Z",
      window: { start: "2026-01-02T03:00:00Z", end: "2026-01-02T03:05:00+00:00" },
      detector: null,
      score: null,
      value: 1,
      expected: { low: 0, high: 2 },
      evidence,
    },
    {
      ts: 1767323045678,
      window_start: 1767322800000,
      detector: null,
      expected_low: 0,
      expected_high: 2,
      revision: 2,
      _part: 2,
    },
  ],
  [
    "plans.minez.ready",
    "plans",
    {
      schema: "millrace.plan/1",
      requestId: "q",
      site: "minez",
      ts: "2026-01-02T03:04:05Z",
      reason: "r",
      status: "optimal",
      before: side,
      after: { ...side, litres: 8 },
      targetT: 20,
      shortfallT: 0,
      savedLitres: 2,
      savedRatio01: 0.2,
      gap01: 0,
    },
    { litres_before: 10, litres_after: 8, before: JSON.stringify(side), _part: 0, _id: "" },
  ],
  [
    "plans.minez.request",
    "plan_requests",
    {
      id: "inc/mine/3/77/0",
      kind: "plan-request",
      site: "minez",
      ts: "2026-01-02T03:04:05Z",
      reason: "r",
      trigger: { kind: "start", key: "k" },
      horizonMin: 60,
      trucks: 5,
      targetT: 100,
      shovels: [],
      dumps: [],
      routes: [],
    },
    { trigger_kind: "start", shovels: "[]", _part: 3 },
  ],
  [
    "dead.mqtt",
    "dead_letters",
    {
      id: "inc/mine/1/9/0",
      kind: "dead",
      domain: "telemetry",
      eventId: "e",
      reason: "r",
      source: "live",
      door: "mqtt",
      subject: "in.telemetry.a.b.c",
      origin: { stream: "telemetry", sequence: 9, index: 0 },
      bytesBase64: "AP8=",
      bytesTotal: 2,
    },
    { bytes_base64: "AP8=", _origin_seq: 9, _part: 1 },
  ],
  [
    "late.p",
    "late_events",
    { id: "inc/p/1/9/0", kind: "late", pipeline: "p", domain: "mine", key: "k", eventId: "e", tsMs: 5, lateByMs: 7 },
    { late_by_ms: 7, ts: 5 },
  ],
];

t.test("every kind of record becomes a row with every column of its table and no other", async (t) => {
  t.same(
    new Set(records.map(([, table]) => table)),
    new Set(RESULT_TABLES.map(({ name }) => name)),
    "every table is covered",
  );
  for (const [subject, table, record, some] of records) {
    const { rows, misfits } = rowsOf(message(subject, record), "cafe");
    t.same(misfits, [], table);
    t.equal(rows[0]?.table, table);
    t.match(rows[0]?.row, { ...some, _seq: 42, _index: 0, _incarnation: "cafe" }, table);
    const columns = writtenColumns(tableNamed(table)).map(({ name }) => name);
    t.same(Object.keys(rows[0]?.row ?? {}).sort(), [...columns].sort(), `${table}: columns`);
    t.ok(
      tableNamed(table).columns.every(({ name }) => rows[0]?.row[name] !== undefined || name === "bytes"),
      `${table}: values`,
    );
  }
});

t.test("a pack: index counts records, also those that fit nowhere; empty lines are none", async (t) => {
  const lines = [
    reading(0),
    "",
    "{not json",
    { kind: "mark", task: "a", watermarkMs: 1 },
    { kind: "what" },
    { schema: "x/9" },
    reading(1),
    "",
  ];
  const { rows, misfits } = rowsOf(message("accepted.0.telemetry", ...lines), "cafe");
  t.same(
    rows.map(({ row }) => [row["event_id"], row._index]),
    [
      ["event-0", 0],
      ["event-1", 5],
    ],
  );
  t.same(
    misfits.map(({ index }) => index),
    [1, 3, 4],
  );
  t.equal(misfits[0]?.text, "{not json");
  t.match(misfits[1]?.reason, /no table for kind "what"/);
  t.match(misfits[2]?.reason, /no table for schema "x\/9"/);
});

t.test("markers, stage marks and ticks carry no rows", async (t) => {
  const body = '{"sequence":1,"index":0}';
  for (const subject of [
    "alerts._at.mine/0",
    "features._at.mine",
    "features.2._mark.mine",
    "github.0._tick",
    "github.1._ctl.rule",
  ]) {
    t.same(rowsOf(message(subject, body), "cafe"), { rows: [], misfits: [] }, subject);
  }
  for (const subject of ["features.2.p._mark", "features.2.p._at", "plans._at_.ready"]) {
    t.equal(rowsOf(message(subject, reading(1)), "cafe").rows.length, 1, `${subject} is data`);
  }
});

t.test("times a table cannot hold are misfits, its edges are not", async (t) => {
  const table = [
    { tsMs: Date.parse("1900-01-01T00:00:00Z"), fits: true },
    { tsMs: Date.parse("1900-01-01T00:00:00Z") - 1, fits: false },
    { tsMs: Date.parse("2299-12-31T23:59:59.999Z"), fits: true },
    { tsMs: Date.parse("2300-01-01T00:00:00Z"), fits: false },
    { tsMs: 1.5, fits: false },
    { tsMs: "yesterday", fits: false },
    { tsMs: null, fits: false },
  ];
  for (const { tsMs, fits } of table) {
    const { rows, misfits } = rowsOf(message("accepted.0.telemetry", reading(1, { tsMs })), "cafe");
    t.same([rows.length, misfits.length], fits ? [1, 0] : [0, 1], String(tsMs));
  }
});
