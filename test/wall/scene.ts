import {
  type Alert,
  type Anomaly,
  DAY_MS,
  type DeadLetter,
  type Feature,
  formatTime,
  HOUR_MS,
  MINUTE_MS,
  type Plan,
  type PlanRequest,
  type Stats,
} from "../../src/core/index.js";
import { dispatchModel, dispatchPlan } from "../../src/workers/solver/dispatch-model.js";
import { loadHighs } from "../../src/workers/solver/highs.js";
import { seededRandom } from "../support/random.js";

/** A moment of the bundled sample as the log would hold it: enough of everything for the page to have something to show. */
export interface Scene {
  readonly features: readonly (Feature | Anomaly)[];
  readonly alerts: readonly Alert[];
  readonly plans: readonly Plan[];
  readonly dead: readonly DeadLetter[];
}

export const END_MS = Date.parse("2026-11-13T23:50:54Z");
const HOUR_END_MS = Math.floor(END_MS / HOUR_MS) * HOUR_MS;

export async function scene(): Promise<Scene> {
  const random = seededRandom(20261113);
  const repositories = [
    repository("rust-lang/rust", 9, random),
    repository("rust-lang/cargo", 3, random),
    repository("rust-lang/rust-clippy", 4, random),
  ];
  const trucks = [truck("truck-23", random), truck("truck-07", random)];
  const sensors = [sensor("ec2-cpu-utilization-24ae8d", 41, random), sensor("machine-temperature", 84, random)];
  const silent = silentShovel("shovel-06");
  const found = [...repositories, ...trucks, ...sensors, silent];
  const alerts = found.flatMap(({ alerts }) => alerts).sort((a, b) => (a.ts < b.ts ? -1 : 1));
  return {
    features: found.flatMap(({ features }) => features),
    alerts,
    plans: [await plan("shovel-06")],
    dead: deadLetters(),
  };
}

interface Found {
  readonly features: readonly (Feature | Anomaly)[];
  readonly alerts: readonly Alert[];
}

function repository(key: string, level: number, random: () => number): Found {
  const common = {
    pipeline: "parallel-org.activity",
    domain: "github",
    feature: "github.day",
    site: "rust-lang",
    key,
  } as const;
  const lastDay = Math.floor(END_MS / DAY_MS) * DAY_MS;
  const days = Array.from({ length: 140 }, (_, i) => lastDay - (140 - i) * DAY_MS);
  const counts = days.map((startMs) => {
    const weekend = [0, 6].includes(new Date(startMs).getUTCDay());
    return Math.round(level * (weekend ? 0.35 : 1) * (0.6 + 0.9 * random()));
  });
  const unusual = 131;
  counts[unusual] = level * 5 + 3;
  const window = { startMs: days[unusual] ?? 0, endMs: (days[unusual] ?? 0) + DAY_MS };
  const features = days.map(
    (startMs, i): Feature => ({
      ...common,
      kind: "feature",
      startMs,
      endMs: startMs + DAY_MS,
      values: {
        opened: counts[i] ?? 0,
        merged: Math.round((counts[i] ?? 0) * 0.8),
        actors: 3 + Math.round(4 * random()),
      },
      labels: {},
      scores: i > 21 ? { lof: i === unusual ? 2.74 : 1 + random() * 0.3 } : {},
    }),
  );
  const expected = { low: 0, high: level * 2 };
  const value = counts[unusual] ?? 0;
  const title = `${key}: ${value} pull requests opened in a day, usually ${expected.low} to ${expected.high}`;
  const finding = {
    ...common,
    ...window,
    value,
    expected,
    detector: "lof",
    score: 2.74,
    threshold: 1.5,
    evidence: evidence("github", 11_204, 6),
  };
  return {
    features: [...features, anomaly(finding)],
    alerts: raise(
      {
        ...finding,
        title,
        rule: "unusual-day",
        severity: level > 5 ? "warning" : "critical",
        labels: { repository: key, measure: "opened" },
      },
      level > 5 ? undefined : 3 * DAY_MS,
    ),
  };
}

