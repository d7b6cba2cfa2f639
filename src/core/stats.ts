/** `GET /api/v1/stats`. Received is counted at the log, duplicates and dead letters where they are decided, stored where rows are. */
export interface Stats {
  readonly github: DomainStats;
  readonly telemetry: DomainStats;
  readonly features: { readonly stored: number };
  readonly anomalies: { readonly stored: number };
  readonly alerts: { readonly stored: number };
  readonly plans: { readonly stored: number };
  readonly late: number;
  readonly replay: ReplayStats;
  readonly uptimeS: number;
}

export interface DomainStats {
  readonly received: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly deadLettered: number;
}

export interface ReplayStats {
  readonly done: boolean;
  /** 0 when there is none. */
  readonly sent: number;
  readonly total: number;
  /** Sample time as shown on the page, RFC 3339, after the offset; null before the first record. */
  readonly clock: string | null;
}
