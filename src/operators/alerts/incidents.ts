import { createHash } from "node:crypto";
import { type Alert, type Domain, formatTime, type Origin, type Severity } from "../../core/index.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

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

interface Incident {
  revision: number;
  /** Null when it is resolved. */
  open: Alert | null;
  startMs: number;
  lastMs: number;
}

type Say = (alert: Alert) => void;

export interface Incidents extends Stateful {
  /** Opens an incident (an alert), or prolongs one: an alert again only when the severity rises. Sightings of a key come in time order. */
  see(sighting: Sighting, say: Say): void;
  /** The reason is gone, as of `timeMs`: resolves the key's incident at once, if one is open. */
  resolve(key: string, timeMs: number, say: Say): void;
  /** Resolves every incident quiet for `quietMs`, in (time, key) order. No sighting earlier than `watermarkMs` may follow. */
  advance(watermarkMs: number, say: Say): void;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

/**
 * Turns repeated sightings of one trouble into one incident: firing, firing again when it gets worse, resolved.
 *
 * Fingerprint: of pipeline, rule and key. Its revision grows by one with every alert, also over incidents.
 * Time:  resolution carries the moment quiet was complete (last sighting + quietMs), whenever the watermark passes it, so the
 *        spacing of ticks shows in no alert.
 * State: one open alert and two numbers a key, at most `maxKeys` keys. Cost O(1) a sighting, O(open) a watermark.
 */
export function incidents({ pipeline, rule, domain, quietMs, maxKeys }: IncidentOptions): Incidents {
  const all = keyed<Incident>({
    maxKeys,
    create: () => ({ revision: 0, open: null, startMs: 0, lastMs: 0 }),
    save: (incident) => incident,
    load: (saved) => saved as Incident,
  });
  /** When the earliest open incident could be over: lets most watermarks pass without a look. */
  let earliestQuietMs = Number.POSITIVE_INFINITY;

  function fire(incident: Incident, sighting: Sighting, say: Say): void {
    const { key, timeMs, startMs, endMs, severity, title, labels, detector, score, value, expected, evidence } =
      sighting;
    incident.revision++;
    incident.open = {
      schema: "millrace.alert/1",
      fingerprint: fingerprintOf(pipeline, rule, key),
      revision: incident.revision,
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
    say(incident.open);
  }

  function close(incident: Incident, timeMs: number, say: Say): void {
    if (incident.open === null) return;
    incident.revision++;
    const window = { start: formatTime(incident.startMs), end: formatTime(incident.lastMs) };
    say({ ...incident.open, revision: incident.revision, state: "resolved", ts: formatTime(timeMs), window });
    incident.open = null;
  }

  return {
    see(sighting, say) {
      const incident = all.at(sighting.key, sighting.timeMs);
      if (incident.open !== null && sighting.timeMs >= incident.lastMs + quietMs)
        close(incident, incident.lastMs + quietMs, say);
      incident.lastMs = sighting.timeMs;
      earliestQuietMs = Math.min(earliestQuietMs, sighting.timeMs + quietMs);
      if (incident.open === null) {
        incident.startMs = sighting.startMs;
        fire(incident, sighting, say);
      } else if (RANK[sighting.severity] > RANK[incident.open.severity]) fire(incident, sighting, say);
    },
    resolve(key, timeMs, say) {
      const incident = all.get(key);
      if (incident === undefined) return;
      incident.lastMs = Math.max(incident.lastMs, timeMs);
      close(incident, timeMs, say);
    },
    advance(watermarkMs, say) {
      if (watermarkMs < earliestQuietMs) return;
      earliestQuietMs = Number.POSITIVE_INFINITY;
      const over: (readonly [number, string, Incident])[] = [];
      for (const [key, incident] of all.entries()) {
        if (incident.open === null) continue;
        const quietSinceMs = incident.lastMs + quietMs;
        if (quietSinceMs <= watermarkMs) over.push([quietSinceMs, key, incident]);
        else earliestQuietMs = Math.min(earliestQuietMs, quietSinceMs);
      }
      over.sort(([a, keyA], [b, keyB]) => a - b || (keyA < keyB ? -1 : 1));
      for (const [quietSinceMs, , incident] of over) close(incident, quietSinceMs, say);
    },
    save: () => all.save(),
    load(state) {
      all.load(state as ReturnType<typeof all.save>);
      earliestQuietMs = Number.NEGATIVE_INFINITY; // the first watermark looks
    },
  };
}

/** 16 hex digits: enough that two of a million keys never meet. */
export function fingerprintOf(pipeline: string, rule: string, key: string): string {
  return createHash("sha256")
    .update(JSON.stringify([pipeline, rule, key]))
    .digest("hex")
    .slice(0, 16);
}
