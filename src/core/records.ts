import type { Alarm, AlarmMetrics } from "./alarms.js";
import type { Notice } from "./notices.js";

/**
 * What tasks write to the output streams. The runtime adds `id` (`incarnation/pipeline/partition/sequence/index`) in front.
 * Times inside the log are integer ms; alerts and plans are shown to the outside as they are, so theirs are RFC 3339.
 */

export type Domain = "github" | "mine" | "sensor" | "system";
export type Severity = "info" | "warning" | "critical";

/** A place in the log. `index` counts the events within one message. */
export interface Origin {
  readonly stream: string;
  readonly sequence: number;
  readonly index: number;
}

/** One accepted telemetry event, after duplicates and invalid ones are gone. */
export interface AcceptedReading {
  readonly kind: "reading";
  readonly eventId: string;
  readonly source: string;
  readonly site: string;
  readonly equipment: string;
  readonly group: string;
  readonly tsMs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly door: string;
}

/** One accepted GitHub delivery. `body` is the raw JSON text as it was signed. */
export interface AcceptedDelivery {
  readonly kind: "delivery";
  readonly eventId: string;
  readonly source: string;
  readonly event: string;
  readonly action: string;
  readonly owner: string;
  readonly repo: string;
  readonly actor: string;
  readonly tsMs: number;
  readonly body: string;
}

export interface Feature {
  readonly kind: "feature";
  readonly feature: string;
  readonly pipeline: string;
  readonly domain: Domain;
  readonly site: string;
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly scores: Readonly<Record<string, number>>;
}

export interface Anomaly {
  readonly kind: "anomaly";
  readonly detector: string;
  readonly pipeline: string;
  readonly domain: Domain;
  readonly feature: string;
  readonly site: string;
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly tsMs: number;
  readonly score: number;
  readonly threshold: number;
  readonly value: number;
  readonly expectedLow: number | null;
  readonly expectedHigh: number | null;
  readonly evidence: readonly Origin[];
}

/** `millrace.alert/1`, the contract in the README. The same fingerprint returns with a larger revision. */
export interface Alert {
  readonly schema: "millrace.alert/1";
  readonly fingerprint: string;
  readonly revision: number;
  /** `retracted`: a correction took it back, it should never have been said. */
  readonly state: "firing" | "resolved" | "retracted";
  readonly rule: string;
  readonly pipeline: string;
  readonly severity: Severity;
  readonly domain: Domain;
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly title: string;
  readonly ts: string;
  readonly window: { readonly start: string; readonly end: string };
  readonly detector: string | null;
  readonly score: number | null;
  readonly value: number | null;
  readonly expected: { readonly low: number; readonly high: number } | null;
  readonly evidence: readonly Origin[];
}

export interface DeadLetter {
  readonly kind: "dead";
  readonly domain: "github" | "telemetry" | "notify";
  readonly eventId: string;
  readonly reason: string;
  readonly source: string;
  readonly door: string;
  readonly subject: string;
  readonly origin: Origin;
  /** The bytes as they were received, base64; at most 64 KiB of them, `bytesTotal` says how many there were. */
  readonly bytesBase64: string;
  readonly bytesTotal: number;
  /** Where user code threw: the innermost calls, without directories. */
  readonly stack?: string;
}

/** A row of a topology of the user's own. Any plain fields; the runtime puts `id` first. */
export interface CustomRow {
  readonly kind: "row";
  readonly [field: string]: unknown;
}

export interface LateEvent {
  readonly kind: "late";
  readonly pipeline: string;
  readonly domain: Domain;
  readonly key: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly lateByMs: number;
}

/** One way a truck can go round: from a shovel to a dump and back, as measured over the last hour. */
export interface Route {
  readonly shovel: string;
  readonly dump: string;
  /** Minutes of one whole cycle without waiting. */
  readonly cycleMin: number;
  /** Litres of one whole cycle. */
  readonly litres: number;
  /** Tonnes a trip carries. */
  readonly payloadT: number;
  /** Trips driven in the measured hour. */
  readonly trips: number;
}

export interface PlanRequest {
  readonly kind: "plan-request";
  readonly site: string;
  readonly ts: string;
  readonly reason: string;
  readonly trigger: { readonly kind: "shovel-silent" | "fuel-drift" | "start"; readonly key: string };
  readonly horizonMin: number;
  readonly trucks: number;
  readonly targetT: number;
  readonly shovels: readonly { readonly shovel: string; readonly loadMin: number; readonly available: boolean }[];
  readonly dumps: readonly { readonly dump: string; readonly dumpMin: number }[];
  readonly routes: readonly Route[];
}

/** A side of the plan: trips of each route over the horizon, what they cost and what they move. */
export interface PlanSide {
  readonly trips: readonly { readonly shovel: string; readonly dump: string; readonly trips: number }[];
  readonly litres: number;
  readonly tonnes: number;
  readonly truckHours: number;
}

export interface Plan {
  readonly schema: "millrace.plan/1";
  readonly requestId: string;
  readonly site: string;
  readonly ts: string;
  readonly reason: string;
  readonly status: "optimal" | "feasible" | "infeasible";
  readonly before: PlanSide;
  readonly after: PlanSide;
  readonly targetT: number;
  readonly shortfallT: number;
  readonly savedLitres: number;
  readonly savedRatio01: number;
  /** Proven distance from the best, as a ratio of the objective. */
  readonly gap01: number;
}

export type OutputRecord =
  | AcceptedReading
  | AcceptedDelivery
  | Feature
  | Anomaly
  | Alert
  | DeadLetter
  | LateEvent
  | PlanRequest
  | Plan
  | Alarm
  | AlarmMetrics
  | Notice
  | CustomRow;