function truck(equipment: string, random: () => number): Found {
  const key = `minez/${equipment}`;
  const common = {
    pipeline: "mine.telemetry",
    domain: "mine",
    feature: "mine.truck-window",
    site: "minez",
    key,
  } as const;
  const lastMs = Math.floor(END_MS / (2 * HOUR_MS)) * 2 * HOUR_MS;
  const starts = Array.from({ length: 80 }, (_, i) => lastMs - (80 - i) * 2 * HOUR_MS).filter(
    (_, i) => i < 30 || i > 36,
  );
  const unusual = starts.length - 5;
  const features = starts.map(
    (startMs, i): Feature => ({
      ...common,
      kind: "feature",
      startMs,
      endMs: startMs + 2 * HOUR_MS,
      values: {
        waitMeanH: i === unusual ? 0.92 : 0.12 + 0.11 * random(),
        travelFullMeanH: 0.26 + 0.05 * random(),
        payloadMeanT: 288 + 14 * random(),
        cycles: 2 + Math.round(random()),
      },
      labels: { equipment },
      scores: { lof: 1.1 },
    }),
  );
  const startMs = starts[unusual] ?? 0;
  const value = 0.92 * 60;
  const expected = { low: 7.4, high: 14.1 };
  const finding = {
    ...common,
    startMs,
    endMs: startMs + 2 * HOUR_MS,
    value,
    expected,
    detector: "lof",
    score: 4.31,
    threshold: 2,
    evidence: evidence("telemetry", 48_112, 8),
  };
  const title = `${equipment}: mean time at shovel and dump of 3 cycles 55.2 min, usually 7.4 to 14.1 min`;
  return {
    features: [...features, anomaly(finding)],
    alerts: raise(
      { ...finding, title, rule: "truck-unusual", severity: "critical", labels: { equipment, measure: "waitMeanH" } },
      equipment === "truck-07" ? 2 * HOUR_MS : undefined,
    ),
  };
}

function sensor(equipment: string, level: number, random: () => number): Found {
  const key = `nab/${equipment}/realKnownCause/value`;
  const common = { pipeline: "mine.telemetry", domain: "sensor", feature: "sensor.window", site: "nab", key } as const;
  const starts = Array.from({ length: 168 }, (_, i) => HOUR_END_MS - (168 - i) * HOUR_MS);
  const marks = [60, 150];
  const means = starts.map((_, i) => level + level * 0.06 * Math.sin((i / 24) * 2 * Math.PI) + level * 0.05 * random());
  for (const i of marks) means[i] = level * 1.62;
  const features = starts.map((startMs, i): Feature => {
    const mean = means[i] ?? 0;
    const values = { mean, std: 1 + random(), min: mean - 3, max: mean + 4, count: 12 };
    return {
      ...common,
      kind: "feature",
      startMs,
      endMs: startMs + HOUR_MS,
      values,
      labels: { equipment },
      scores: { lof: 1 },
    };
  });
  const findings = marks.map((i) => {
    const startMs = starts[i] ?? 0;
    const expected = { low: level * 0.93, high: level * 1.11 };
    return {
      ...common,
      startMs,
      endMs: startMs + HOUR_MS,
      value: means[i] ?? 0,
      expected,
      detector: "lof",
      score: 2.18 + i / 100,
      threshold: 1.8,
      evidence: evidence("telemetry", 30_000 + i * 97, 4),
    };
  });
  const alerts = findings.flatMap((finding, i) => {
    const said = `${Math.round(finding.value)}, usually ${Math.round(finding.expected.low)} to ${Math.round(finding.expected.high)}`;
    const labels = { equipment, measure: "mean", hour: String(i) };
    return raise(
      {
        ...finding,
        title: `${equipment}: hourly mean ${said}`,
        rule: `sensor-unusual-${i}`,
        severity: "warning",
        labels,
      },
      i === 0 ? 6 * HOUR_MS : undefined,
    );
  });
  return { features: [...features, ...findings.map(anomaly)], alerts };
}

