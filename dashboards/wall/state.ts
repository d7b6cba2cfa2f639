import type { Series } from "./series.js";
import type { Alert, ChartDomain, Plan, Stats } from "./wire.js";

/** Why the page is or is not connected; every change has a name. */
export type Connection =
  | { readonly kind: "no-key" }
  | { readonly kind: "refused" }
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly retryAtMs: number };

export interface DeadLetter {
  readonly id: string;
  readonly domain: string;
  readonly reason: string;
  readonly door: string;
  readonly bytesTotal: number;
  readonly preview: string;
}

export interface ChartState {
  /** Fingerprint of the alert it is about; undefined while the domain has none. */
  fingerprint: string | undefined;
  /** Chosen by a click: stays until another is chosen. */
  pinned: boolean;
  shownSinceMs: number;
  series: Series | undefined;
  /** When the series was read; 0 before the first time. */
  readAtMs: number;
}

export interface WallState {
  connection: Connection;
  stats: Stats | undefined;
  statsAtMs: number;
  /** When an event last came in: the age of the data. 0 before the first. */
  eventAtMs: number;
  /** Newest change first, one entry a fingerprint. */
  alerts: readonly Alert[];
  alertsAtMs: number;
  alertTotals: { readonly open: number; readonly total: number };
  plan: Plan | undefined;
  planAtMs: number;
  charts: Record<ChartDomain, ChartState>;
  deadLetters: readonly DeadLetter[];
  deadLettersAtMs: number;
  bannerClosed: boolean;
}

export const CHART_DOMAINS = ["github", "mine", "sensor"] as const satisfies readonly ChartDomain[];

/** Alerts kept; the page shows the first 20. More are kept so that charts of a quiet domain still find theirs. */
const ALERTS_KEPT = 200;
/** A chart stays with its alert this long: alerts may come faster than anybody reads. */
const CHART_HOLD_MS = 12_000;

export function initialState(): WallState {
  const chart = (): ChartState => ({
    fingerprint: undefined,
    pinned: false,
    shownSinceMs: 0,
    series: undefined,
    readAtMs: 0,
  });
  return {
    connection: { kind: "connecting" },
    stats: undefined,
    statsAtMs: 0,
    eventAtMs: 0,
    alerts: [],
    alertsAtMs: 0,
    alertTotals: { open: 0, total: 0 },
    plan: undefined,
    planAtMs: 0,
    charts: { github: chart(), mine: chart(), sensor: chart() },
    deadLetters: [],
    deadLettersAtMs: 0,
    bannerClosed: false,
  };
}

/** The list with `alert` in front, unless a revision at least as new is known. */
export function receiveAlert(alerts: readonly Alert[], alert: Alert): readonly Alert[] {
  const known = alerts.find(({ fingerprint }) => fingerprint === alert.fingerprint);
  if (known !== undefined && known.revision >= alert.revision) return alerts;
  return [alert, ...alerts.filter((one) => one !== known)].slice(0, ALERTS_KEPT);
}

/** Stored alerts (newest first) under those that came live meanwhile. */
export function mergeAlerts(stored: readonly Alert[], live: readonly Alert[]): readonly Alert[] {
  const oldestFirst = [...[...stored].reverse(), ...[...live].reverse()];
  return oldestFirst.reduce(receiveAlert, [] as readonly Alert[]);
}

/** The newer of two plans, by event time. */
export function newerPlan(known: Plan | undefined, plan: Plan): Plan {
  return known !== undefined && Date.parse(known.ts) > Date.parse(plan.ts) ? known : plan;
}

export function receiveStats(state: WallState, stats: Stats, nowMs: number): void {
  const events = (one: Stats) => one.github.received + one.telemetry.received;
  const before = state.stats === undefined ? undefined : events(state.stats);
  // The first figure says nothing about when its last event came.
  if (before !== undefined && events(stats) > before) state.eventAtMs = nowMs;
  state.stats = stats;
  state.statsAtMs = nowMs;
}

/**
 * The alert a domain's chart is about: the chosen one while it is known, else the newest firing one that a detector raised (what a
 * machine reports by itself has no series), else the newest. A chart does not jump away from an alert within 12 s.
 */
export function chartAlert(
  alerts: readonly Alert[],
  domain: ChartDomain,
  chart: ChartState,
  nowMs: number,
): Alert | undefined {
  const own = alerts.filter((alert) => alert.domain === domain);
  const shown = own.find(({ fingerprint }) => fingerprint === chart.fingerprint);
  if (shown !== undefined && (chart.pinned || nowMs - chart.shownSinceMs < CHART_HOLD_MS)) return shown;
  const scored = own.filter(({ detector }) => detector !== null);
  return scored.find(({ state }) => state === "firing") ?? scored[0] ?? own[0];
}
