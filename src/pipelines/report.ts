import {
  type Anomaly,
  type Domain,
  type Emit,
  encodeToken,
  type Feature,
  type Origin,
  type Severity,
} from "../core/index.js";
import type { Incidents } from "../operators/index.js";

/** Who speaks: goes into every record of a pipeline's branch. */
export interface Speaker {
  readonly pipeline: string;
  readonly domain: Domain;
  readonly partition: number;
}

/** Something a detector found in one window of one key. */
export interface Finding {
  readonly detector: string;
  readonly feature: string;
  readonly site: string;
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly score: number;
  readonly threshold: number;
  readonly value: number;
  readonly expected: { readonly low: number; readonly high: number } | null;
  readonly severity: Severity;
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly evidence: readonly Origin[];
}

export function emitFeature(
  speaker: Speaker,
  feature: Omit<Feature, "kind" | "pipeline" | "domain">,
  emit: Emit,
): void {
  const { pipeline, domain, partition } = speaker;
  const subject = `features.${partition}.${encodeToken(pipeline)}.${encodeToken(feature.key)}`;
  emit({ stream: "features", subject, record: { kind: "feature", pipeline, domain, ...feature } });
}

/** Writes the finding as an anomaly and shows it to the incidents of its rule, which may raise an alert. */
export function emitFinding(speaker: Speaker, finding: Finding, rule: Incidents, emit: Emit): void {
  const { pipeline, domain, partition } = speaker;
  const { severity, title, labels, expected, ...found } = finding;
  const expectedLow = expected?.low ?? null;
  const expectedHigh = expected?.high ?? null;
  const record: Anomaly = {
    kind: "anomaly",
    pipeline,
    domain,
    tsMs: finding.endMs,
    ...found,
    expectedLow,
    expectedHigh,
  };
  emit({
    stream: "features",
    subject: `features.${partition}.${encodeToken(pipeline)}.${encodeToken(finding.key)}`,
    record,
  });
  rule.see({ ...found, timeMs: finding.endMs, severity, title, labels, expected }, sayTo(speaker, emit));
}

/** Where a rule's alerts go. */
export function sayTo({ domain, partition }: Speaker, emit: Emit): Parameters<Incidents["advance"]>[1] {
  return (record) => emit({ stream: "alerts", subject: `alerts.${partition}.${domain}`, record });
}

/** An alert deserves more attention the further its score is beyond the threshold: at four times it, somebody should look now. */
export function severityOf(score: number, threshold: number): Severity {
  return score >= 4 * threshold ? "critical" : "warning";
}

/** A number for people: three significant digits, no exponent where a person would write none. */
export function plain(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(2);
  if (size >= 1000) return Math.round(value).toString();
  return Number(value.toPrecision(3)).toString();
}
