import {
  type Alert,
  type Anomaly,
  type Domain,
  encodeToken,
  type Feature,
  type Origin,
  type Severity,
} from "../core/index.js";
import { incidents, type Sighting, type Stream, type Target } from "../operators/index.js";

/** Who speaks: goes into every record of a pipeline's branch. */
export interface Speaker {
  readonly pipeline: string;
  readonly domain: Domain;
}

/** A feature without what its speaker adds. */
export type FeatureRow = Omit<Feature, "kind" | "pipeline" | "domain">;

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

/** How a rule turns its findings into alerts. */
export interface Rule {
  /** As alerts name it; the step has the same name. */
  readonly rule: string;
  readonly quietMs: number;
  readonly maxKeys: number;
}

export type PartitionOf = (site: string, partitions: number) => number;

/** Features, in the partition of their task or, where the next stage brings a site together, in that of their site. */
export function features({ pipeline, domain }: Speaker, partitionOf?: PartitionOf): Target<FeatureRow> {
  return {
    stream: "features",
    write(row, { partition, partitions }) {
      const p = partitionOf?.(row.site, partitions) ?? partition;
      const subject = `features.${p}.${encodeToken(pipeline)}.${encodeToken(row.key)}`;
      return { stream: "features", subject, record: { kind: "feature", pipeline, domain, ...row } };
    },
  };
}

/** Findings as data: the alert has the words. */
export function anomalies({ pipeline, domain }: Speaker): Target<Finding> {
  return {
    stream: "features",
    write(finding, { partition }) {
      const { severity, title, labels, expected, ...found } = finding;
      const [expectedLow, expectedHigh] = [expected?.low ?? null, expected?.high ?? null];
      const record: Anomaly = {
        ...{ kind: "anomaly", pipeline, domain, tsMs: finding.endMs },
        ...found,
        ...{ expectedLow, expectedHigh },
      };
      const subject = `features.${partition}.${encodeToken(pipeline)}.${encodeToken(finding.key)}`;
      return { stream: "features", subject, record };
    },
  };
}

export function alerts({ domain }: Speaker): Target<Alert> {
  return {
    stream: "alerts",
    write: (record, { partition }) => ({ stream: "alerts", subject: `alerts.${partition}.${domain}`, record }),
  };
}

export function sightingOf(finding: Finding): Sighting {
  return { kind: "sighting", ...finding, timeMs: finding.endMs };
}

/** Writes each finding as an anomaly and shows it to the incidents of its rule, which may raise an alert. */
export function report(found: Stream<Finding>, speaker: Speaker, rule: Rule): void {
  found.to(anomalies(speaker));
  found
    .map(sightingOf)
    .keyBy(keyOfSighting, { local: true })
    .process(rule.rule, incidents({ ...speaker, ...rule }))
    .to(alerts(speaker));
}

function keyOfSighting({ key }: Sighting): string {
  return key;
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
