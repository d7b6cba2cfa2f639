/**
 * What the page reads of what the gateway sends: the records of src/core, narrowed to the fields shown here. A test compiles both
 * against each other, so the page never reads what nobody sends.
 */

export type ChartDomain = "github" | "mine" | "sensor";
export type Domain = ChartDomain | "system";
export type Severity = "info" | "warning" | "critical";

export interface Origin {
  readonly stream: string;
  readonly sequence: number;
  readonly index: number;
}

export interface Alert {
  readonly fingerprint: string;
  readonly revision: number;
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

export interface Trips {
  readonly shovel: string;
  readonly dump: string;
  readonly trips: number;
}

export interface PlanSide {
  readonly trips: readonly Trips[];
  readonly litres: number;
  readonly tonnes: number;
  readonly truckHours: number;
}

export interface Plan {
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
  readonly gap01: number;
}

export interface DomainStats {
  readonly received: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly deadLettered: number;
}

export interface Stats {
  readonly github: DomainStats;
  readonly telemetry: DomainStats;
  readonly features: { readonly stored: number };
  readonly anomalies: { readonly stored: number };
  readonly alerts: { readonly stored: number };
  readonly plans: { readonly stored: number };
  readonly late: number;
  readonly replay: {
    readonly done: boolean;
    readonly sent: number;
    readonly total: number;
    readonly clock: string | null;
  };
  readonly uptimeS: number;
}

/** Answer of `POST /api/v1/query`. */
export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}
