import { createHash } from "node:crypto";
import { type Alert, type Domain, formatTime, type Origin, type Severity } from "../../core/index.js";
import type { ProcessAt, ProcessFunction } from "../engine/index.js";
import { GRAVITY } from "./priority.js";

export interface IncidentOptions {
  readonly pipeline: string;
  readonly rule: string;
  readonly domain: Domain;
  /** An incident is over when nothing of it was seen for this long, ms of event time. */
  readonly quietMs: number;
  /** Incidents remembered, for their revisions; the one longest without a sighting is forgotten first. */
  readonly maxKeys: number;
}

/** Something wrong, seen at `timeMs`. */
export interface Sighting {
  readonly kind: "sighting";
  readonly key: string;
  readonly timeMs: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly severity: Severity;
  /** One sentence with numbers and units: what is wrong with what. */
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly detector: string | null;
  readonly score: number | null;
  readonly value: number | null;
  readonly expected: { readonly low: number; readonly high: number } | null;
  readonly evidence: readonly Origin[];
}

/** The reason is gone, as of `timeMs`. */
export interface Clearance {
  readonly kind: "clearance";
  readonly key: string;
  readonly timeMs: number;
}

export interface Incident {
  readonly revision: number;
  /** Null when it is resolved. */
  readonly open: Alert | null;
  readonly startMs: number;
  readonly lastMs: number;
}

type Reports = ProcessAt<string, Alert>;

/**
 * Turns repeated sightings of one trouble into one incident: firing, firing again when it gets worse, resolved. For a stream by the
 * sightings' key.
 *
 * Fingerprint: of pipeline, rule and key. Its revision grows by one with every alert, also over incidents.
 * Time:  sightings of a key come in time order, or nearly. Resolution carries the moment quiet was complete (last sighting +
 *        quietMs), whenever the watermark passes it, so the spacing of ticks shows in no alert; a clearance resolves at once.
 * State: one open alert and three numbers a key, at most `maxKeys` keys. Cost O(1) a sighting.
 */
export function incidents(options: IncidentOptions): ProcessFunction<string, Sighting | Clearance, Incident, Alert> {
  const { quietMs, maxKeys } = options;

  function see(incident: Incident, sighting: Sighting, at: Reports): Incident {
    const { timeMs } = sighting;
    const known = incident.revision > 0;
    const overMs = incident.lastMs + quietMs;
    if (known) at.cancelTimer(overMs);
    const before = incident.open !== null && timeMs >= overMs ? close(incident, overMs, at) : incident;
    const lastMs = known ? Math.max(incident.lastMs, timeMs) : timeMs;
    at.setTimer(lastMs + quietMs);
    if (before.open !== null && GRAVITY[sighting.severity] <= GRAVITY[before.open.severity])
      return { ...before, lastMs };
    const revision = before.revision + 1;
    const open = alertOf(sighting, revision, options);
    at.emit(open);
    return { revision, open, startMs: before.open === null ? sighting.startMs : before.startMs, lastMs };
  }

  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys,
    init: () => ({ revision: 0, open: null, startMs: 0, lastMs: 0 }),
    onEvent(incident, news, at) {
      if (news.kind === "sighting") return see(incident, news, at);
      if (incident.revision === 0) return undefined; // nothing of it was ever said
      at.cancelTimer(incident.lastMs + quietMs);
      return close({ ...incident, lastMs: Math.max(incident.lastMs, news.timeMs) }, news.timeMs, at);
    },
    onTimer: close,
  };
}

function close(incident: Incident, timeMs: number, at: Reports): Incident {
  if (incident.open === null) return incident;
  const revision = incident.revision + 1;
  const window = { start: formatTime(incident.startMs), end: formatTime(incident.lastMs) };
  at.emit({ ...incident.open, revision, state: "resolved", ts: formatTime(timeMs), window });
  return { ...incident, revision, open: null };
}

function alertOf(sighting: Sighting, revision: number, { pipeline, rule, domain }: IncidentOptions): Alert {
  const { key, timeMs, startMs, endMs, severity, title, labels, detector, score, value, expected, evidence } = sighting;
  return {
    schema: "millrace.alert/1",
    fingerprint: fingerprintOf(pipeline, rule, key),
    revision,
    state: "firing",
    rule,
    pipeline,
    severity,
    domain,
    key,
    labels,
    title,
    ts: formatTime(timeMs),
    window: { start: formatTime(startMs), end: formatTime(endMs) },
    detector,
    score,
    value,
    expected,
    evidence,
  };
}

/** 16 hex digits: enough that two of a million keys never meet. */
export function fingerprintOf(pipeline: string, rule: string, key: string): string {
  return createHash("sha256")
    .update(JSON.stringify([pipeline, rule, key]))
    .digest("hex")
    .slice(0, 16);
}