function silentShovel(shovel: string): Found {
  const key = `minez/${shovel}`;
  const common = { pipeline: "mine.site", domain: "mine", feature: "mine.load", site: "minez", key } as const;
  const lastLoadMs = END_MS - 95 * MINUTE_MS;
  const features = Array.from({ length: 120 }, (_, i): Feature => {
    const atMs = lastLoadMs - i * 7 * MINUTE_MS - (i % 5) * MINUTE_MS;
    return {
      ...common,
      kind: "feature",
      startMs: atMs,
      endMs: atMs,
      values: {},
      labels: { shovel, truck: "truck-11" },
      scores: {},
    };
  });
  const finding = {
    ...common,
    startMs: lastLoadMs,
    endMs: END_MS - 4 * MINUTE_MS,
    value: 91,
    expected: { low: 0, high: 60 },
    detector: "silence",
    score: 1.52,
    threshold: 1,
    evidence: evidence("telemetry", 48_377, 1),
  };
  const title = `${shovel}: no load for 91 min while others work, usually one every 7.4 min`;
  return {
    features: [...features, anomaly(finding)],
    alerts: raise({ ...finding, title, rule: "shovel-silent", severity: "warning", labels: { shovel } }),
  };
}

type Finding = Pick<
  Anomaly,
  | "pipeline"
  | "domain"
  | "feature"
  | "site"
  | "key"
  | "startMs"
  | "endMs"
  | "value"
  | "detector"
  | "score"
  | "threshold"
  | "evidence"
> & {
  readonly expected: { readonly low: number; readonly high: number };
};

function anomaly(finding: Finding): Anomaly {
  const { expected, ...rest } = finding;
  return { kind: "anomaly", tsMs: finding.endMs, ...rest, expectedLow: expected.low, expectedHigh: expected.high };
}

/** A firing alert and, `quietMs` later, its resolution. */
function raise(
  finding: Finding & Pick<Alert, "title" | "rule" | "severity" | "labels">,
  quietMs?: number,
): readonly Alert[] {
  const { startMs, endMs, feature: _feature, site: _site, threshold: _threshold, ...shown } = finding;
  const firing: Alert = {
    schema: "millrace.alert/1",
    fingerprint: `${finding.rule}-${finding.key}`.replaceAll(/[^a-z0-9-]/g, "").slice(0, 40),
    revision: 1,
    state: "firing",
    ...shown,
    ts: formatTime(endMs),
    window: { start: formatTime(startMs), end: formatTime(endMs) },
  };
  if (quietMs === undefined) return [firing];
  return [firing, { ...firing, revision: 2, state: "resolved", ts: formatTime(endMs + quietMs) }];
}

function evidence(stream: string, sequence: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({ stream, sequence: sequence + i * 13, index: i % 3 === 2 ? 1 : 0 }));
}

/** What the solver says about an hour of a mine with one shovel silent. */
async function plan(silent: string): Promise<Plan> {
  const shovels = ["01", "03", "04", "05", "06", "07", "09"].map((number, i) => ({
    shovel: `shovel-${number}`,
    loadMin: [7.8, 3.3, 3.1, 2.9, 3.0, 2.7, 5.6][i] ?? 3,
    available: `shovel-${number}` !== silent,
  }));
  const dumps = ["crusher-1", "crusher-2", "dump-14", "dump-29", "stock-12"].map((dump) => ({ dump, dumpMin: 1 }));
  const table: readonly (readonly [number, number, number, number, number])[] = [
    [0, 4, 21, 88, 4],
    [0, 0, 34, 171, 3],
    [1, 2, 26, 139, 5],
    [1, 3, 44, 251, 3],
    [2, 2, 39, 214, 4],
    [2, 3, 29, 147, 5],
    [3, 1, 33, 178, 5],
    [3, 0, 24, 119, 2],
    [4, 0, 28, 152, 6],
    [4, 1, 27, 141, 3],
    [5, 0, 25, 126, 5],
    [5, 1, 37, 208, 4],
    [6, 3, 31, 166, 3],
    [6, 4, 47, 268, 1],
  ];
  const routes = table.map(([s, d, cycleMin, litres, trips]) => ({
    shovel: shovels[s]?.shovel ?? "",
    dump: dumps[d]?.dump ?? "",
    cycleMin,
    litres,
    payloadT: 290 + ((s * 7 + d * 3) % 19),
    trips,
  }));
  const request: PlanRequest = {
    kind: "plan-request",
    site: "minez",
    ts: formatTime(END_MS - 4 * MINUTE_MS),
    reason: `${silent}: no load for 91 min while others work, usually one every 7.4 min`,
    trigger: { kind: "shovel-silent", key: silent },
    horizonMin: 60,
    trucks: 44,
    targetT: 15_120,
    shovels,
    dumps,
    routes,
  };
  const highs = await loadHighs();
  const { milp, routes: open } = dispatchModel(request);
  return dispatchPlan(request, "i/mine.site/0/9/0", open, highs.solve(milp, { timeLimitMs: 2_000, gap01: 1e-4 }));
}

function deadLetters(): readonly DeadLetter[] {
  const letters: readonly (readonly [DeadLetter["domain"], string, string, string])[] = [
    [
      "telemetry",
      "values.fuelLph is not a finite number",
      "mqtt",
      '{"id":"mz-77-3","site":"minez","equipment":"truck-07","values":{"fuelLph":"a lot"}}',
    ],
    ["telemetry", "payload is not JSON", "mqtt", "\u0000\u0001garbage \u202ewith <b>bytes</b>\u0007"],
    [
      "github",
      "repository.full_name is not owner/name",
      "webhook",
      '{"action":"opened","repository":{"full_name":"rust-lang"}}',
    ],
    [
      "telemetry",
      "ts lies more than one hour ahead of the source",
      "mqtt",
      '{"site":"nab","equipment":"machine-temperature","ts":1999999999999}',
    ],
    [
      "telemetry",
      "equipment differs from the topic's",
      "mqtt",
      '{"site":"minez","equipment":"truck-8","group":"status"}',
    ],
    ["github", "body is not a JSON object", "webhook", "[1,2,3]"],
    [
      "telemetry",
      "neither values nor labels has an entry",
      "http",
      '{"site":"minez","equipment":"truck-31","group":"status","values":{}}',
    ],
    ["telemetry", "labels.status is longer than 256 characters", "mqtt", `{"labels":{"status":"${"x".repeat(300)}"}}`],
    [
      "telemetry",
      "values has more than 64 entries",
      "mqtt",
      `{"values":{${Array.from({ length: 65 }, (_, i) => `"v${i}":1`).join(",")}}}`,
    ],
  ];
  return letters.map(([domain, reason, door, text], i) => ({
    kind: "dead",
    domain,
    eventId: `event-${i}`,
    reason,
    source: "sample",
    door,
    subject: domain === "github" ? "in.github.-.-.push" : "in.telemetry.minez.truck-07.status",
    origin: { stream: domain, sequence: 400 + i, index: 0 },
    bytesBase64: Buffer.from(text).toString("base64"),
    bytesTotal: Buffer.byteLength(text),
  }));
}

export function statsAt(share01: number): Stats {
  const of = (count: number) => Math.round(count * share01);
  const replay = { done: share01 === 1, sent: of(70_100), total: 70_100, clock: formatTime(END_MS) };
  const github = { stored: of(11_882), duplicates: of(119), deadLettered: of(36) };
  const telemetry = { stored: of(57_317), duplicates: of(574), deadLettered: of(172) };
  const flying = share01 === 1 ? 0 : 214;
  return {
    github: { ...github, received: github.stored + github.duplicates + github.deadLettered },
    telemetry: { ...telemetry, received: telemetry.stored + telemetry.duplicates + telemetry.deadLettered + flying },
    features: { stored: of(34_210) },
    anomalies: { stored: of(131) },
    alerts: { stored: of(96) },
    plans: { stored: of(9) },
    late: of(41),
    replay,
    uptimeS: 300,
  };
}
